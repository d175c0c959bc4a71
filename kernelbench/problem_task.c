/* SPDX-License-Identifier: MIT */
/* A task from what the oracle says of a problem: its answer is turned into a task's document, which
 * the task's own reader then checks. */
#include "kernelbench/problem.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/field.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const double share = 1e-4; /* what an element may be off by, as KernelBench has it for f32 */

/* The document under way, and the names that are taken. */
struct writing {
    json_t *doc;
    json_t *names; /* an object, used as a set */
    const struct problem *problem;
};

/* A name that a plan can use for what the problem calls `name`: "bn.weight" becomes bn_weight. */
static json_t *free_name(struct writing *w, const char *name)
{
    char text[FIELD_NAME_MAX + 1];
    size_t n = 0;
    for (const char *at = name; *at && n < FIELD_NAME_MAX - 8; at++) {
        text[n++] = isalnum((unsigned char)*at) ? *at : '_';
    }
    text[n] = '\0';
    if (field_name(text, "a tensor", NULL, NULL) < 0) {
        memmove(text + 2, text, n + 1);
        memcpy(text, "t_", 2);
        n += 2;
    }
    for (int k = 2; json_object_get(w->names, text); k++) {
        snprintf(text + n, sizeof(text) - n, "_%d", k % 10000);
    }
    json_object_set_new(w->names, text, json_true());
    return json_string(text);
}

static int add_shapes(struct writing *w, const json_t *described, struct err *err)
{
    const json_t *symbols = json_object_get(described, "symbols");
    json_t *sizes = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)symbols, name, value)
    {
        bool fits = json_is_integer(value) && json_integer_value(value) > 0
            && json_object_size(sizes) < TASK_SYMBOLS_MAX;
        if (fits && field_name(name, "a symbol", NULL, NULL) == 0) {
            json_object_set(sizes, name, value);
            json_object_set_new(w->names, name, json_true());
        }
    }
    json_object_set_new(w->doc, "shapes", json_pack("{s:o}", "default", sizes));
    return symbols && !json_is_object(symbols)
        ? err_set(err, ERR_INVALID, "symbols: expected an object, got %s", jread_kind(symbols))
        : 0;
}

