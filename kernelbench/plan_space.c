/* SPDX-License-Identifier: MIT */
#include "kernelbench/plan_parts.h"
#include "base/util.h"
#include "kernelbench/field.h"

enum { PERMUTATION_MAX = 6 };

/* Keeps sums and products of a few edges far from overflow. */
static const int64_t edge_max = (int64_t)1 << 40;

static const char *const kinds[] = { "pow2", "int", "enum", "bool", "permutation" };

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
    if (json_object_size(value) != 1) {
        return jread_fail(at, err, "expected exactly one of pow2, int, enum, bool, permutation");
    }
    struct range *range = arena_alloc(arena, 1, sizeof(*range));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
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
