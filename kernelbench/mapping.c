/* SPDX-License-Identifier: MIT */
#include "kernelbench/mapping.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/field.h"

#include <stdio.h>
#include <string.h>

enum { DIMS_MAX = 256 }; /* sizes that expressions may name */

static int read_params(const json_t *entry, const struct jpath *at, struct arena *arena,
                       struct mapping_entry *ret, struct err *err)
{
    json_t *params = NULL, *value;
    const char *name;
    int r = field_object(entry, "params", false, PLAN_PARAMS_MAX, at, &params, err);
    struct jpath here = { at, "params", 0 };
    json_object_foreach(params, name, value)
    {
        struct jpath member = { &here, name, 0 };
        if (r < 0) {
            break;
        }
        struct symbol *param = &ret->params[ret->n_params++];
        param->name = arena_strdup(arena, name);
        r = field_value(value, &member, &param->value, err);
    }
    return r;
}

static int read_entry(const json_t *json, const struct jpath *at, struct arena *arena,
                      struct mapping_entry *ret, struct err *err)
{
    static const char *const known[] = { "start", "params", "tensors", "symbols", "scalars" };
    json_t *tensors = NULL, *symbols = NULL, *scalars = NULL;
    const char *start = NULL;
    int r = jread_object(json, at, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : field_slug(json, "start", at, arena, &start, err);
    r = r < 0 ? r : field_object(json, "tensors", true, TASK_TENSORS_MAX, at, &tensors, err);
    r = r < 0 ? r : field_object(json, "symbols", true, TASK_SYMBOLS_MAX, at, &symbols, err);
    r = r < 0 ? r : field_object(json, "scalars", false, TASK_TENSORS_MAX, at, &scalars, err);
    ret->start = start;
    ret->tensors = tensors;
    ret->symbols = symbols;
    ret->scalars = scalars;
    return r < 0 ? r : read_params(json, at, arena, ret, err);
}

static int read_all(json_t *json, struct arena *arena, struct mapping *ret, struct err *err)
{
    static const char *const known[] = { "format", "task", "problems" };
    json_t *problems = NULL, *value;
    const char *name;
    int64_t format;
    int r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_int(json, "format", true, 1, 1, NULL, &format, err);
    r = r < 0 ? r : field_slug(json, "task", NULL, arena, &ret->task, err);
    r = r < 0 ? r : field_object(json, "problems", true, MAPPING_PROBLEMS_MAX, NULL, &problems, err);
    if (r < 0) {
        return r;
    }
    ret->entries = arena_alloc(arena, json_object_size(problems) + 1, sizeof(*ret->entries));
    struct jpath here = { NULL, "problems", 0 };
    json_object_foreach(problems, name, value)
    {
        struct jpath member = { &here, name, 0 };
        struct mapping_entry *entry = &ret->entries[ret->n];
        *entry = (struct mapping_entry) { .problem = arena_strdup(arena, name) };
        if ((r = read_entry(value, &member, arena, entry, err)) < 0) {
            return r;
        }
        ret->n++;
    }
    return 0;
}

int mapping_parse(const char *text, size_t len, const char *family, struct arena *arena,
                  struct mapping *ret, struct err *err)
{
    *ret = (struct mapping) { .family = arena_strdup(arena, family) };
    int r = jread_parse(text, len, &ret->json, err);
    return r < 0 ? r : read_all(ret->json, arena, ret, err);
}

void mapping_done(struct mapping *mapping)
{
    json_decref(mapping->json);
    mapping->json = NULL;
    mapping->n = 0;
}

const struct mapping_entry *mapping_find(const struct mapping *mapping, const char *problem)
{
    for (size_t i = 0; i < mapping->n; i++) {
        if (str_eq(mapping->entries[i].problem, problem)) {
            return &mapping->entries[i];
        }
    }
    return NULL;
}

/* ---- applied */

static const char *const roles[] = { "inputs", "weights", "inout", "outputs" };

struct applying {
    const struct mapping_entry *entry;
    const struct task *native;
    json_t *doc;
    struct arena *arena;
    size_t n;
    struct symbol known[DIMS_MAX]; /* the file's numbers and the sizes of its tensors */
    struct symbol values[TASK_SYMBOLS_MAX]; /* of the native task's symbols */
    bool used[TASK_TENSORS_MAX];   /* native tensors that a problem's stands for */
};

static void know(struct applying *a, const char *name, int64_t value)
{
    if (a->n < DIMS_MAX) {
        a->known[a->n++] = (struct symbol) { arena_strdup(a->arena, name), value };
    }
}

static void know_sizes(struct applying *a)
{
    const char *name;
    json_t *value, *tensor;
    size_t i, k;
    json_object_foreach(json_object_get(json_object_get(a->doc, "shapes"), "default"), name, value)
    {
        know(a, name, json_integer_value(value));
    }
    for (size_t role = 0; role < ARRAY_LEN(roles); role++) {
        json_array_foreach(json_object_get(a->doc, roles[role]), i, tensor)
        {
            json_array_foreach(json_object_get(tensor, "shape"), k, value)
            {
                char text[FIELD_NAME_MAX + 8];
                snprintf(text, sizeof(text), "%s_%zu", json_string_value(json_object_get(tensor, "name")), k);
                know(a, text, json_integer_value(value));
            }
        }
    }
}

static int set_symbols(struct applying *a, struct err *err)
{
    const struct symbols *native = &a->native->shapes[0].symbols, known = { a->known, a->n, NULL };
    json_t *sizes = json_object(), *shapes = json_pack("{s:o}", "default", sizes);
    struct jpath here = { NULL, "symbols", 0 };
    int r = 0;
    for (size_t i = 0; r == 0 && i < native->n; i++) {
        const char *name = native->at[i].name;
        const json_t *text = json_object_get(a->entry->symbols, name);
        struct jpath at = { &here, name, 0 };
        struct expr *expr = NULL;
        r = text ? field_expr(text, &at, a->arena, &expr, err)
                 : err_set(err, ERR_INVALID, "symbols: \"%s\" of task %s is missing", name, a->native->name);
        r = r < 0 ? r : expr_eval(expr, &known, &a->values[i].value, err);
        a->values[i].name = name;
        json_object_set_new(sizes, name, json_integer(a->values[i].value));
    }
    if (r == 0 && json_object_size(a->entry->symbols) > native->n) {
        r = err_set(err, ERR_INVALID, "symbols: there are more than task %s has", a->native->name);
    }
    json_object_set_new(a->doc, "shapes", shapes);
    return r;
}

/* The index of the native tensor that the problem's tensor `name` stands for, or -1. */
static int native_of(const struct applying *a, const char *name)
{
    for (size_t i = 0; i < a->native->n_tensors; i++) {
        const char *to = json_string_value(json_object_get(a->entry->tensors, a->native->tensors[i].name));
        if (to && str_eq(to, name) && !a->used[i]) {
            return (int)i;
        }
    }
    return -1;
}

/* -1: more than 64 bits hold, or no sizes. */
static int64_t elements(const json_t *shape)
{
    int64_t n = 1;
    for (size_t i = 0; i < json_array_size(shape) && n >= 0; i++) {
        int64_t dim = json_integer_value(json_array_get(shape, i));
        n = dim < 0 || __builtin_mul_overflow(n, dim, &n) ? -1 : n;
    }
    return n;
}

static int rename_tensor(struct applying *a, json_t *tensor, struct err *err)
{
    const char *name = json_string_value(json_object_get(tensor, "name"));
    const char *dtype = json_string_value(json_object_get(tensor, "dtype"));
    int at = native_of(a, name);
    if (at < 0) {
        return err_set(err, ERR_INVALID, "tensors: nothing of task %s is mapped to the problem's \"%s\"",
                       a->native->name, name);
    }
    const struct tensor *native = &a->native->tensors[at];
    const struct symbols symbols = { a->values, a->native->shapes[0].symbols.n, NULL };
    int64_t want, have = elements(json_object_get(tensor, "shape"));
    int r = tensor_count(native, &symbols, &want, err);
    if (r < 0) {
        return r;
    }
    if (!str_eq(dtype, dtype_name(native->dtype)) || have != want) {
        auto_free char *is = have < 0 ? xstrdup("too many") : xprintf("%lld", (long long)have);
        return err_set(err, ERR_INVALID, "tensors.%s: task %s wants %lld of %s, the problem's \"%s\" is %s of %s",
                       native->name, a->native->name, (long long)want, dtype_name(native->dtype), name, is, dtype);
    }
    a->used[at] = true;
    json_object_set_new(tensor, "name", json_string(native->name));
    return 0;
}

static int rename_all(struct applying *a, struct err *err)
{
    json_t *tensor;
    size_t i;
    for (size_t role = 0; role < ARRAY_LEN(roles); role++) {
        json_array_foreach(json_object_get(a->doc, roles[role]), i, tensor)
        {
            int r = rename_tensor(a, tensor, err);
            if (r < 0) {
                return r;
            }
        }
    }
    for (size_t k = 0; k < a->native->n_tensors; k++) {
        if (!a->used[k]) {
            return err_set(err, ERR_INVALID, "tensors.%s of task %s: the problem has no tensor for it",
                           a->native->tensors[k].name, a->native->name);
        }
    }
    return 0;
}

/* The problem's scalar of that name, as it stands in the document. */
static const json_t *scalar_of(const struct applying *a, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(a->doc, "scalars"), i, one)
    {
        if (str_eq(json_string_value(json_object_get(one, "name")), name)) {
            return json_object_get(one, "value");
        }
    }
    return NULL;
}