/* {"name", "dtype", "shape", "bound"} of the oracle's as a task has it. */
static int add_tensor(struct writing *w, const json_t *from, const struct jpath *at, json_t *list,
                      bool output, struct err *err)
{
    static const char *const known[] = { "name", "dtype", "shape", "bound" };
    const char *name, *dtype;
    const json_t *dims = NULL;
    int64_t bound = 0;
    int r = jread_object(from, at, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_string(from, "name", true, at, &name, err);
    r = r < 0 ? r : jread_string(from, "dtype", true, at, &dtype, err);
    r = r < 0 ? r : jread_array(from, "shape", true, SIZE_MAX, at, &dims, err);
    r = r < 0 ? r : jread_int(from, "bound", false, 1, INT64_MAX, at, &bound, err);
    if (r == 0 && json_array_size(dims) > TASK_RANK_MAX) {
        r = err_set(err, ERR_UNSUPPORTED, "%s has %zu dimensions, %d at most", name,
                    json_array_size(dims), TASK_RANK_MAX);
    }
    if (r < 0) {
        return r;
    }
    json_t *tensor = json_pack("{s:o,s:s,s:O}", "name", free_name(w, name), "dtype", dtype, "shape",
                               dims);
    if (bound && !output) {
        char domain[64];
        snprintf(domain, sizeof(domain), "index < %lld", (long long)bound);
        json_object_set_new(tensor, "domain", json_string(domain));
    }
    return json_array_append_new(list, tensor);
}

static int add_tensors(struct writing *w, const json_t *described, struct err *err)
{
    static const char *const keys[] = { "inputs", "weights", "inout", "outputs" };
    size_t n = 0;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        const json_t *from = NULL;
        int r = jread_array(described, keys[k], true, SIZE_MAX, NULL, &from, err);
        if (r < 0) {
            return r;
        }
        n += json_array_size(from);
        json_t *list = json_array();
        json_object_set_new(w->doc, keys[k], list);
        struct jpath here = { NULL, keys[k], 0 };
        for (size_t i = 0; r == 0 && i < json_array_size(from) && n <= TASK_TENSORS_MAX; i++) {
            struct jpath element = { &here, NULL, i };
            r = add_tensor(w, json_array_get(from, i), &element, list, k == 3, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return n > TASK_TENSORS_MAX
        ? err_set(err, ERR_UNSUPPORTED, "it has %zu tensors, %d at most", n, TASK_TENSORS_MAX)
        : 0;
}

static int add_scalars(struct writing *w, const json_t *described, struct err *err)
{
    const json_t *from = NULL;
    int r = jread_array(described, "scalars", false, TASK_TENSORS_MAX, NULL, &from, err);
    json_t *list = json_array();
    json_object_set_new(w->doc, "scalars", list);
    struct jpath here = { NULL, "scalars", 0 };
    for (size_t i = 0; r == 0 && i < json_array_size(from); i++) {
        struct jpath element = { &here, NULL, i };
        const json_t *one = json_array_get(from, i);
        const char *name, *kind;
        r = jread_string(one, "name", true, &element, &name, err);
        r = r < 0 ? r : jread_string(one, "kind", true, &element, &kind, err);
        if (r == 0) {
            const char *dtype = str_eq(kind, "float") ? "f32" : str_eq(kind, "bool") ? "bool" : "i64";
            json_array_append_new(list, json_pack("{s:o,s:s,s:O}", "name", free_name(w, name), "dtype",
                                                  dtype, "value", json_object_get(one, "value")));
        }
    }
    return r;
}

static int64_t count_of(const json_t *tensor, size_t from)
{
    const json_t *shape = json_object_get(tensor, "shape");
    int64_t n = 1;
    for (size_t i = from; i < json_array_size(shape); i++) {
        int64_t dim = json_integer_value(json_array_get(shape, i));
        n = dim < 1 || __builtin_mul_overflow(n, dim, &n) || n > (int64_t)1 << 45 ? 1 : n;
    }
    return n;
}

/* Terms of the sums on the longest way: each weight with rows is a sum over one of them; inputs may
 * be summed along a dimension, or as a whole where there are fewer outputs than inputs. */
static void add_accumulation(struct writing *w)
{
    int64_t terms = 0, in = 0, out = 1, longest = 1;
    size_t i;
    json_t *tensor;
    json_array_foreach(json_object_get(w->doc, "inputs"), i, tensor)
    {
        const json_t *shape = json_object_get(tensor, "shape");
        in = MAX(in, count_of(tensor, 0));
        for (size_t k = 0; k < json_array_size(shape); k++) {
            int64_t dim = json_integer_value(json_array_get(shape, k));
            longest = MAX(longest, MIN(dim, (int64_t)1 << 45)); /* more is refused later, by its own words */
        }
    }
    json_array_foreach(json_object_get(w->doc, "outputs"), i, tensor)
    {
        out = MAX(out, count_of(tensor, 0));
    }
    json_array_foreach(json_object_get(w->doc, "weights"), i, tensor)
    {
        bool rows = json_array_size(json_object_get(tensor, "shape")) > 1;
        terms = MIN(terms + (rows ? count_of(tensor, 1) : 0), (int64_t)1 << 44);
    }
    json_object_set_new(w->doc, "accumulation", json_integer(MAX(longest, in / out) + terms));
}

static void add_head(struct writing *w)
{
    char name[FIELD_NAME_MAX + 1], hex[ID_HEX];
    const struct problem *p = w->problem;
    snprintf(name, sizeof(name), "l%d-%s", p->level, p->name);
    for (char *at = name; *at; at++) {
        *at = isalnum((unsigned char)*at) || *at == '-' || *at == '_' || *at == '.' ? *at : '_';
    }
    const char *file = strrchr(p->path, '/');
    id_hex(&p->hash, hex);
    json_object_update_new(
        w->doc, json_pack("{s:i,s:s,s:s,s:b,s:{s:f,s:f,s:b},s:{s:s,s:s}}", "format", 1, "name", name,
                          "family", p->family, "specialise", 1, "tolerance", "atol", share, "rtol",
                          share, "relative", 1, "reference", "oracle", file ? file + 1 : p->path,
                          "hash", hex));
}

static int write_doc(struct writing *w, const json_t *described, struct err *err)
{
    const json_t *unsupported = json_object_get(described, "unsupported");
    const char *hash = json_string_value(json_object_get(described, "hash"));
    int64_t bytes = 0, flops = 0;
    struct id id;
    if (json_is_string(unsupported)) {
        return err_set(err, ERR_UNSUPPORTED, "%s", json_string_value(unsupported));
    }
    if (!hash || !id_parse(hash, &id) || !id_eq(&id, &w->problem->hash)) {
        return err_set(err, ERR_INVALID, "the oracle read another file than %s was", w->problem->path);
    }
    int r = add_shapes(w, described, err);
    r = r < 0 ? r : add_tensors(w, described, err);
    r = r < 0 ? r : add_scalars(w, described, err);
    r = r < 0 ? r : jread_int(described, "bytes", true, 0, (int64_t)1 << 60, NULL, &bytes, err);
    r = r < 0 ? r : jread_int(described, "flops", false, 0, (int64_t)1 << 60, NULL, &flops, err);
    if (r == 0 && flops) {
        json_object_set_new(w->doc, "flops", json_integer(flops));
    }
    if (r == 0) {
        json_object_set_new(w->doc, "bytes", json_integer(bytes));
        add_accumulation(w);
        add_head(w);
    }
    return r;
}

int problem_document(const struct problem *problem, const json_t *described, json_t **ret,
                     struct err *err)
{
    struct writing w = { json_object(), json_object(), problem };
    int r = json_is_object(described)
        ? write_doc(&w, described, err)
        : err_set(err, ERR_INVALID, "the oracle's answer is %s, not an object", jread_kind(described));
    json_decref(w.names);
    if (r < 0) {
        json_decref(w.doc);
        err_wrap(err, "%s", problem->name);
        return r;
    }
    *ret = w.doc;
    return 0;
}

int problem_document_task(const struct problem *problem, const json_t *document, struct task **ret,
                          struct err *err)
{
    struct task *task = NULL;
    auto_free char *text = json_dumps(document, JSON_COMPACT);
    int r = text ? task_parse(text, strlen(text), NULL, &task, err)
                 : err_set(err, ERR_INVALID, "the oracle's answer can't be written as a task");
    if (r < 0) {
        err_wrap(err, "%s", problem->name);
        return r;
    }
    task->oracle = arena_strdup(task->arena, problem->path);
    *ret = task;
    return 0;
}

int problem_task(const struct problem *problem, const json_t *described, struct task **ret,
                 struct err *err)
{
    json_t *doc = NULL;
    int r = problem_document(problem, described, &doc, err);
    r = r < 0 ? r : problem_document_task(problem, doc, ret, err);
    json_decref(doc);
    return r;
}
