/* SPDX-License-Identifier: MIT */
#include "kernelbench/plan.h"
#include "base/util.h"
#include "kernelbench/field.h"
#include "kernelbench/plan_parts.h"

#include <stdlib.h>
#include <string.h>

enum { TAG_MAX = 200 };

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct param *)a)->name, ((const struct param *)b)->name);
}

/* Sorted, so that a plan read back from its canonical form is searched in the same order. */
static int read_params(json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                       struct err *err)
{
    json_t *params = NULL;
    int r = field_object(doc, "params", false, PLAN_PARAMS_MAX, at, &params, err);
    struct jpath here = { at, "params", 0 };
    const char *name;
    json_t *value;
    json_object_foreach(params, name, value)
    {
        struct jpath member = { &here, name, 0 };
        struct param *param = &plan->params[plan->n_params];
        r = field_name(name, "a parameter", &member, err);
        if (r == 0) {
            r = field_value(value, &member, &param->value, err);
        }
        if (r < 0) {
            return r;
        }
        if (!json_is_integer(value)) {
            json_object_iter_set_new(params, json_object_key_to_iter(name),
                                     json_integer(param->value));
        }
        param->name = arena_strdup(arena, name);
        plan->n_params++;
    }
    qsort(plan->params, plan->n_params, sizeof(plan->params[0]), by_name);
    return r;
}

static const struct param *find_param(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_params; i++) {
        if (str_eq(plan->params[i].name, name)) {
            return &plan->params[i];
        }
    }
    return NULL;
}

static int read_when_params(json_t *params, const struct jpath *at, const struct plan *plan,
                            struct plan_when *when, struct err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(params, name, value)
    {
        struct jpath here = { at, name, 0 };
        const struct param *param = find_param(plan, name);
        if (!param) {
            const char *known[PLAN_PARAMS_MAX];
            for (size_t i = 0; i < plan->n_params; i++) {
                known[i] = plan->params[i].name;
            }
            const char *near = suggest(name, known, plan->n_params);
            return near ? jread_fail(&here, err, "no such parameter, did you mean \"%s\"?", near)
                        : jread_fail(&here, err, "no such parameter");
        }
        struct symbol *symbol = &when->params[when->n];
        symbol->name = param->name;
        int r = field_value(value, &here, &symbol->value, err);
        if (r < 0) {
            return r;
        }
        when->n++;
    }
    return when->n ? 0 : jread_fail(at, err, "it changes nothing");
}

static int read_when(const json_t *value, const struct jpath *at, struct arena *arena,
                     const struct plan *plan, struct plan_when *when, struct err *err)
{
    static const char *const known[] = { "if", "params" };
    int r = jread_object(value, at, known, ARRAY_LEN(known), err);
    if (r < 0) {
        return r;
    }
    const json_t *condition = json_object_get(value, "if");
    if (!condition) {
        return jread_fail(at, err, "the key \"if\" is missing");
    }
    struct jpath here = { at, "if", 0 };
    struct expr *expr;
    r = field_expr(condition, &here, arena, &expr, err);
    if (r < 0) {
        return r;
    }
    when->condition = expr;
    json_t *params = NULL;
    r = field_object(value, "params", true, PLAN_PARAMS_MAX, at, &params, err);
    struct jpath inside = { at, "params", 0 };
    return r < 0 ? r : read_when_params(params, &inside, plan, when, err);
}

static int read_whens(const json_t *doc, const struct jpath *at, struct arena *arena,
                      struct plan *plan, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(doc, "when", false, PLAN_PARAMS_MAX, at, &list, err);
    struct jpath here = { at, "when", 0 };
    plan->n_whens = json_array_size(list);
    plan->whens = arena_alloc(arena, plan->n_whens, sizeof(*plan->whens));
    for (size_t i = 0; r == 0 && i < plan->n_whens; i++) {
        struct jpath element = { &here, NULL, i };
        r = read_when(json_array_get(list, i), &element, arena, plan, &plan->whens[i], err);
    }
    return r;
}

