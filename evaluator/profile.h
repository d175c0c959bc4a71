#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Profiling what was accepted: a device worker that is started for it runs the candidate under the
 * hardware counters, then weighs its energy, and ends. What it says goes into the judgement's
 * verdict: counters, joules, and the bottleneck class that follows from the counters.
 *
 * Where a figure can't be had, or the worker dies, `verdict.profile` says why. One thing changes the
 * status: a candidate that fails or hangs while it merely runs on, with no profiler in its way, was
 * right for as long as it was watched, and is `suspect`.
 */
#include "evaluator/judge_internal.h"

/* Calls judge_end when it's through, now or later. */
void profile_start(struct judgement *judgement);
/* Ends the worker; nothing was started is fine. */
void profile_stop(struct judgement *judgement);
