#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * NVRTC, loaded at run time so that the worker starts (and can say what is missing) on a machine
 * without the CUDA Toolkit. Looked for at the path given, beside this program, in the toolkit's
 * usual folders and where the loader looks.
 */
#include <nvrtc.h>
#include "base/err.h"

#define NVRTC_FUNCTIONS(X)                                                                         \
    X(nvrtcVersion) X(nvrtcGetErrorString) X(nvrtcGetNumSupportedArchs) X(nvrtcGetSupportedArchs)  \
    X(nvrtcCreateProgram) X(nvrtcDestroyProgram) X(nvrtcCompileProgram)                            \
    X(nvrtcGetPTXSize) X(nvrtcGetPTX) X(nvrtcGetCUBINSize) X(nvrtcGetCUBIN)                        \
    X(nvrtcGetProgramLogSize) X(nvrtcGetProgramLog)

struct nvrtc_api {
    void *library;
#define X(name) __typeof__(name) *name;
    NVRTC_FUNCTIONS(X)
#undef X
};

/* `path` may be NULL. ERR_ENVIRONMENT with a remedy. Never unloaded. */
int nvrtc_api_load(const char *path, struct nvrtc_api *ret, struct err *err);
