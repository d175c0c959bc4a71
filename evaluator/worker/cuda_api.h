#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The CUDA Driver API, loaded at run time from libcuda.so.1 or from the simulator. Each function
 * is a member of its own name; cuda.h's macros map names to versions (cuMemAlloc to cuMemAlloc_v2)
 * in the list below and where they are called alike. Optional ones are NULL where they are missing.
 */
#include <cuda.h>
#include <stddef.h>
#include "base/err.h"

struct warpsim_counters;

#define CUDA_REQUIRED(X)                                                                           \
    X(cuInit) X(cuDriverGetVersion) X(cuDeviceGetCount) X(cuDeviceGet) X(cuDeviceGetName)          \
    X(cuDeviceGetAttribute) X(cuDeviceTotalMem) X(cuDevicePrimaryCtxRetain)                        \
    X(cuDevicePrimaryCtxRelease) X(cuCtxSetCurrent) X(cuCtxSynchronize)                            \
    X(cuGetErrorName) X(cuGetErrorString)                                                          \
    X(cuModuleLoadData) X(cuModuleUnload) X(cuModuleGetFunction)                                   \
    X(cuFuncGetAttribute) X(cuFuncSetAttribute) X(cuFuncGetParamInfo)                              \
    X(cuOccupancyMaxActiveBlocksPerMultiprocessor) X(cuLaunchKernel) X(cuLaunchKernelEx)           \
    X(cuMemAlloc) X(cuMemFree) X(cuMemHostAlloc) X(cuMemFreeHost) X(cuMemHostGetDevicePointer)     \
    X(cuMemcpyHtoD) X(cuMemcpyDtoH) X(cuMemcpyDtoDAsync) X(cuMemsetD8Async) X(cuMemsetD32Async)    \
    X(cuMemGetInfo) X(cuStreamCreate) X(cuStreamDestroy) X(cuStreamSynchronize) X(cuStreamQuery)   \
    X(cuEventCreate) X(cuEventRecord) X(cuEventSynchronize) X(cuEventQuery)                        \
    X(cuEventElapsedTime) X(cuEventDestroy)                                                        \
    X(cuStreamBeginCapture) X(cuStreamEndCapture) X(cuGraphInstantiateWithFlags)                   \
    X(cuGraphLaunch) X(cuGraphDestroy) X(cuGraphExecDestroy)

#define CUDA_OPTIONAL(X)                                                                           \
    X(cuDeviceGetUuid) X(cuMemCreate) X(cuMemRelease) X(cuMemAddressReserve) X(cuMemAddressFree)   \
    X(cuMemMap) X(cuMemUnmap) X(cuMemSetAccess) X(cuMemGetAllocationGranularity)                   \
    X(cuCtxResetPersistingL2Cache) X(cuModuleGetFunctionCount) X(cuModuleEnumerateFunctions)       \
    X(cuFuncGetName) X(cuMemImportFromShareableHandle)

struct cuda_api {
    void *library;
#define X(name) __typeof__(name) *name;
    CUDA_REQUIRED(X)
    CUDA_OPTIONAL(X)
#undef X
    /* The simulator's own (evaluator/sim/warpsim.h); NULL on a real driver. */
    int (*warpsim_diagnosis)(char *, size_t);
    int (*warpsim_sample_blocks)(unsigned);
    int (*warpsim_checks)(unsigned);
    int (*warpsim_counters)(struct warpsim_counters *);
};

/* ERR_ENVIRONMENT with a remedy. Never unloaded. */
int cuda_api_load(const char *library, struct cuda_api *ret, struct err *err);