static int read_defines(const json_t *doc, const struct jpath *at, struct arena *arena,
                        struct plan *plan, struct err *err)
{
    json_t *defines = NULL;
    int r = field_object(doc, "defines", false, PLAN_PARAMS_MAX, at, &defines, err);
    struct jpath here = { at, "defines", 0 };
    const char *name;
    json_t *value;
    json_object_foreach(defines, name, value)
    {
        struct jpath member = { &here, name, 0 };
        r = field_name(name, "a define", &member, err);
        if (r == 0 && find_param(plan, name)) {
            r = jread_fail(&member, err, "a parameter has this name, and is defined already");
        }
        if (r == 0) {
            r = field_expr(value, &member, arena, &plan->defines[plan->n_defines].value, err);
        }
        if (r < 0) {
            return r;
        }
        plan->defines[plan->n_defines++].name = arena_strdup(arena, name);
    }
    return r;
}

static int read_one_scratch(const json_t *value, const struct jpath *at, struct arena *arena,
                            const struct plan *plan, struct plan_scratch *scratch, struct err *err)
{
    static const char *const known[] = { "name", "dtype", "shape" };
    int r = jread_object(value, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = field_named(value, "name", "a scratch buffer", at, arena, &scratch->name, err);
    }
    struct jpath here = { at, "name", 0 };
    if (r == 0 && find_param(plan, scratch->name)) {
        r = jread_fail(&here, err, "a parameter is called \"%s\" already", scratch->name);
    }
    for (size_t i = 0; r == 0 && i < plan->n_scratch; i++) {
        if (str_eq(plan->scratch[i].name, scratch->name)) {
            r = jread_fail(&here, err, "scratch[%zu] is called \"%s\" already", i, scratch->name);
        }
    }
    if (r == 0) {
        r = field_dtype(value, "dtype", at, &scratch->dtype, err);
    }
    if (r == 0) {
        r = field_exprs(value, "shape", 1, PLAN_RANK_MAX, at, arena, scratch->dims, &scratch->rank,
                        err);
    }
    return r;
}

static int read_scratch(const json_t *doc, const struct jpath *at, struct arena *arena,
                        struct plan *plan, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(doc, "scratch", false, PLAN_SCRATCH_MAX, at, &list, err);
    struct jpath here = { at, "scratch", 0 };
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        struct jpath element = { &here, NULL, i };
        r = read_one_scratch(json_array_get(list, i), &element, arena, plan, &plan->scratch[i],
                             err);
        plan->n_scratch += r == 0;
    }
    return r;
}

/* A macro of a kernel's name would rename it in the source. */
static int check_kernel_names(const struct plan *plan, const char *key,
                              const struct plan_launch *steps, size_t n, const struct jpath *at,
                              struct err *err)
{
    struct jpath list = { at, key, 0 };
    for (size_t i = 0; i < n; i++) {
        struct jpath step = { &list, NULL, i }, here = { &step, "kernel", 0 };
        bool taken = steps[i].kernel && find_param(plan, steps[i].kernel);
        for (size_t k = 0; k < plan->n_defines; k++) {
            taken = taken || str_eq(plan->defines[k].name, steps[i].kernel);
        }
        if (taken) {
            return jread_fail(&here, err, "a parameter or define is called \"%s\" too, and would "
                                          "replace the name in the source", steps[i].kernel);
        }
    }
    return 0;
}

static bool has_control(const char *text)
{
    while (*text && (unsigned char)*text >= 0x20) {
        text++;
    }
    return *text != '\0';
}

static int read_tags(const json_t *doc, const struct jpath *at, struct arena *arena,
                     struct plan *plan, struct err *err)
{
    static const char *const known[] = { "direction", "strategy", "title" };
    const json_t *tags = json_object_get(doc, "tags");
    if (!tags) {
        return 0;
    }
    struct jpath here = { at, "tags", 0 };
    int r = jread_object(tags, &here, known, ARRAY_LEN(known), err);
    const char **to[] = { &plan->direction, &plan->strategy, &plan->title };
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(known); i++) {
        const char *text = NULL;
        r = jread_string(tags, known[i], false, &here, &text, err);
        struct jpath member = { &here, known[i], 0 };
        if (r == 0 && text && strlen(text) > TAG_MAX) {
            r = jread_fail(&member, err, "more than %d characters", TAG_MAX);
        } else if (r == 0 && text && has_control(text)) {
            r = jread_fail(&member, err, "it must be a single line");
        } else if (r == 0 && text) {
            *to[i] = arena_strdup(arena, text);
        }
    }
    return r;
}

