#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * How problems of KernelBench map to a shipped task: kernels/FAMILY/problems.json. A problem that is
 * mapped gets the task's family, tensor names and symbols, so the family's variants run on it as they
 * are. Nothing of a problem's file is in it but names and numbers.
 *
 *   {"format": 1, "task": "activation",
 *    "problems": {"1/19_ReLU": {"start": "03_vectors", "params": {"BLOCK": 512},
 *                               "tensors": {"x": "x", "y": "y"}, "symbols": {"n": "x_0*x_1", "op": 0},
 *                               "scalars": {"alpha": 0.01}}}}
 *
 * Every tensor and scalar of the task has the problem's name for it, or a scalar a number. Every symbol
 * of the task is an expression over the whole numbers that the file names, and NAME_k, the size of
 * dimension k of the problem's tensor NAME. Shapes may differ, numbers of elements must not.
 */
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "kernelbench/plan.h"
#include "kernelbench/task.h"

enum { MAPPING_PROBLEMS_MAX = 256 };

struct mapping_entry {
    const char *problem;                  /* "1/19_ReLU" */
    const char *start;                    /* the variant to take first */
    size_t n_params;                      /* and the values for it that were tuned; may be 0 */
    struct symbol params[PLAN_PARAMS_MAX];
    const json_t *tensors, *symbols, *scalars; /* objects; the mapping's */
};

struct mapping {
    const char *family, *task;
    size_t n;
    struct mapping_entry *entries;
    json_t *json; /* mapping_done frees */
};

/* ERR_INVALID with the path of the fault. What isn't the arena's is freed by mapping_done. */
int mapping_parse(const char *text, size_t len, const char *family, struct arena *arena,
                  struct mapping *ret, struct err *err);
void mapping_done(struct mapping *mapping); /* fine where parsing failed */

/* NULL where the problem isn't in it. `problem` is "1/19_ReLU". */
const struct mapping_entry *mapping_find(const struct mapping *mapping, const char *problem);

/*
 * Turns a problem's document (problem_document) into one in the words of `native`. ERR_INVALID where a
 * tensor is missing, left over, of another dtype or number of elements; `doc` is whole only after 0.
 */
int mapping_apply(const struct mapping_entry *entry, const struct task *native, json_t *doc,
                  struct err *err);
