#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * From counters to a bottleneck class, with the figures that decided. Thresholds are those of Nsight
 * Compute's rule on the speed of light (SpeedOfLight.py among its sections, 2025.3): a part of the GPU that is used
 * 60 % and more of its peak bounds the kernel, one above 80 % leaves little to gain on it, and where
 * none reaches 60 % the kernel waits: for latencies, or because it doesn't fill the GPU.
 *
 * One thing differs, since the class steers a search: near the limit is only a kernel that is near
 * the task's limit, too. A kernel that keeps DRAM or the L1 busy with traffic that the task doesn't
 * need is memory-bound however busy they are.
 */
#include "kernelbench/counter.h"
#include "kernelbench/verdict.h"

struct profile_facts {
    double time_us;    /* of a timed run */
    double sol;        /* share of the task's bound, 0: not known */
    double bytes;      /* that the task must move, 0: not known */
    size_t n_launches; /* of kernels */
};

/* BOTTLENECK_NONE where the counters don't say. `ret_why` is a sentence of a line. */
enum bottleneck profile_class(const struct counters *counters, const struct profile_facts *facts,
                              char *ret_why, size_t size);
