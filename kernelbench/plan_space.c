/* SPDX-License-Identifier: MIT */
#include "kernelbench/plan_parts.h"
#include "base/util.h"
#include "kernelbench/field.h"

enum { PERMUTATION_MAX = 6 };

/* Keeps sums and products of a few edges far from overflow. */
static const int64_t edge_max = (int64_t)1 << 40;

/* A list holds ranges of the other kinds; it is gone, spelled out, before ranges are read. */
static const char *const kinds[] = { "pow2", "int", "enum", "bool", "permutation", "list" };
enum { SIMPLE_KINDS = ARRAY_LEN(kinds) - 1 };

/* The two or three integers of "pow2" and "int"; *ret_n says how many there were. */
static int bounds(const json_t *value, size_t most, const struct jpath *at, int64_t ret[3],
                  size_t *ret_n, struct err *err)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n < 2 || n > most) {
        return jread_fail(at, err, "expected [lowest, highest]%s",
                          most == 2 ? "" : " or [lowest, highest, step]");
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *number = json_array_get(value, i);
        struct jpath here = { at, NULL, i };
        if (!json_is_integer(number)) {
            return jread_fail(&here, err, "expected an integer, got %s", jread_kind(number));
        }
        ret[i] = json_integer_value(number);
        if (ret[i] < -edge_max || ret[i] > edge_max) {
            return jread_fail(&here, err, "%lld is too large", (long long)ret[i]);
        }
    }
    if (ret[0] > ret[1]) {
        return jread_fail(at, err, "the lowest, %lld, is above the highest, %lld",
                          (long long)ret[0], (long long)ret[1]);
    }
    *ret_n = n;
    return 0;
}

static int64_t *room(struct arena *arena, struct range *range, size_t n)
{
    int64_t *choices = arena_alloc(arena, n, sizeof(*choices));
    range->choices = choices;
    range->n_choices = n;
    return choices;
}

static int read_pow2(const json_t *value, const struct jpath *at, struct arena *arena,
                     struct range *range, struct err *err)
{
    int64_t edge[3];
    size_t n;
    int r = bounds(value, 2, at, edge, &n, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < 2; i++) {
        if (edge[i] < 1 || (edge[i] & (edge[i] - 1))) {
            struct jpath here = { at, NULL, i };
            return jread_fail(&here, err, "%lld is not a power of two", (long long)edge[i]);
        }
    }
    size_t count = (size_t)__builtin_ctzll((uint64_t)edge[1] / (uint64_t)edge[0]);
    int64_t *choices = room(arena, range, count + 1);
    for (size_t i = 0; i <= count; i++) {
        choices[i] = edge[0] << i;
    }
    return 0;
}

static int read_int(const json_t *value, const struct jpath *at, struct arena *arena,
                    struct range *range, struct err *err)
{
    int64_t edge[3] = { 0, 0, 1 };
    size_t n;
    int r = bounds(value, 3, at, edge, &n, err);
    if (r < 0) {
        return r;
    }
    if (edge[2] < 1) {
        return jread_fail(at, err, "the step is %lld, it must be at least 1", (long long)edge[2]);
    }
    uint64_t count = ((uint64_t)edge[1] - (uint64_t)edge[0]) / (uint64_t)edge[2];
    if (count >= PLAN_CHOICES_MAX) {
        return jread_fail(at, err, "more than %d values", PLAN_CHOICES_MAX);
    }
    int64_t *choices = room(arena, range, (size_t)count + 1);
    for (size_t i = 0; i <= count; i++) {
        choices[i] = edge[0] + (int64_t)i * edge[2];
    }
    return 0;
}

