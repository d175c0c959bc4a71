#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Where the CUDA Toolkit's headers lie on this machine, in this order: $WARPSMITH_CUDA,
 * the bundle's own copy, $CUDA_HOME, $CUDA_PATH, the place found at build time, /usr/local/cuda,
 * /opt/cuda. The compile worker looks for NVRTC itself, under the same roots.
 */
#include "base/err.h"

/* The folder that holds nvrtc's headers (cuda_fp16.h); the caller frees it. */
int toolkit_include(char **ret, struct err *err);
