/* SPDX-License-Identifier: MIT */
#include "agent/mutate_rules.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(struct mutants *to, enum mutate_class kind, const json_t *plan, const char *what)
{
    struct mtext text = { .source = "", .to = to };
    struct mtoken none = { 0 };
    text.tokens = &none;
    text.n = 1;
    mtext_note(&text, kind, 0, 0, "");
    auto_free char *canonical = json_canonical(plan);
    struct mutant *m = &to->at[to->n - 1];
    m->with = NULL;
    m->plan = arena_strdup(to->arena, canonical);
    snprintf(m->what, sizeof(m->what), "plan: %s", what);
}

/* A grid that blocks stride over, or that is sized by the device, is right at any size. */
static bool strides(const char *source, size_t dimension, const char *grid)
{
    const char *const uses[] = { "gridDim.x", "gridDim.y", "gridDim.z" };
    return strstr(source, uses[dimension]) || strstr(grid, "sm_count");
}

static void grid_rules(const char *source, json_t *plan, json_t *launch, size_t at,
                       struct mutants *to)
{
    json_t *grid = json_object_get(launch, "grid");
    for (size_t d = 0; d < json_array_size(grid) && d < 3; d++) {
        const char *was = json_string_value(json_array_get(grid, d));
        if (!was || strides(source, d, was)) {
            continue;
        }
        json_t *keep = json_incref(json_array_get(grid, d));
        auto_free char *less = xprintf("max(1, (%s) - 1)", was);
        auto_free char *what = xprintf("launches[%zu].grid[%zu]: %s -> one less", at, d, was);
        json_array_set_new(grid, d, json_string(less));
        note(to, MUTATE_CLASS_TAIL, plan, what);
        json_array_set_new(grid, d, keep);
    }
}

/* Two neighbours among the arguments that are numbers, in the other order. */
static void argument_rules(json_t *plan, json_t *launch, size_t at, struct mutants *to)
{
    static const char *const symbols[] = { "rows", "cols", "m", "n", "k", "s", "d" };
    json_t *args = json_object_get(launch, "args");
    for (size_t i = 0; i + 1 < json_array_size(args); i++) {
        const char *a = json_string_value(json_array_get(args, i));
        const char *b = json_string_value(json_array_get(args, i + 1));
        bool first = false, second = false;
        for (size_t k = 0; k < ARRAY_LEN(symbols); k++) {
            first = first || str_eq(a, symbols[k]);
            second = second || str_eq(b, symbols[k]);
        }
        if (!first || !second) {
            continue;
        }
        json_t *keep = json_incref(json_array_get(args, i));
        auto_free char *what = xprintf("launches[%zu].args: %s, %s -> the other way round", at, a, b);
        json_array_set(args, i, json_array_get(args, i + 1));
        json_array_set(args, i + 1, keep);
        note(to, MUTATE_CLASS_SWAP, plan, what);
        json_array_set(args, i + 1, json_array_get(args, i));
        json_array_set_new(args, i, keep);
    }
}

void mutate_plan(const char *source, const char *plan, struct mutants *to)
{
    json_t *root = NULL;
    if (jread_parse(plan, strlen(plan), &root, NULL) < 0) {
        return;
    }
    json_t *launches = json_object_get(root, "launches");
    for (size_t i = 0; i < json_array_size(launches); i++) {
        json_t *launch = json_array_get(launches, i);
        grid_rules(source, root, launch, i, to);
        argument_rules(root, launch, i, to);
        if (json_object_get(launch, "memset") && json_array_size(launches) > 1) {
            json_t *without = json_deep_copy(root);
            json_array_remove(json_object_get(without, "launches"), i);
            note(to, MUTATE_CLASS_INIT, without, "a memset less");
            json_decref(without);
        }
    }
    json_decref(root);
}
