/* SPDX-License-Identifier: MIT */
/* A plan's library steps: members into arguments, by the tables of library.h. */
#include "base/util.h"
#include "kernelbench/field.h"
#include "kernelbench/library.h"
#include "kernelbench/plan_parts.h"

enum { MEMBERS_MAX = 24, NAMES_MAX = 8 };

static int unknown(const char *name, const struct jpath *at, struct err *err)
{
    const char *known[NAMES_MAX];
    size_t n = 0;
    for (const struct library_table *t; n < NAMES_MAX && (t = library_at(n)); n++) {
        known[n] = t->name;
    }
    const char *near = suggest(name, known, n);
    struct jpath here = { at, "library", 0 };
    return jread_fail(&here, err, "no library step is called \"%.60s\"; there are cublaslt.matmul and "
                                  "cudnn.convolution%s%s%s", name, near ? ", did you mean \"" : "",
                      near ? near : "", near ? "\"?" : "");
}

static int read_choice(const json_t *value, const struct library_member *m, const struct jpath *at, int64_t *ret,
                       struct err *err)
{
    const char *text = json_is_boolean(value) ? (json_is_true(value) ? "true" : "false") : json_string_value(value);
    for (size_t i = 0; text && m->choices[i]; i++) {
        if (str_eq(text, m->choices[i])) {
            *ret = (int64_t)i;
            return 0;
        }
    }
    return jread_fail(at, err, "expected one of %s, %s%s%s, got %s", m->choices[0], m->choices[1],
                      m->choices[2] ? ", " : "", m->choices[2] ? m->choices[2] : "",
                      text ? text : jread_kind(value));
}

static int read_number(const json_t *value, const struct jpath *at, struct arena *arena, struct plan_arg *ret,
                       struct err *err)
{
    struct expr *expr = NULL;
    int r = field_expr(value, at, arena, &expr, err);
    if (r == 0) {
        *ret = (struct plan_arg) { .expr = expr };
    }
    return r;
}

/* A list of all the numbers, or with fewer spatial ones: those that are missing stand in front. */
static int read_list(const json_t *list, const struct library_member *m, const struct jpath *at, struct arena *arena,
                     struct plan_arg *args, struct err *err)
{
    size_t n = json_array_size(list), fixed = m->n - m->spatial;
    if (!json_is_array(list) || n < fixed + 1 || n > m->n) {
        return jread_fail(at, err, "expected a list of %zu to %zu numbers", fixed + 1, m->n);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct jpath element = { at, NULL, i };
        size_t to = i < fixed ? i : m->n - n + i;
        r = read_number(json_array_get(list, i), &element, arena, &args[to], err);
    }
    return r;
}

static int read_member(const json_t *value, const struct library_member *m, const struct jpath *at,
                       struct arena *arena, struct plan_arg *args, struct err *err)
{
    int64_t choice = 0;
    int r = 0;
    switch (m->kind) {
    case LIBRARY_KIND_INPUT:
    case LIBRARY_KIND_OUTPUT:
        if (!json_is_string(value) || !field_is_identifier(json_string_value(value))) {
            return jread_fail(at, err, "expected the name of a tensor or a scratch buffer, got %s", jread_kind(value));
        }
        args[0] = (struct plan_arg) { .name = arena_strdup(arena, json_string_value(value)) };
        return 0;
    case LIBRARY_KIND_CHOICE:
        r = read_choice(value, m, at, &choice, err);
        args[0] = (struct plan_arg) { .expr = expr_constant(arena, choice) };
        return r;
    case LIBRARY_KIND_NUMBER:
        break;
    }
    return m->n == 1 ? read_number(value, at, arena, args, err) : read_list(value, m, at, arena, args, err);
}

int plan_library(const json_t *step, const struct jpath *at, struct arena *arena, struct plan_launch *launch,
                 struct err *err)
{
    const char *name = NULL, *known[MEMBERS_MAX] = { "library" };
    int r = jread_string(step, "library", true, at, &name, err);
    const struct library_table *table = r < 0 ? NULL : library_find(name);
    if (!table) {
        return r < 0 ? r : unknown(name, at, err);
    }
    for (size_t i = 0; i < table->n_members; i++) {
        known[i + 1] = table->members[i].name;
    }
    r = jread_object(step, at, known, table->n_members + 1, err);
    launch->library = table;
    launch->n_args = table->n_args;
    launch->args = arena_alloc(arena, table->n_args, sizeof(*launch->args));
    struct plan_arg *args = launch->args;
    for (size_t i = 0; r == 0 && i < table->n_members; args += table->members[i++].n) {
        const struct library_member *m = &table->members[i];
        const json_t *value = json_object_get(step, m->name);
        struct jpath here = { at, m->name, 0 };
        for (size_t k = 0; k < m->n; k++) {
            args[k] = (struct plan_arg) { .expr = expr_constant(arena, m->missing) };
        }
        r = value ? read_member(value, m, &here, arena, args, err)
            : m->required ? jread_fail(at, err, "%s needs \"%s\"", table->name, m->name) : 0;
    }
    return r;
}
