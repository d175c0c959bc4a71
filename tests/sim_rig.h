#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A simulated device for tests: libwarpsim.so loaded with dlopen, as the device worker loads it,
 * the Driver API's entry points by name, and NVRTC to compile CUDA for it.
 *
 * The driver is one object a process and keeps its errors, so a test runs its body in a child of
 * its own (rig_in_child); inside, RIG_CHECK prints what broke and ends the child.
 */
#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "evaluator/sim/warpsim.h"

#define RIG_SYMBOLS(X)                                                                             \
    X(cuInit)                                                                                      \
    X(cuDriverGetVersion)                                                                          \
    X(cuDeviceGetCount)                                                                            \
    X(cuDeviceGet)                                                                                 \
    X(cuDeviceGetName)                                                                             \
    X(cuDeviceGetUuid)                                                                             \
    X(cuDeviceGetAttribute)                                                                        \
    X(cuDeviceTotalMem)                                                                            \
    X(cuDeviceGetPCIBusId)                                                                         \
    X(cuDevicePrimaryCtxRetain)                                                                    \
    X(cuDevicePrimaryCtxRelease)                                                                   \
    X(cuCtxSetCurrent)                                                                             \
    X(cuCtxGetCurrent)                                                                             \
    X(cuCtxSynchronize)                                                                            \
    X(cuCtxSetLimit)                                                                               \
    X(cuCtxResetPersistingL2Cache)                                                                 \
    X(cuModuleLoadData)                                                                            \
    X(cuModuleLoadDataEx)                                                                          \
    X(cuModuleUnload)                                                                              \
    X(cuModuleGetFunction)                                                                         \
    X(cuModuleGetGlobal)                                                                           \
    X(cuFuncGetAttribute)                                                                          \
    X(cuFuncSetAttribute)                                                                          \
    X(cuFuncGetParamInfo)                                                                          \
    X(cuFuncGetName)                                                                               \
    X(cuOccupancyMaxActiveBlocksPerMultiprocessor)                                                 \
    X(cuLaunchKernel)                                                                              \
    X(cuLaunchKernelEx)                                                                            \
    X(cuMemAlloc)                                                                                  \
    X(cuMemFree)                                                                                   \
    X(cuMemAllocHost)                                                                              \
    X(cuMemHostAlloc)                                                                              \
    X(cuMemFreeHost)                                                                               \
    X(cuMemHostGetDevicePointer)                                                                   \
    X(cuMemcpyHtoD)                                                                                \
    X(cuMemcpyDtoH)                                                                                \
    X(cuMemcpyDtoD)                                                                                \
    X(cuMemcpyHtoDAsync)                                                                           \
    X(cuMemcpyDtoHAsync)                                                                           \
    X(cuMemcpyDtoDAsync)                                                                           \
    X(cuMemsetD8)                                                                                  \
    X(cuMemsetD16)                                                                                 \
    X(cuMemsetD32)                                                                                 \
    X(cuMemsetD8Async)                                                                             \
    X(cuMemsetD16Async)                                                                            \
    X(cuMemsetD32Async)                                                                            \
    X(cuMemGetInfo)                                                                                \
    X(cuMemCreate)                                                                                 \
    X(cuMemRelease)                                                                                \
    X(cuMemAddressReserve)                                                                         \
    X(cuMemAddressFree)                                                                            \
    X(cuMemMap)                                                                                    \
    X(cuMemUnmap)                                                                                  \
    X(cuMemSetAccess)                                                                              \
    X(cuMemGetAllocationGranularity)                                                               \
    X(cuStreamCreate)                                                                              \
    X(cuStreamDestroy)                                                                             \
    X(cuStreamSynchronize)                                                                         \
    X(cuStreamQuery)                                                                               \
    X(cuStreamWaitEvent)                                                                           \
    X(cuStreamBeginCapture)                                                                        \
    X(cuStreamEndCapture)                                                                          \
    X(cuStreamWriteValue32)                                                                        \
    X(cuStreamWaitValue32)                                                                         \
    X(cuEventCreate)                                                                               \
    X(cuEventRecord)                                                                               \
    X(cuEventSynchronize)                                                                          \
    X(cuEventQuery)                                                                                \
    X(cuEventElapsedTime)                                                                          \
    X(cuEventDestroy)                                                                              \
    X(cuGraphInstantiate)                                                                          \
    X(cuGraphLaunch)                                                                               \
    X(cuGraphDestroy)                                                                              \
    X(cuGraphExecDestroy)                                                                          \
    X(cuGetErrorName)                                                                              \
    X(cuGetErrorString)                                                                            \
    X(cuTensorMapEncodeTiled)                                                                      \
    X(warpsim_diagnosis)                                                                           \
    X(warpsim_sample_blocks)                                                                       \
    X(warpsim_checks)                                                                              \
    X(warpsim_stop)                                                                                \
    X(warpsim_counters)                                                                            \
    X(warpsim_bound_name)

struct rig {
    void *library;
#define X(name) __typeof__(&name) name;
    RIG_SYMBOLS(X)
#undef X
    CUevent start, end;
};

#define RIG_CHECK(x)                                                                               \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* A call that must succeed; what the driver says otherwise is printed. */
#define RIG_OK(rig, call) rig_ok(rig, (rig)->call, #call, __FILE__, __LINE__)
void rig_ok(const struct rig *rig, CUresult result, const char *call, const char *file, int line);

/* Runs body(arg) in a child process and returns its exit status (0: all checks passed). */
int rig_in_child(void (*body)(void *arg), void *arg);

/* Loads the library and makes device 0's primary context current. NULL: the defaults. */
void rig_open(struct rig *rig, const char *device, const char *threads);

/* PTX of a CUDA source, compiled for the device's architecture; free() it. */
char *rig_ptx(const char *cuda);
CUmodule rig_module(const struct rig *rig, const char *cuda);
CUfunction rig_function(const struct rig *rig, const char *cuda, const char *name);

CUdeviceptr rig_alloc(const struct rig *rig, size_t bytes);
/* n floats with f(i) = (i * 37 % 101) / 101 - 0.4, uploaded. */
CUdeviceptr rig_floats(const struct rig *rig, size_t n);

/* Launches and returns the modelled microseconds between two events. */
double rig_time(const struct rig *rig, CUfunction f, unsigned grid, unsigned block, unsigned shared,
                void **params);
double rig_time3(const struct rig *rig, CUfunction f, const unsigned grid[3],
                 const unsigned block[3], unsigned shared, void **params);

/* A test in a process of its own: what it breaks, it breaks alone. Needs cmocka. */
#define IN_CHILD(name)                                                                             \
    static void name##_body(void *arg);                                                            \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(rig_in_child(name##_body, NULL), 0);                                      \
    }                                                                                              \
    static void name##_body(void *arg)