static int read_enum(const json_t *value, const struct jpath *at, struct arena *arena,
                     struct range *range, struct err *err)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n < 1 || n > PLAN_CHOICES_MAX) {
        return jread_fail(at, err, "expected a list of 1 to %d integers", PLAN_CHOICES_MAX);
    }
    int64_t *choices = room(arena, range, n);
    for (size_t i = 0; i < n; i++) {
        struct jpath here = { at, NULL, i };
        int r = field_value(json_array_get(value, i), &here, &choices[i], err);
        if (r < 0) {
            return r;
        }
        for (size_t j = 0; j < i; j++) {
            if (choices[j] == choices[i]) {
                return jread_fail(&here, err, "%lld stands in the list twice",
                                  (long long)choices[i]);
            }
        }
    }
    return 0;
}

static int read_bool(const json_t *value, const struct jpath *at, struct arena *arena,
                     struct range *range, struct err *err)
{
    if (!json_is_true(value)) {
        return jread_fail(at, err, "expected true, got %s", jread_kind(value));
    }
    room(arena, range, 2)[1] = 1;
    return 0;
}

static int read_permutation(const json_t *value, const struct jpath *at, struct arena *arena,
                            struct range *range, struct err *err)
{
    int64_t n = json_is_integer(value) ? json_integer_value(value) : 0;
    if (n < 2 || n > PERMUTATION_MAX) {
        return jread_fail(at, err, "expected the number of things to order, 2 to %d",
                          PERMUTATION_MAX);
    }
    size_t count = 1;
    for (int64_t i = 2; i <= n; i++) {
        count *= (size_t)i;
    }
    int64_t *choices = room(arena, range, count);
    for (size_t i = 0; i < count; i++) {
        choices[i] = (int64_t)i;
    }
    return 0;
}

static int read_range(const json_t *value, const struct jpath *at, struct arena *arena,
                      struct range **ret, struct err *err)
{
    static int (*const readers[])(const json_t *, const struct jpath *, struct arena *,
                                  struct range *, struct err *)
        = { [RANGE_KIND_POW2] = read_pow2, [RANGE_KIND_INT] = read_int,
            [RANGE_KIND_ENUM] = read_enum, [RANGE_KIND_BOOL] = read_bool,
            [RANGE_KIND_PERMUTATION] = read_permutation };
    int r = jread_object(value, at, kinds, ARRAY_LEN(kinds), err);
    if (r < 0) {
        return r;
    }
    if (json_object_size(value) != 1 || json_object_get(value, "list")) {
        return jread_fail(at, err, "expected exactly one of pow2, int, enum, bool, permutation%s",
                          json_object_size(value) == 1 ? "" : ", list");
    }
    struct range *range = arena_alloc(arena, 1, sizeof(*range));
    for (size_t i = 0; i < SIMPLE_KINDS; i++) {
        const json_t *inner = json_object_get(value, kinds[i]);
        if (inner) {
            struct jpath here = { at, kinds[i], 0 };
            range->kind = (enum range_kind)i;
            r = readers[i](inner, &here, arena, range, err);
        }
    }
    if (r == 0) {
        *ret = range;
    }
    return r;
}

static int check_own(const struct param *param, const struct range *range, const struct jpath *at,
                     struct err *err)
{
    for (size_t i = 0; i < range->n_choices; i++) {
        if (range->choices[i] == param->value) {
            return 0;
        }
    }
    return jread_fail(at, err, "the plan's own value, %lld, is not in the range (%lld..%lld)",
                      (long long)param->value, (long long)range->choices[0],
                      (long long)range->choices[range->n_choices - 1]);
}

static int unknown_param(const struct plan *plan, const struct jpath *at, struct err *err)
{
    const char *known[PLAN_PARAMS_MAX];
    for (size_t i = 0; i < plan->n_params; i++) {
        known[i] = plan->params[i].name;
    }
    const char *near = suggest(at->key, known, plan->n_params);
    return near ? jread_fail(at, err, "no such parameter, did you mean \"%s\"?", near)
                : jread_fail(at, err, "no such parameter; give it a value in \"params\" too");
}

/* --- Lists --- */

