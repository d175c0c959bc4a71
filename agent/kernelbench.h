#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the parts of `warpsmith kernelbench` share. A run keeps one file a problem,
 * OUT/results/levelL_ID.json:
 *
 *   {"format": 1, "level", "id", "name", "family", "hash", "gate", "device", "modelled", "torch", "error" or
 *    "unsupported": text, "tensors", "bytes", "baselines": {NAME: {"median_us", "lo_us", "hi_us", "n"}},
 *    "candidates": [{"name", "id", "known": bool, "verdict" or "error"}]}
 *
 * Verdicts and baselines are in the store, too: a run that is started again asks for what is missing.
 */
#include <jansson.h>
#include <uv.h>
#include "agent/options.h"
#include "base/arena.h"
#include "evaluator/pytorch.h"
#include "kernelbench/problem.h"

int kernelbench_import(const struct options *options);
int kernelbench_list(const struct options *options);
int kernelbench_check(const struct options *options);
int kernelbench_run(const struct options *options);
int kernelbench_score(const struct options *options);

/* The problems that --suite, --levels and --problems name. */
int kernelbench_problems(const struct options *options, struct arena *arena, struct problem **ret,
                         size_t *ret_n, struct err *err);

/* Asks and turns the loop until the answer is there; *ret is the caller's. ERR_INVALID: the oracle
 * says no, and why; other codes: it could not answer. */
int kernelbench_ask(uv_loop_t *loop, struct pytorch *pytorch, json_t *question, json_t **ret,
                    struct err *err);
/* What a problem is; the task only where it can be judged (else the code is negative). The
 * description, if any, goes to *ret_described, which may be NULL. */
int kernelbench_describe(uv_loop_t *loop, struct pytorch *pytorch, const struct problem *problem,
                         struct task **ret, json_t **ret_described, struct err *err);

/* "48x100 f32, 20 i64": of a list of the oracle's; the caller frees. */
char *kernelbench_tensors(const json_t *list);