static int set_scalars(struct applying *a, struct err *err)
{
    json_t *list = json_array();
    size_t named = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < a->native->n_scalars; i++) {
        const struct scalar *native = &a->native->scalars[i];
        const json_t *value = json_object_get(a->entry->scalars, native->name);
        if (json_is_string(value)) {
            value = scalar_of(a, json_string_value(value));
            named += value != NULL;
        }
        r = json_is_number(value) || json_is_boolean(value) ? 0
            : err_set(err, ERR_INVALID, "scalars.%s of task %s: neither a number nor a scalar of the problem",
                      native->name, a->native->name);
        json_array_append_new(list, json_pack("{s:s,s:s,s:O?}", "name", native->name, "dtype",
                                              dtype_name(native->dtype), "value", value));
    }
    if (r == 0 && json_array_size(json_object_get(a->doc, "scalars")) > named) {
        r = err_set(err, ERR_INVALID, "scalars: one of the problem's isn't mapped");
    }
    json_object_set_new(a->doc, "scalars", list);
    return r;
}

int mapping_apply(const struct mapping_entry *entry, const struct task *native, json_t *doc,
                  struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct applying *a = arena_alloc(arena, 1, sizeof(*a));
    *a = (struct applying) { .entry = entry, .native = native, .doc = doc, .arena = arena };
    know_sizes(a);
    int r = set_symbols(a, err);
    r = r < 0 ? r : rename_all(a, err);
    r = r < 0 ? r : set_scalars(a, err);
    if (r < 0) {
        err_wrap(err, "%s", entry->problem);
        return r;
    }
    json_object_set_new(doc, "family", json_string(native->family));
    return 0;
}
