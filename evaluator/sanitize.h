#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What was accepted runs once more at the small shapes under compute-sanitizer's memcheck,
 * racecheck, initcheck and synccheck, each in a worker process that the tool starts. These workers
 * aren't sealed, because the tool works from inside and around them; only what passed the sealed gate
 * gets here. Findings make the verdict `incorrect`, phase "sanitize".
 *
 * On the simulator its own diagnoses watch the same runs, in the sealed device worker. Where the tool
 * isn't installed the verdict says "not available". WARPSMITH_SANITIZER names another tool.
 */
#include "evaluator/judge_internal.h"

struct sanitize;

/* Calls judge_accepted or judge_end when it's through, now or later. */
void sanitize_start(struct judgement *judgement);
/* Ends what runs; nothing was started is fine. */
void sanitize_stop(struct judgement *judgement);
