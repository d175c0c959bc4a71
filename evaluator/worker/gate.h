#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Host side of gate.cu: making inputs, comparing outputs, watching zones. Everything is queued on
 * the GPU's stream; results are read with gate_read, which waits.
 *
 * Inputs come from Philox4x32-10, keyed by the job's secret salt, the shape, the trial and the
 * tensor: the same values can be made again in other memory, and nobody without the salt can.
 */
#include <stdint.h>
#include "base/err.h"
#include "evaluator/worker/gpu.h"
#include "kernelbench/candidate.h"

/* How a trial's inputs are spread; the order is gate.cu's. */
enum gate_mode {
    GATE_MODE_OWN,         /* as the domain says: N(0,1), say */
    GATE_MODE_OFFSET,      /* a mean that isn't zero, mixed signs */
    GATE_MODE_OUTLIERS,    /* one in 256 eight times larger */
    GATE_MODE_INTEGERS,    /* small integers, exact in every type */
    GATE_MODE_SCALED_ROWS, /* rows of very different magnitude, some tiny */
    GATE_MODE_EDGES,       /* the first, the last and some boundary elements carry the most */
    GATE_MODE_IMPULSES,    /* next to nothing but for one in 32; some rows of zeros */
    GATE_MODE_NEGATIVE,    /* below zero throughout; of a positive domain: all small */
    GATE_MODE_POSITIVE,    /* above zero throughout */
    GATE_MODE_COUNT,
    /* The same for tasks with one input: beyond -100 and 100, where exponentials end, short rows
     * whose mean is 128 times their spread, edges so large that who forgets one overflows. */
    GATE_MODE_FAR_BELOW = GATE_MODE_COUNT,
    GATE_MODE_FAR_ABOVE,
    GATE_MODE_FAR_OFFSET,
    GATE_MODE_FAR_EDGES,
};

const char *gate_mode_name(enum gate_mode mode);

/* What a comparison found; the layout is gate.cu's. */
struct gate_comparison {
    uint64_t wrong, first, max_error_bits;
    double error2, expected2;
    uint64_t not_finite, significant;
    double expected1;
};

struct gate_zone {
    uint64_t at, bytes;
};

enum { GATE_SLOTS = 3 * TASK_TENSORS_MAX, GATE_ZONES = 4 * (TASK_TENSORS_MAX + PLAN_SCRATCH_MAX) };

struct gate {
    struct gpu *gpu;
    CUmodule module;
    CUfunction fill, normalise, norm, compare, same, zones, hold, stamp, shared, constant, cast,
        halve;
    CUdeviceptr slots;      /* GATE_SLOTS comparisons */
    CUdeviceptr zone_table; /* GATE_ZONES zones */
    CUdeviceptr held;       /* what gate_hold and gate_stamp wrote */
    volatile uint32_t *flag; /* host memory that gate_hold watches */
    CUdeviceptr flag_device;
    uint32_t turn;
};

/* `image` is gate.cu, compiled for this device; ends in a NUL (PTX). */
int gate_load(struct gate *gate, struct gpu *gpu, const void *image, struct err *err);
void gate_unload(struct gate *gate);

/* The key of one tensor's values. */
struct gate_key {
    uint32_t k[4];
};
void gate_key_make(const unsigned char salt[32], const char *shape, uint64_t trial, uint64_t tensor,
                   struct gate_key *ret);

int gate_fill(struct gate *gate, CUdeviceptr at, const struct bound_buffer *buffer,
              enum gate_mode mode, const struct gate_key *key, struct err *err);

/* Results go to a slot, 0 <= slot < GATE_SLOTS, after gate_clear. */
int gate_clear(struct gate *gate, struct err *err);
int gate_norm(struct gate *gate, CUdeviceptr expected, const struct bound_buffer *buffer,
              double atol, int slot, struct err *err);
int gate_compare(struct gate *gate, CUdeviceptr expected, CUdeviceptr got,
                 const struct bound_buffer *buffer, double atol, double rtol, int slot,
                 struct err *err);
/* torch.allclose with this atol and rtol: wrong is 0. */
int gate_close(struct gate *gate, CUdeviceptr expected, CUdeviceptr got,
               const struct bound_buffer *buffer, double tolerance, int slot, struct err *err);
int gate_same(struct gate *gate, CUdeviceptr a, CUdeviceptr b, size_t bytes, int slot,
              struct err *err);
/* The zones' table is set once, then checked after every run. */
int gate_zones_set(struct gate *gate, const struct gate_zone *zones, size_t n, struct err *err);
int gate_zones_check(struct gate *gate, size_t n, uint32_t pattern, int slot, struct err *err);
/* Waits for the stream and copies n slots from the first on. */
int gate_read(struct gate *gate, size_t n, struct gate_comparison *ret, struct err *err);
double gate_max_error(const struct gate_comparison *comparison);

/* Outputs of trivial candidates: one value throughout; another tensor's first elements; and inputs
 * whose second half, of each `inner` elements, is the first once more. */
int gate_constant(struct gate *gate, CUdeviceptr at, const struct bound_buffer *buffer,
                  double value, struct err *err);
int gate_cast(struct gate *gate, CUdeviceptr to, const struct bound_buffer *buffer,
              CUdeviceptr from, enum dtype from_dtype, struct err *err);
int gate_halve(struct gate *gate, CUdeviceptr at, const struct bound_buffer *buffer, int64_t inner,
               struct err *err);

/* Leaves a pattern in the shared memory of the SMs. */
int gate_poison_shared(struct gate *gate, uint32_t pattern, struct err *err);

/* What is queued after gate_hold waits until gate_release (or `timeout_ns`). */
int gate_hold(struct gate *gate, uint64_t timeout_ns, struct err *err);
void gate_release(struct gate *gate);
/* Queued after what was timed, for gate_held. */
int gate_stamp(struct gate *gate, struct err *err);

struct gate_held {
    double mhz;       /* SM clock between hold and stamp (without one: during the hold); 0: unknown */
    double window_us; /* from the hold's end to the stamp; 0 without one */
    double longest_us; /* that the hold wasn't let run: some microseconds where the GPU is ours */
    bool late;        /* the hold gave up waiting */
};
/* Of the last hold, once the stream has passed it. */
int gate_held(struct gate *gate, struct gate_held *ret, struct err *err);
