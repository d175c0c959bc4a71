#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Binding a plan at one shape, in two files: bind.c does parameters, buffers and compile options,
 * bind_launch.c the launches. Internal to this folder; candidate_bind is the way in. Every fault is
 * ERR_INVALID with the place in the plan and the name of the shape. Places are paths on the stack,
 * and become text only in an error.
 */
#include "kernelbench/candidate.h"

enum { PLACE_MAX = 256 };

struct binder {
    const struct task *task;
    const struct shape *shape;
    const struct plan *plan;
    const struct device_facts *facts;
    struct arena *arena;
    struct err *err;
    struct symbol params[PLAN_PARAMS_MAX], device[2];
    struct symbols device_scope, scope; /* scope: params, then device, then the shape's symbols */
    struct bound *bound;
};

/* "PLACE at shape NAME: text"; ERR_INVALID. */
int bind_fail(struct binder *b, const struct jpath *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The value of an expression of the plan in the binder's scope. */
int bind_eval(struct binder *b, const struct jpath *place, const struct expr *expr, int64_t *ret);

/* The steps of "launches" or "prepare", once parameters and buffers are bound. */
int bind_steps(struct binder *b, bool prepare, const struct plan_launch *from, size_t n,
               struct bound_launch **ret, size_t *ret_n);

/* One argument of a launch; `prepare`: it stands in "prepare". */
int bind_arg(struct binder *b, const struct jpath *place, const struct plan_arg *arg, bool prepare,
             struct bound_arg *ret);

/* A library step: its arguments, and that its buffers are as large as its sizes say. */
int bind_library(struct binder *b, const struct jpath *step, const struct plan_launch *from, bool prepare,
                 struct bound_launch *to);
