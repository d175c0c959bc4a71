#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Profiling one candidate at the shape that is timed: hardware counters of its kernels, and its
 * energy. Done in a device worker of its own, which serves one such job and never times, since a
 * profiler slows what it looks at. The candidate was accepted before, and nothing is checked here.
 *
 * Each pass of the counters sees what a timed run sees: the same inputs, a cold L2, one kernel after
 * the other. A plan that is a graph runs as single launches.
 */
#include "evaluator/worker/cupti.h"
#include "evaluator/worker/judge.h"

struct profile_tools {
    struct gpu *gpu;
    struct slabs *slabs;
    struct gate *gate;
    const struct nvml *nvml;
    struct cupti *cupti;    /* NULL: not available, because of */
    const char *cupti_says;
    const struct channel *channel;
};

/* {"ok", "kernels": {NAME: microseconds}, "counters"?, "joules"?, "watts"?, "unavailable":
 * ["counters: why", ...]}, or "error" where the candidate can't be run ("failed": it ran, and
 * failed by itself). The caller owns it. */
json_t *profile_run(const struct profile_tools *tools, const struct job *job, struct arena *arena);

/* profile_modelled.c: the simulator's own counts, launch by launch. */
int profile_modelled(struct gpu *gpu, struct program *program, struct counters *ret,
                     struct cupti_kernels *ret_kernels, struct err *err);
