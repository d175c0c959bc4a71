#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A run in the files of KernelBench itself (commit 423217d): runs/NAME/eval_results.json beside the
 * exported kernels, and results/timing/HARDWARE/baseline_time_torch*.json, so that its scripts score
 * what was judged here. A result that KernelBench's own rules gave ("kb") is taken as it is; where there is
 * none, or the machine failed on the way to it, the strict verdict stands in, and its metadata says so. Times
 * there are in milliseconds. Its eval_from_generations.py judges anew only what eval_results.json doesn't name.
 */
#include "agent/kernelbench_results.h"

/* TO/runs/NAME, NAME the last part of `out`; with several levels NAME_levelL, since upstream's file
 * of results knows no levels. The caller frees. */
char *upstream_folder(const struct results *results, const char *out, const char *to, int level);

/* With `all` every candidate is a sample, numbered as it was tried; else the winner alone, or the first where there is
 * none, as sample 0: the only one that upstream's analysis looks at. */
int upstream_results(const struct results *results, const char *out, const char *to, bool all, struct err *err);
int upstream_baselines(const struct results *results, const char *to, struct err *err);
