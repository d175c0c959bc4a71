#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A run's results (agent/kernelbench.h has their form), read back: one entry a problem, by level and
 * number. What counts is the same everywhere: under a rule, a candidate is correct or not and has a
 * time or not, and a problem stands by its fastest correct candidate.
 *
 * Rules are strict (the gate), kb (KernelBench's own) and verified (KernelBench-Verified's); the last
 * two are there if a run was asked for them. Times in microseconds.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum { RESULTS_MAX = 1024, RESULTS_BASELINES_MAX = 8, RESULT_BYTES_MAX = 64 << 20 };

enum rule { RULE_STRICT, RULE_KB, RULE_VERIFIED, RULE_COUNT };

struct result {
    int level, id;
    const char *name, *family; /* "19_ReLU", "activation" */
    const json_t *doc;         /* the whole; the results' */
    const json_t *candidates;  /* an array, maybe empty */
    const char *degenerate;    /* which trivial candidates pass; NULL: none, or nobody looked */
    const char *reason;        /* why nobody could be judged; NULL: they could */
    bool attempted; /* it could be judged and has candidates, or was asked of a campaign that ended without any */
    bool modelled;
};

struct results {
    json_t *documents;
    size_t n;
    struct result at[RESULTS_MAX];
    size_t n_baselines;
    const char *baselines[RESULTS_BASELINES_MAX]; /* PyTorch's, in the order they were first seen */
    bool rules[RULE_COUNT];                       /* which were applied to anything */
    bool modelled;
    const char *device, *torch; /* of the first one; "" */
    bool mixed;                 /* not all are of that device, that PyTorch and one version of the gate */
    size_t stale;               /* findings of a check of another file: not used */
};

/* "strict", "kb", "verified" */
const char *rule_name(enum rule rule);

/* OUT/results. `check` is a folder that `kernelbench check` wrote, for degenerate problems, or NULL.
 * ERR_NOTFOUND: there is none. ERR_INVALID: something isn't a result, or a problem is there twice. */
int results_read(const char *out, const char *check, struct results **ret, struct err *err);
/* The same from memory: a list of such documents, which the results hold on to. */
int results_of(const json_t *documents, struct results **ret, struct err *err);
/* One file, as JSON: a thousand attempts with their samples are more than other documents may hold. */
int result_load(const char *path, json_t **ret, struct err *err);
void results_free(struct results *results); /* NULL is fine */

/* Was this candidate judged by the rule at all; is it correct; its time (0: none) and what ran it. */
bool result_judged(const json_t *candidate, enum rule rule);
bool result_correct(const json_t *candidate, enum rule rule);
double result_us(const json_t *candidate, enum rule rule);

/* A time or another figure that can be reckoned with: 0 where it is missing, negative or absurd. */
double result_number(const json_t *json, const char *key);

/* Index of the fastest correct candidate, the first where none has a time; SIZE_MAX: none is correct. */
size_t result_best(const struct result *result, enum rule rule);

/* Strictly the best, else by the other rules in turn. */
size_t result_winner(const struct result *result);

/* What PyTorch took: 0 if it wasn't measured. A rule that times its own baseline has its own time of it (eager in kb,
 * eager_tf32 in verified); else it is the run's, else another rule's. */
double result_baseline_us(const struct result *result, enum rule rule, const char *baseline);
/* Was PyTorch timed on it at all? */
bool result_timed(const struct result *result);
