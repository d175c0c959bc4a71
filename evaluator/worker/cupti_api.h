#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * CUPTI's range profiler, loaded at run time, with declarations of our own: NVIDIA's header of the
 * host part (cupti_profiler_host.h of CUDA 13.0) is C++ alone, and a build shouldn't need CUPTI. Each
 * function takes one struct that begins with its own size, by which CUPTI knows how much of it is
 * there: these are the structs of CUDA 13.0, which later versions only lengthen. A test holds the
 * target's part against NVIDIA's headers, and runs the host's part of a CUPTI that is installed.
 */
#include <cuda.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* The size counts up to the last member's end, without what pads the struct. */
#define CUPTI_SIZE(type, last)                                                                     \
    .size = offsetof(struct type, last) + sizeof(((struct type *)0)->last)
#define CUPTI_HEAD                                                                                 \
    size_t size;                                                                                   \
    void *private

struct cupti_plain { CUPTI_HEAD; }; /* cuptiProfilerInitialize */
struct cupti_chip { CUPTI_HEAD; size_t device; const char *name; };
/* The host's part: which metrics exist, how they are scheduled, what the raw values mean. */
struct cupti_host_open { CUPTI_HEAD; int type; const char *chip; const uint8_t *available; void *host; };
struct cupti_host_close { CUPTI_HEAD; void *host; };
struct cupti_properties { CUPTI_HEAD; void *host; const char *metric, *text, *hardware, *dimension;
                          int type; };
struct cupti_add { CUPTI_HEAD; void *host; const char **metrics; size_t n; };
struct cupti_config_size { CUPTI_HEAD; void *host; size_t bytes; };
struct cupti_config { CUPTI_HEAD; void *host; size_t bytes; uint8_t *at; };
struct cupti_passes { CUPTI_HEAD; size_t bytes; uint8_t *config; size_t n; };
struct cupti_evaluate { CUPTI_HEAD; void *host; const uint8_t *image; size_t bytes, range;
                        const char **metrics; size_t n; double *values; };
/* The target's part: ranges in a context. */
struct cupti_enable { CUPTI_HEAD; CUcontext context; void *profiler; };
struct cupti_image_size { CUPTI_HEAD; void *profiler; const char **metrics; size_t n, ranges;
                          uint32_t nodes; size_t bytes; };
struct cupti_image { CUPTI_HEAD; void *profiler; size_t bytes; uint8_t *at; };
struct cupti_set { CUPTI_HEAD; void *profiler; size_t config_bytes; const uint8_t *config;
                   size_t image_bytes; uint8_t *image; int range, replay; size_t ranges_a_pass;
                   uint16_t nesting, nesting_least; size_t pass; uint16_t nesting_target; };
struct cupti_on { CUPTI_HEAD; void *profiler; }; /* start, disable */
struct cupti_stop { CUPTI_HEAD; void *profiler; size_t pass, nesting; uint8_t all_passes; };
struct cupti_decode { CUPTI_HEAD; void *profiler; size_t dropped; };
struct cupti_info { CUPTI_HEAD; const uint8_t *image; size_t bytes, ranges; };

enum { CUPTI_TYPE_RANGE_PROFILER = 0, CUPTI_RANGE_AUTO = 1, CUPTI_REPLAY_USER = 3 };

#define CUPTI_FUNCTIONS(X)                                                                         \
    X(cuptiProfilerInitialize, plain) X(cuptiDeviceGetChipName, chip)                              \
    X(cuptiProfilerHostInitialize, host_open) X(cuptiProfilerHostDeinitialize, host_close)         \
    X(cuptiProfilerHostGetMetricProperties, properties) X(cuptiProfilerHostConfigAddMetrics, add)  \
    X(cuptiProfilerHostGetConfigImageSize, config_size)                                            \
    X(cuptiProfilerHostGetConfigImage, config) X(cuptiProfilerHostGetNumOfPasses, passes)          \
    X(cuptiProfilerHostEvaluateToGpuValues, evaluate)                                              \
    X(cuptiRangeProfilerEnable, enable) X(cuptiRangeProfilerDisable, on)                           \
    X(cuptiRangeProfilerGetCounterDataSize, image_size)                                            \
    X(cuptiRangeProfilerCounterDataImageInitialize, image) X(cuptiRangeProfilerSetConfig, set)     \
    X(cuptiRangeProfilerStart, on) X(cuptiRangeProfilerStop, stop)                                 \
    X(cuptiRangeProfilerDecodeData, decode) X(cuptiRangeProfilerGetCounterDataInfo, info)

struct cupti_api {
    void *library;
    int (*cuptiGetResultString)(int, const char **);
#define X(name, params) int (*name)(struct cupti_##params *);
    CUPTI_FUNCTIONS(X)
#undef X
};

/* `path` NULL: looked for in the toolkit ($CUDA_HOME, $CUDA_PATH, /usr/local/cuda, ...), then by the
 * loader. ERR_UNSUPPORTED with a remedy. Never unloaded. */
int cupti_api_load(const char *path, struct cupti_api *ret, struct err *err);
/* 0, or ERR_UNSUPPORTED with CUPTI's name of the error and what can be done about it. */
int cupti_api_check(const struct cupti_api *api, int result, const char *what, struct err *err);
