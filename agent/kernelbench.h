#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the parts of `warpsmith kernelbench` share. A run keeps one file a problem,
 * OUT/results/levelL_ID.json, and each candidate that it speaks of in OUT/candidates/ID:
 *
 *   {"format": 1, "level", "id", "name", "family", "hash", "gate", "device", "modelled", "torch", "precision",
 *    "mapped": bool, "bytes", "error", "unsupported" (for everyone), "without" (a kernel) or "waiting" (for a reply): text,
 *    "reference": {"method", "inputs", "off": {TENSOR: {"most", "rms"}}, "spent": {KIND: seconds}},
 *    "baselines": {NAME: {"median_us", "lo_us", "hi_us", "n", "mean_us", "std_us", "min_us", "max_us"}} or
 *    "unmeasured": text,
 *    "candidates": [{"name", "id", "known": bool, "verdict" or "error", "kb", "verified"}]}
 *
 * and "cost": {"usd", "tokens", "gpu_s", "wall_s"} of all runs into OUT. "start" is the shipped variant it began with.
 * A campaign's candidates are its attempts in their order, with "direction" and "strategy"; besides there are
 * "campaign", "ended", and those two of the best.
 * Verdicts and baselines are in the store, too: a run that is started again asks for what is missing. What an earlier
 * run into OUT measured of PyTorch, and what other rules said of the same candidates, stays; so does all of a result
 * where nothing can be found out now.
 */
#include <jansson.h>
#include <uv.h>
#include "agent/options.h"
#include "base/arena.h"
#include "evaluator/pytorch.h"
#include "kernelbench/candidate.h"
#include "kernelbench/problem.h"

int kernelbench_import(const struct options *options);
int kernelbench_list(const struct options *options);
int kernelbench_check(const struct options *options);
int kernelbench_run(const struct options *options);
int kernelbench_score(const struct options *options);
int kernelbench_export(const struct options *options);

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

/*
 * Problems that a shipped family computes, by kernels/FAMILY/problems.json. `document` turns a problem's
 * document (problem_document) into the family's words, `start` is the variant to take first, with the
 * parameters that were tuned for the problem; the caller frees it. ERR_NOTFOUND: no family has it.
 */
struct kernelbench_maps;
int kernelbench_maps_open(struct kernelbench_maps **ret, struct err *err);
void kernelbench_maps_close(struct kernelbench_maps *maps); /* NULL is fine */
const char *kernelbench_map_family(const struct kernelbench_maps *maps, const struct problem *problem);
int kernelbench_map_document(struct kernelbench_maps *maps, const struct problem *problem, json_t *doc,
                             struct err *err);
int kernelbench_map_start(const struct kernelbench_maps *maps, const struct problem *problem,
                          struct candidate **ret, struct err *err);

/* A problem's document as the options want it: --precision if there are products in it, and in a family's words
 * where `maps` is given. */
int kernelbench_document(const struct options *options, struct kernelbench_maps *maps,
                         const struct problem *problem, const json_t *described, json_t **ret, struct err *err);

/* ERR_INVALID: --precision names none that products can have. */
int kernelbench_precision_check(const struct options *options, struct err *err);

/* A task's folder: task.json, and the problem's file beside it. */
int kernelbench_write_task(const char *folder, const struct problem *problem, const json_t *document,
                           struct err *err);

/* "48x100 f32, 20 i64": of a list of the oracle's; the caller frees. */
char *kernelbench_tensors(const json_t *list);