/* The key is known, so that a plan that needs them says what is missing. */
static int refuse_tensor_maps(const json_t *doc, const struct jpath *at, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(doc, "tensor_maps", false, SIZE_MAX, at, &list, err);
    if (r == 0 && json_array_size(list)) {
        struct jpath here = { at, "tensor_maps", 0 };
        r = jread_fail(&here, err,
                       "tensor maps need the evaluator's TMA support, which isn't built yet: leave "
                       "the list empty and load with cp.async or plain loads");
    }
    return r;
}

static int read_all(json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                    struct err *err)
{
    static const char *const known[] = { "format", "params", "space", "constraints", "when",
                                         "defines", "scratch", "tensor_maps", "prepare", "launches",
                                         "compile", "graph", "tags" };
    static int (*const parts[])(const json_t *, const struct jpath *, struct arena *, struct plan *,
                                struct err *)
        = { plan_space, read_whens, read_defines, read_scratch, plan_launches, plan_compile,
            read_tags };
    int r = jread_object(doc, at, known, ARRAY_LEN(known), err);
    int64_t format = 1;
    if (r == 0) {
        r = jread_int(doc, "format", false, 1, 1, at, &format, err);
    }
    if (r == 0 && !json_object_get(doc, "format")) {
        json_object_set_new(doc, "format", json_integer(format)); /* one id, with or without */
    }
    if (r == 0) {
        r = plan_expand_lists(doc, at, arena, err);
    }
    if (r == 0) {
        r = read_params(doc, at, arena, plan, err);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
        r = parts[i](doc, at, arena, plan, err);
    }
    if (r == 0) {
        r = field_exprs(doc, "constraints", 0, ARRAY_LEN(plan->constraints), at, arena,
                        plan->constraints, &plan->n_constraints, err);
    }
    if (r == 0) {
        r = jread_bool(doc, "graph", false, at, &plan->graph, err);
    }
    if (r == 0) {
        r = check_kernel_names(plan, "launches", plan->launches, plan->n_launches, at, err);
    }
    if (r == 0) {
        r = check_kernel_names(plan, "prepare", plan->prepare, plan->n_prepare, at, err);
    }
    return r < 0 ? r : refuse_tensor_maps(doc, at, err);
}

int plan_parse(const json_t *json, const struct jpath *at, struct arena *arena, struct plan **ret,
               struct err *err)
{
    struct plan *plan = arena_alloc(arena, 1, sizeof(*plan));
    plan->json = json_deep_copy(json);
    require(plan->json != NULL);
    int r = read_all(plan->json, at, arena, plan, err);
    if (r < 0) {
        plan_done(plan);
        return r;
    }
    *ret = plan;
    return 0;
}

void plan_done(struct plan *plan)
{
    if (plan) {
        json_decref(plan->json);
        plan->json = NULL;
    }
}

int plan_settle(const struct plan *plan, const struct symbols *outer, struct symbol *values,
                struct err *err)
{
    struct symbols scope = { values, plan->n_params, outer };
    for (size_t i = 0; i < plan->n_whens; i++) {
        const struct plan_when *when = &plan->whens[i];
        int64_t holds;
        int r = expr_eval(when->condition, &scope, &holds, err);
        if (r < 0) {
            err_wrap(err, "when[%zu].if", i);
            return r;
        }
        if (!holds) {
            continue;
        }
        for (size_t j = 0; j < plan->n_params; j++) {
            const struct symbols changed = { when->params, when->n, NULL };
            const int64_t *value = symbols_find(&changed, values[j].name);
            values[j].value = value ? *value : values[j].value;
        }
        break;
    }
    return 0;
}

char *plan_canonical(const struct plan *plan)
{
    json_t *copy = json_copy(plan->json);
    json_object_del(copy, "tags");
    char *text = json_canonical(copy);
    json_decref(copy);
    return text;
}
