# Run by the bundle targets: installs into OUT, then copies the libraries that the programs need.
file(REMOVE_RECURSE ${OUT})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${OUT} --strip OUTPUT_QUIET
  COMMAND_ERROR_IS_FATAL ANY)

# Of glibc, and what every Linux machine has with it.
set(system "^(ld-linux.*|libc|libm|libdl|libpthread|librt|libresolv|libutil)[.]so")
foreach(program warpsmith warpsmith-worker)
  execute_process(COMMAND ldd ${OUT}/bin/${program} OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^ \t\n]+ => /[^ \n]+" lines "${needed}")
  foreach(line ${lines})
    string(REGEX REPLACE "^([^ ]+) => (.*)$" "\\1;\\2" pair "${line}")
    list(GET pair 0 name)
    list(GET pair 1 path)
    if(NOT name MATCHES "${system}" AND NOT EXISTS ${OUT}/lib/${name})
      file(COPY ${path} DESTINATION ${OUT}/lib FOLLOW_SYMLINK_CHAIN)
    endif()
  endforeach()
endforeach()

if(KIND STREQUAL "bundle")
  get_filename_component(folder ${NVRTC} DIRECTORY)
  file(GLOB compiler ${folder}/libnvrtc.so* ${folder}/libnvrtc-builtins.so*)
  file(COPY ${compiler} DESTINATION ${OUT}/lib FOLLOW_SYMLINK_CHAIN)
  file(GLOB headers ${CUDA}/include/cuda*.h ${CUDA}/include/cuda*.hpp ${CUDA}/include/vector_*
    ${CUDA}/include/mma.h ${CUDA}/include/sm_* ${CUDA}/include/device_* ${CUDA}/include/driver_*
    ${CUDA}/include/host_* ${CUDA}/include/texture_* ${CUDA}/include/surface_*
    ${CUDA}/include/builtin_types.h ${CUDA}/include/common_functions.h ${CUDA}/include/library_types.h
    ${CUDA}/include/math_* ${CUDA}/include/cooperative_groups.h ${CUDA}/include/nvrtc.h
    ${CUDA}/include/channel_descriptor.h ${CUDA}/include/curand_*kernel.h)
  file(COPY ${headers} DESTINATION ${OUT}/cuda/include)
  foreach(sub crt cooperative_groups cccl)
    if(EXISTS ${CUDA}/include/${sub})
      file(COPY ${CUDA}/include/${sub} DESTINATION ${OUT}/cuda/include)
    endif()
  endforeach()
endif()
execute_process(COMMAND du -sh ${OUT} OUTPUT_VARIABLE size)
message(STATUS "made ${size}")
