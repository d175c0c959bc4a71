#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One GPU: its driver functions, its facts, its primary context with one stream, and the one place
 * where CUDA's error codes become ours. Everything the worker runs goes through this stream, in
 * order.
 *
 * An error that breaks the context (an illegal address, say) sets `broken`: nothing works after it,
 * and the process has to end.
 */
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "evaluator/worker/cuda_api.h"

struct libraries;

struct gpu {
    struct cuda_api cu;
    CUdevice device;
    CUcontext context;
    CUstream stream;
    CUevent done; /* for gpu_finish */
    bool broken, modelled;
    char name[128], uuid[48], arch[16], driver[16];
    int major, minor, sm_count, max_shared, max_threads_sm, l2_bytes, clock_khz;
    size_t total_memory;
    double bandwidth; /* bytes a second, theoretical; 0 if unknown */
    double context_ms;
    struct libraries *libraries; /* for plans' library steps (library.h); NULL: none can be had */
};

/* ERR_ENVIRONMENT with a remedy. */
int gpu_open(const char *library, int number, struct gpu *ret, struct err *err);
void gpu_close(struct gpu *gpu);

/* 0, or ERR_DEVICE (ERR_UNSUPPORTED where the driver says so, -ENOMEM for device memory) with
 * "what: CUDA_ERROR_NAME (text)" and, on the simulator, its diagnosis. */
int gpu_check(struct gpu *gpu, CUresult result, const char *what, struct err *err);

/* Waits for the stream; errors of everything before show here. */
int gpu_finish(struct gpu *gpu, const char *what, struct err *err);

/* Starts a kernel of ours. `args` as for cuLaunchKernel. */
int gpu_launch(struct gpu *gpu, CUfunction function, unsigned blocks, unsigned threads,
               unsigned shared, void **args, struct err *err);
