# Finds the CUDA Toolkit's headers and NVRTC. The driver is never linked, only dlopened.
# Result: WS_CUDA_ROOT, WS_CUDA_INCLUDE, WS_NVRTC (library).
set(_roots ${WS_CUDA_DIR} $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda /opt/cuda)
find_path(WS_CUDA_INCLUDE nvrtc.h PATHS ${_roots} PATH_SUFFIXES include targets/x86_64-linux/include
  targets/sbsa-linux/include NO_DEFAULT_PATH)
find_library(WS_NVRTC NAMES nvrtc PATHS ${_roots} PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib
  targets/sbsa-linux/lib NO_DEFAULT_PATH)
if(NOT WS_CUDA_INCLUDE OR NOT WS_NVRTC)
  message(FATAL_ERROR "The CUDA Toolkit (12.8 or newer: nvrtc.h and libnvrtc.so) was not found in: "
    "${_roots}. Install it from NVIDIA's repository for this distribution (package cuda-toolkit-13-0, "
    "or cuda-nvrtc-dev-13-0 with cuda-cudart-dev-13-0 and cuda-crt-13-0), or point at it with "
    "-DWS_CUDA_DIR=/path/to/cuda.")
endif()
get_filename_component(WS_CUDA_ROOT ${WS_CUDA_INCLUDE} DIRECTORY)
file(STRINGS ${WS_CUDA_INCLUDE}/cuda.h _v REGEX "^#define CUDA_VERSION [0-9]+")
string(REGEX REPLACE "[^0-9]" "" WS_CUDA_VERSION "${_v}")
if(WS_CUDA_VERSION LESS 12080)
  message(FATAL_ERROR "The CUDA Toolkit in ${WS_CUDA_ROOT} is version ${WS_CUDA_VERSION}; 12080 (12.8) "
    "or newer is needed. Point at a newer one with -DWS_CUDA_DIR=/path/to/cuda.")
endif()
