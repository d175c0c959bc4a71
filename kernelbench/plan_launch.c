/* SPDX-License-Identifier: MIT */
#include "kernelbench/plan_parts.h"
#include "base/util.h"
#include "kernelbench/field.h"

#include <string.h>

/* A bare name is looked up when the plan is bound: only then is the task known. */
static int read_arg(const json_t *value, const struct jpath *at, struct arena *arena,
                    struct plan_arg *arg, struct err *err)
{
    const char *text = json_string_value(value);
    if (text && field_is_identifier(text)) {
        if (strlen(text) > FIELD_NAME_MAX) {
            return jread_fail(at, err, "a name of more than %d characters", FIELD_NAME_MAX);
        }
        arg->name = arena_strdup(arena, text);
        return 0;
    }
    if (!text && !json_is_integer(value)) {
        return jread_fail(at, err, "expected a name, an integer or an expression, got %s",
                          jread_kind(value));
    }
    struct expr *expr;
    int r = field_expr(value, at, arena, &expr, err);
    if (r == 0) {
        arg->expr = expr;
    }
    return r;
}

static int read_args(const json_t *step, const struct jpath *at, struct arena *arena,
                     struct plan_launch *launch, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(step, "args", true, PLAN_ARGS_MAX, at, &list, err);
    if (r < 0) {
        return r;
    }
    struct jpath here = { at, "args", 0 };
    launch->n_args = json_array_size(list);
    launch->args = arena_alloc(arena, launch->n_args, sizeof(*launch->args));
    for (size_t i = 0; i < launch->n_args; i++) {
        struct jpath element = { &here, NULL, i };
        r = read_arg(json_array_get(list, i), &element, arena, &launch->args[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int read_memset(const json_t *step, const struct jpath *at, struct arena *arena,
                       struct plan_launch *launch, struct err *err)
{
    static const char *const known[] = { "memset", "value" };
    int r = jread_object(step, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = field_named(step, "memset", "a buffer", at, arena, &launch->buffer, err);
    }
    int64_t value = 0;
    if (r == 0) {
        r = jread_int(step, "value", false, 0, 255, at, &value, err);
    }
    launch->value = (int)value;
    return r;
}

static int read_kernel(const json_t *step, const struct jpath *at, struct arena *arena,
                       struct plan_launch *launch, struct err *err)
{
    static const char *const known[] = { "kernel", "grid", "block", "shared", "cluster",
                                         "cooperative", "programmatic", "args" };
    int r = jread_object(step, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = field_named(step, "kernel", "a kernel", at, arena, &launch->kernel, err);
    }
    if (r == 0) {
        r = field_exprs(step, "grid", 1, 3, at, arena, launch->grid, &launch->n_grid, err);
    }
    if (r == 0) {
        r = field_exprs(step, "block", 1, 3, at, arena, launch->block, &launch->n_block, err);
    }
    if (r == 0) {
        r = field_exprs(step, "cluster", 0, 3, at, arena, launch->cluster, &launch->n_cluster, err);
    }
    const json_t *shared = json_object_get(step, "shared");
    if (r == 0 && shared) {
        struct jpath here = { at, "shared", 0 };
        r = field_expr(shared, &here, arena, &launch->shared, err);
    }
    if (r == 0) {
        r = jread_bool(step, "cooperative", false, at, &launch->cooperative, err);
    }
    if (r == 0) {
        r = jread_bool(step, "programmatic", false, at, &launch->programmatic, err);
    }
    return r < 0 ? r : read_args(step, at, arena, launch, err);
}

static int read_steps(const json_t *doc, const char *key, bool required, const struct jpath *at,
                      struct arena *arena, struct plan_launch **ret, size_t *ret_n, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(doc, key, required, PLAN_LAUNCHES_MAX, at, &list, err);
    if (r < 0 || !list) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    size_t n = json_array_size(list);
    if (required && n == 0) {
        return jread_fail(&here, err, "the list is empty: nothing would run");
    }
    struct plan_launch *steps = arena_alloc(arena, n, sizeof(*steps));
    for (size_t i = 0; i < n; i++) {
        struct jpath element = { &here, NULL, i };
        const json_t *step = json_array_get(list, i);
        r = json_object_get(step, "memset")    ? read_memset(step, &element, arena, &steps[i], err)
            : json_object_get(step, "library") ? plan_library(step, &element, arena, &steps[i], err)
                                               : read_kernel(step, &element, arena, &steps[i], err);
        if (r < 0) {
            return r;
        }
    }
    *ret = steps;
    *ret_n = n;
    return 0;
}

int plan_launches(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                  struct err *err)
{
    int r = read_steps(doc, "launches", true, at, arena, &plan->launches, &plan->n_launches, err);
    if (r < 0) {
        return r;
    }
    return read_steps(doc, "prepare", false, at, arena, &plan->prepare, &plan->n_prepare, err);
}