/* NAME_0, NAME_1, ... in place of NAME, in params and in space. */
static int spell_out(json_t *params, json_t *space, const char *name, const json_t *of, int64_t n,
                     const struct jpath *at_params, struct err *err)
{
    const json_t *own = json_object_get(params, name);
    struct jpath here = { at_params, name, 0 };
    if (json_is_array(own) && json_array_size(own) != (size_t)n) {
        return jread_fail(&here, err, "%zu values for a list of %lld", json_array_size(own),
                          (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        auto_free char *one = xprintf("%s_%lld", name, (long long)i);
        struct jpath there = { at_params, one, 0 };
        if (json_object_get(params, one)) {
            return jread_fail(&there, err, "stands here, and in the list \"%s\" too", name);
        }
        const json_t *value = json_is_array(own) ? json_array_get(own, (size_t)i) : own;
        json_object_set_new(params, one, json_deep_copy(value));
        json_object_set_new(space, one, json_deep_copy(of));
    }
    return 0;
}

static int expand_list(json_t *params, json_t *space, const char *name, const struct jpath *at,
                       const struct jpath *at_params, struct arena *arena, struct err *err)
{
    static const char *const known[] = { "of", "n" };
    json_t *member = json_object_get(space, name), *list = json_object_get(member, "list");
    struct jpath at_list = { at, "list", 0 }, at_of = { &at_list, "of", 0 };
    struct range *range;
    int64_t n = 0;
    int r = json_object_size(member) == 1 ? jread_object(list, &at_list, known, ARRAY_LEN(known), err)
                                          : read_range(member, at, arena, &range, err);
    r = r < 0 ? r : jread_int(list, "n", true, 1, PLAN_PARAMS_MAX, &at_list, &n, err);
    if (r == 0 && !json_object_get(list, "of")) {
        r = jread_fail(&at_list, err, "the key \"of\" is missing");
    }
    r = r < 0 ? r : read_range(json_object_get(list, "of"), &at_of, arena, &range, err);
    if (r == 0 && !json_object_get(params, name)) {
        r = jread_fail(at, err, "no such parameter; give it a value, or %lld, in \"params\" too",
                       (long long)n);
    }
    return r < 0 ? r : spell_out(params, space, name, json_object_get(list, "of"), n, at_params, err);
}

int plan_expand_lists(json_t *doc, const struct jpath *at, struct arena *arena, struct err *err)
{
    json_t *params = NULL, *space = NULL, *value;
    struct jpath at_params = { at, "params", 0 }, at_space = { at, "space", 0 };
    int r = field_object(doc, "params", false, PLAN_PARAMS_MAX, at, &params, err);
    r = r < 0 ? r : field_object(doc, "space", false, PLAN_PARAMS_MAX, at, &space, err);
    const char *names[PLAN_PARAMS_MAX], *name;
    size_t n = 0;
    json_object_foreach(space, name, value)
    {
        if (r == 0 && json_is_object(value) && json_object_get(value, "list")) {
            names[n++] = arena_strdup(arena, name);
        }
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct jpath member = { &at_space, names[i], 0 };
        r = expand_list(params, space, names[i], &member, &at_params, arena, err);
        if (r == 0) {
            json_object_del(params, names[i]);
            json_object_del(space, names[i]);
        }
    }
    return r;
}

int plan_space(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
               struct err *err)
{
    json_t *space = NULL;
    int r = field_object(doc, "space", false, PLAN_PARAMS_MAX, at, &space, err);
    struct jpath here = { at, "space", 0 };
    const char *name;
    json_t *value;
    json_object_foreach(space, name, value)
    {
        struct jpath member = { &here, name, 0 };
        struct param *param = NULL;
        for (size_t i = 0; i < plan->n_params; i++) {
            if (str_eq(plan->params[i].name, name)) {
                param = &plan->params[i];
            }
        }
        if (!param) {
            return unknown_param(plan, &member, err);
        }
        struct range *range = NULL;
        r = read_range(value, &member, arena, &range, err);
        if (r == 0) {
            r = check_own(param, range, &member, err);
        }
        if (r < 0) {
            return r;
        }
        param->range = range;
    }
    return r;
}
