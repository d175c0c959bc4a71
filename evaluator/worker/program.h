#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A loaded plan: a module of its own (so its __device__ variables are fresh) and its launches with
 * their arguments packed in the sizes that the kernels' parameters have. Addresses are set by
 * program_point, as often as wanted.
 *
 * Errors: ERR_INVALID is the plan's fault (plan_error), ERR_UNSUPPORTED something this device can't
 * do, ERR_DEVICE anything else that CUDA refused. The text names launch and kernel.
 */
#include "base/arena.h"
#include "base/err.h"
#include "evaluator/worker/gpu.h"
#include "evaluator/worker/job.h"

/* Zero bytes after an image: PTX ends in a NUL, and a driver reads a header before it knows. */
enum { PROGRAM_IMAGE_PAD = 64 };

struct step {
    const struct bound_launch *launch;
    CUfunction function; /* NULL: a memset, or a library's call */
    struct library_step *library;
    size_t bytes;        /* of a memset */
    uint64_t *values;    /* one word a parameter */
    void **params;
};

struct program {
    struct gpu *gpu;
    CUmodule module;
    const struct bound *bound;
    size_t n_launches, n_prepare;
    struct step *launches, *prepare;
    const CUdeviceptr *buffers; /* as pointed last */
    int registers, shared;      /* largest among its kernels */
    double occupancy;           /* smallest, resident warps over the SM's limit */
};

/* Borrows the side and the case; keeps its own copies of nothing outside the arena. */
int program_load(struct program *program, struct gpu *gpu, const struct job_image *image,
                 const struct job_case *one, const struct bound *bound, struct arena *arena,
                 struct err *err);
void program_unload(struct program *program);

/* buffers[i] is the address of the plan's i-th buffer; must stay valid. */
void program_point(struct program *program, const CUdeviceptr *buffers);

/* Queues the launches (or the prepare steps). */
int program_run(struct program *program, struct err *err);
int program_prepare(struct program *program, struct err *err);

/* Records the launches, as pointed, into a graph; cuGraphExecDestroy it. */
int program_record(struct program *program, CUgraphExec *ret, struct err *err);
