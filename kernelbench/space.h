#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The space of a plan: the values its tunables may take, under its constraints at one shape.
 * A config is one int64 value per tunable, in the order of `space_names`.
 */
#include "base/arena.h"
#include "base/err.h"
#include "kernelbench/candidate.h"

enum { SPACE_LIST_MAX = 200000 };

struct space {
    size_t n; /* tunables; 0: nothing to tune */
    const char *names[PLAN_PARAMS_MAX];
    const struct range *ranges[PLAN_PARAMS_MAX];
    int64_t own[PLAN_PARAMS_MAX]; /* the plan's own values */
    const struct plan *plan;
    const struct task *task;
    const struct shape *shape;
    struct device_facts facts;
};

/* Borrows task, shape and plan. ERR_INVALID if a constraint can't be evaluated. */
int space_init(struct space *space, const struct task *task, const struct shape *shape,
               const struct plan *plan, const struct device_facts *facts, struct err *err);

/* Product of the ranges' sizes, before constraints; saturates at INT64_MAX. */
int64_t space_size(const struct space *space);

/* 1: allowed, 0: a constraint forbids it, negative: error. */
int space_allows(const struct space *space, const int64_t *config, struct err *err);

/*
 * Lists all allowed configs, row by row, in a fixed order, by asking of every combination; a tuner has a
 * better way (agent/tune/tune_plan.h), which is held against this one. ERR_TOOBIG if the unconstrained space
 * is larger than SPACE_LIST_MAX; ERR_NOTFOUND if the constraints leave nothing.
 */
int space_list(const struct space *space, struct arena *arena, int64_t **ret_configs,
               size_t *ret_n, struct err *err);
