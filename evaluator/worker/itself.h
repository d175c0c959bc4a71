#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Is a problem's tolerance one that an honest program can keep? PyTorch's own run of the problem, as its
 * file says, is handed in as a candidate's output, under every distribution, or under the three that
 * tell most where a run takes long. If that fails, the task is `suspect`, and says where: no candidate
 * should be blamed for it.
 */
#include "evaluator/worker/judge.h"

/* 0 to go on, or JUDGE_DECIDED. For a job with an oracle. */
int itself_check(struct judge *judge);
