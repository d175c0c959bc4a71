#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Energy of one run: work is queued back to back, so that the GPU never waits, until the board's
 * energy counter has been seen to advance for a second. That counter moves in steps (ten a second on
 * an H200), so power is taken between two steps and multiplied with the time that a run takes.
 *
 * It is the whole board's energy, with caches as warm as runs leave them and inputs that don't
 * change. Nothing else may use the GPU meanwhile.
 */
#include "evaluator/worker/gpu.h"
#include "evaluator/worker/nvml.h"

struct energy {
    double joules; /* of one run */
    double watts, run_us, seconds; /* while runs were queued; seconds is how long that was watched */
};

/* `run` queues the work once. ERR_UNSUPPORTED: the GPU doesn't count energy. */
int energy_measure(struct gpu *gpu, const struct nvml *nvml,
                   int (*run)(void *ud, struct err *err), void *ud, struct energy *ret,
                   struct err *err);
