#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's libraries behind a plan's library steps (kernelbench/library.h): cuBLASLt and cuDNN, loaded
 * when a job first names them, in the primary context, on the stream that everything runs on. Nothing
 * of theirs is needed to build: the few functions, numbers and structs used here are those of
 * cuBLASLt 12 and 13 and cuDNN 9 (docs.nvidia.com/cuda/cublas, docs.nvidia.com/deeplearning/cudnn).
 *
 * Where they lie is decided before the process is sealed; the folders stay readable afterwards.
 */
#include <stdint.h>
#include "base/err.h"
#include "evaluator/worker/gpu.h"
#include "kernelbench/candidate.h"
#include "kernelbench/library.h"

enum { LIBRARY_PATH_MAX = 1024 };
#define LIBRARY_WORKSPACE ((size_t)256 << 20) /* bytes that a step may have */

/* Full paths by enum library_call, "" where there is none. */
struct library_places {
    char path[LIBRARY_CALLS][LIBRARY_PATH_MAX];
    char folder[LIBRARY_CALLS][LIBRARY_PATH_MAX];
};

/* Looks in $WARPSMITH_LIBRARIES (folders, by ':'), the toolkit's lib64 and the system's folders; where
 * something is found, C's and C++'s run-time libraries are loaded for it. Before sealing. */
void library_look(struct library_places *ret);

struct libraries; /* what is loaded, with the workspace */
struct libraries *libraries_new(const struct library_places *places); /* nothing is loaded yet */
void libraries_free(struct libraries *libraries, const struct gpu *gpu);

/* "cuBLASLt 13.0.1": what has been loaded so far, or NULL. */
const char *libraries_version(const struct libraries *libraries, enum library_call call);

/* One step, ready to run. */
struct library_step;

/*
 * Loads the library if need be, makes the descriptors and picks an algorithm. ERR_UNSUPPORTED: it isn't
 * there (the text says how to get it), can't do this, or the device is modelled; ERR_DEVICE otherwise.
 */
int library_step_open(struct libraries *libraries, struct gpu *gpu, const struct bound *bound,
                      const struct bound_launch *launch, struct library_step **ret, struct err *err);
void library_step_close(struct library_step *step); /* NULL is fine */

/* Queues it; `buffers` are the plan's by index. */
int library_step_run(struct library_step *step, const CUdeviceptr *buffers, struct err *err);
