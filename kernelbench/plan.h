#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A plan: how a candidate's kernels are launched, and what can be tuned. `plan_parse` reads the
 * document; `candidate_bind` (candidate.h) turns it into numbers at one shape.
 *
 * A plan's memory belongs to the arena it was parsed into.
 */
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/expr.h"
#include "kernelbench/dtype.h"

enum {
    PLAN_PARAMS_MAX = 32,
    PLAN_LAUNCHES_MAX = 1024,
    PLAN_ARGS_MAX = 64,
    PLAN_SCRATCH_MAX = 32,
    PLAN_CHOICES_MAX = 4096,
};

enum range_kind { RANGE_KIND_POW2, RANGE_KIND_INT, RANGE_KIND_ENUM, RANGE_KIND_BOOL,
                  RANGE_KIND_PERMUTATION };

/* What one tunable may be; `choices` lists its values in order, whatever the kind. */
struct range {
    enum range_kind kind;
    const int64_t *choices;
    size_t n_choices;
};

struct param {
    const char *name;
    int64_t value;             /* the plan's own */
    const struct range *range; /* NULL: fixed */
};

struct plan_when {
    const struct expr *condition;
    size_t n;
    struct symbol params[PLAN_PARAMS_MAX];
};

struct plan_scratch {
    const char *name;
    enum dtype dtype;
    size_t rank;
    struct expr *dims[8];
};

/* One argument: a name (tensor, scratch, scalar) or an integer expression. */
struct plan_arg {
    const char *name;        /* NULL if it is an expression */
    const struct expr *expr; /* NULL if it is a name */
};

struct plan_launch {
    const char *kernel;  /* NULL: a memset of `buffer` */
    const char *buffer;
    int value;
    size_t n_grid, n_block, n_cluster, n_args;
    struct expr *grid[3], *block[3], *cluster[3];
    struct expr *shared; /* NULL: none */
    bool cooperative, programmatic;
    struct plan_arg *args;
};

struct plan {
    json_t *json; /* borrowed copy of the document, freed with plan_done */
    size_t n_params, n_constraints, n_whens, n_defines, n_scratch, n_launches, n_prepare, n_compile;
    struct param params[PLAN_PARAMS_MAX];
    struct expr *constraints[PLAN_PARAMS_MAX];
    struct plan_when *whens;
    struct { const char *name; struct expr *value; } defines[PLAN_PARAMS_MAX];
    struct plan_scratch scratch[PLAN_SCRATCH_MAX];
    struct plan_launch *launches, *prepare;
    const char *compile[16]; /* from the allow-list */
    bool graph;
    const char *direction, *strategy, *title; /* tags; NULL if absent; not part of the id */
};
