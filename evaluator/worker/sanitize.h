#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A candidate's kernels once at every small shape, for compute-sanitizer to watch from outside: each
 * buffer is an allocation of exactly its size (no zones, no mapping), inputs are filled, outputs and
 * scratch hold what nobody wrote. Nothing is compared or timed; what is wrong stands in the tool's
 * log, which the agent reads (evaluator/sanitize.c). On the simulator its own diagnoses watch, and the
 * first is the run's error.
 */
#include <jansson.h>
#include "base/arena.h"
#include "evaluator/worker/channel.h"
#include "evaluator/worker/gate.h"
#include "evaluator/worker/job.h"

struct sanitize_tools {
    struct gpu *gpu;
    struct gate *gate;
    const struct channel *channel;
};

/* {"ok": true, "runs": N}, or {"ok": false, "error": ...} where a run failed; the caller owns it. */
json_t *sanitize_run(const struct sanitize_tools *tools, const struct job *job,
                     struct arena *arena);
