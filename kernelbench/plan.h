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
#include "base/jread.h"
#include "kernelbench/dtype.h"

enum {
    PLAN_PARAMS_MAX = 32,
    PLAN_LAUNCHES_MAX = 1024,
    PLAN_ARGS_MAX = 64,
    PLAN_SCRATCH_MAX = 32,
    PLAN_CHOICES_MAX = 4096,
    PLAN_COMPILE_MAX = 16,
    PLAN_RANK_MAX = 8,
    PLAN_TEXT_MAX = 1 << 20,
};

enum range_kind { RANGE_KIND_POW2, RANGE_KIND_INT, RANGE_KIND_ENUM, RANGE_KIND_BOOL,
                  RANGE_KIND_PERMUTATION };

/*
 * What one tunable may be; `choices` lists its values in order, whatever the kind. A permutation of
 * n is its rank, 0..n!-1, in lexicographic order. A list of n ranges NAME in the document is the
 * tunables NAME_0, NAME_1, ... here, in expressions and for the source.
 */
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
    struct expr *dims[PLAN_RANK_MAX];
};

/* One argument: a name (tensor, scratch, scalar) or an integer expression. */
struct plan_arg {
    const char *name;        /* NULL if it is an expression */
    const struct expr *expr; /* NULL if it is a name */
};

struct library_table;

struct plan_launch {
    const char *kernel;  /* NULL: a memset of `buffer`, or `library` */
    const struct library_table *library; /* NULL: none (kernelbench/library.h); else its arguments in `args` */
    const char *buffer;
    int value;
    size_t n_grid, n_block, n_cluster, n_args;
    struct expr *grid[3], *block[3], *cluster[3];
    struct expr *shared; /* NULL: none */
    bool cooperative, programmatic;
    struct plan_arg *args;
};

struct plan {
    json_t *json; /* the document with "format", and 1 for true in params; plan_done frees */
    size_t n_params, n_constraints, n_whens, n_defines, n_scratch, n_launches, n_prepare, n_compile;
    struct param params[PLAN_PARAMS_MAX]; /* sorted by name */
    struct expr *constraints[PLAN_PARAMS_MAX];
    struct plan_when *whens;
    struct { const char *name; struct expr *value; } defines[PLAN_PARAMS_MAX];
    struct plan_scratch scratch[PLAN_SCRATCH_MAX];
    struct plan_launch *launches, *prepare;
    const char *compile[PLAN_COMPILE_MAX]; /* from the allow-list */
    bool graph;
    const char *direction, *strategy, *title; /* tags; NULL if absent; not part of the id */
};

/*
 * Reads a plan. `at` is where it stands in a larger document, NULL for a plan.json. ERR_INVALID
 * with the path of the fault and, for a misspelt name, the nearest known one.
 */
int plan_parse(const json_t *json, const struct jpath *at, struct arena *arena, struct plan **ret,
               struct err *err);
void plan_done(struct plan *plan); /* NULL is fine */

/*
 * The parameters that run where `outer` holds the shape's symbols and the device's facts: `values`
 * (n_params of them, in the order of plan->params) are the caller's choice on entry and are changed
 * by the first `when` that holds.
 */
int plan_settle(const struct plan *plan, const struct symbols *outer, struct symbol *values,
                struct err *err);

/* The document without tags, sorted, without spaces: what the id is made of. The caller frees. */
char *plan_canonical(const struct plan *plan);
