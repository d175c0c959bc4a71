#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Hardware counters of the kernels that run in a context, through CUPTI's range profiler: each
 * kernel is a range of its own, as in Nsight Compute. There are more counters than a GPU can watch
 * at once, so the same work is run again for every pass.
 *
 * Opened before a worker is sealed: a rehearsal makes the driver open and load what it needs, and
 * finds out whether counters may be read at all. Every error is ERR_UNSUPPORTED ("not available")
 * unless the work itself failed.
 */
#include "base/err.h"
#include "evaluator/worker/gpu.h"
#include "kernelbench/counter.h"

enum { CUPTI_KERNELS_MAX = 256 }; /* of one run; later ones aren't looked at */

struct cupti;

/* `path` as in cupti_api_load. */
int cupti_open(const char *path, struct gpu *gpu, struct cupti **ret, struct err *err);
void cupti_close(struct cupti *cupti);

/* What is run for each pass: `ready` puts everything in place and waits, `run` queues the kernels. */
struct cupti_work {
    int (*ready)(void *ud, struct err *err);
    int (*run)(void *ud, struct err *err);
    void *ud;
};

/* How long each kernel of a run took, in order. */
struct cupti_kernels {
    size_t n;
    double us[CUPTI_KERNELS_MAX];
};

/* The sum over all kernels, and each one's time. */
int cupti_profile(struct cupti *cupti, const struct cupti_work *work, struct counters *ret,
                  struct cupti_kernels *ret_kernels, struct err *err);

/* Which of our counters a chip ("GH100") has, and in how many passes; needs no GPU. */
int cupti_chip_counters(const char *path, const char *chip, struct counters *ret,
                        size_t *ret_passes, struct err *err);
