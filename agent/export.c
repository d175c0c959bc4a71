/* SPDX-License-Identifier: MIT */
#include "agent/export.h"
#include "base/jread.h"
#include "base/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Words that a parameter, or all of it, can't be called in C or in Python. */
static const char *const taken[] = {
    "False", "None", "True", "arg", "step", "tensor",
    "and", "as", "assert", "async", "auto", "await", "bool", "break", "case", "char", "class", "const",
    "continue", "def", "default", "del", "do", "double", "elif", "else", "enum", "except", "extern", "finally",
    "float", "for", "from", "global", "goto", "if", "import", "in", "inline", "int", "is", "lambda", "long",
    "main", "nonlocal", "not", "or", "pass", "raise", "register", "restrict", "return", "short", "signed",
    "sizeof", "static", "stream", "struct", "switch", "torch", "try", "typedef", "union", "unsigned", "void",
    "volatile", "while", "with", "yield",
};

char *export_word(const char *text, struct arena *arena)
{
    bool first = isalpha((unsigned char)*text) || *text == '_';
    char *word = arena_printf(arena, "%s%s", first ? "" : "k", text);
    for (char *at = word; *at; at++) {
        *at = isalnum((unsigned char)*at) && (unsigned char)*at < 128 ? *at : '_';
    }
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        if (str_eq(taken[i], word)) {
            return arena_printf(arena, "%s_", word);
        }
    }
    return word;
}

/* The oracle's tensor number i, in the order inputs, weights, inout, outputs; or NULL. */
static const json_t *described_tensor(const json_t *described, size_t i)
{
    static const char *const keys[] = { "inputs", "weights", "inout", "outputs" };
    for (size_t k = 0; described && k < ARRAY_LEN(keys); k++) {
        const json_t *list = json_object_get(described, keys[k]);
        if (i < json_array_size(list)) {
            return json_array_get(list, i);
        }
        i -= json_array_size(list);
    }
    return NULL;
}

/* A family's words may give a tensor another shape of as many elements: forward sees the problem's. */
static int described_dims(const json_t *tensor, struct export_tensor *t, struct err *err)
{
    const json_t *shape = json_object_get(tensor, "shape");
    int64_t count = 1;
    size_t rank = json_array_size(shape);
    for (size_t i = 0; i < rank && i < TASK_RANK_MAX; i++) {
        t->dims[i] = json_integer_value(json_array_get(shape, i));
        if (t->dims[i] < 1 || __builtin_mul_overflow(count, t->dims[i], &count)) {
            count = -1;
            break;
        }
    }
    t->rank = rank;
    return rank <= TASK_RANK_MAX && count == t->count
        ? 0
        : err_set(err, ERR_INVALID, "%s: what the oracle describes has another size", t->name);
}

static int own_dims(const struct tensor *tensor, const struct symbols *symbols, struct export_tensor *t,
                    struct err *err)
{
    int r = 0;
    t->rank = tensor->rank;
    for (size_t i = 0; r == 0 && i < t->rank; i++) {
        r = expr_eval(tensor->dims[i], symbols, &t->dims[i], err);
    }
    return r;
}

static int alias_of(const struct task *task, size_t output)
{
    for (size_t k = 0; k < task->n_aliases; k++) {
        for (size_t i = 0; i < task->n_tensors; i++) {
            if (str_eq(task->aliases[k][0], task->tensors[output].name)
                && str_eq(task->aliases[k][1], task->tensors[i].name)) {
                return (int)i;
            }
        }
    }
    return -1;
}

static int make_tensors(struct export *e, const json_t *described, struct arena *arena, struct err *err)
{
    const struct task *task = e->task;
    int r = 0;
    e->n_tensors = e->bound->n_tensors;
    e->tensors = arena_alloc(arena, e->n_tensors + 1, sizeof(*e->tensors));
    for (size_t i = 0; r == 0 && i < e->n_tensors; i++) {
        const struct bound_buffer *b = &e->bound->buffers[i];
        struct export_tensor *t = &e->tensors[i];
        *t = (struct export_tensor) { .name = export_word(b->name, arena), .dtype = b->dtype, .role = b->role,
                                      .count = b->count, .alias = alias_of(task, i) };
        const json_t *known = described_tensor(described, i);
        r = known       ? described_dims(known, t, err)
            : described ? err_set(err, ERR_INVALID, "the oracle describes fewer tensors than the task has")
                        : own_dims(&task->tensors[i], &task->shapes[0].symbols, t, err);
    }
    return r;
}

/* A library's call needs that library where the export runs, and a handle to it: not what these files carry. */
static int refuse_libraries(const struct bound *bound, struct err *err)
{
    for (size_t i = 0; i < bound->n_launches + bound->n_prepare; i++) {
        bool later = i >= bound->n_launches;
        size_t at = later ? i - bound->n_launches : i;
        if ((later ? &bound->prepare[at] : &bound->launches[at])->library) {
            return err_set(err, ERR_UNSUPPORTED, "%s[%zu] is a library's call, which can't be exported",
                           later ? "prepare" : "launches", at);
        }
    }
    return 0;
}

struct image_wait {
    bool done;
    int code;
    struct err *err;
    struct export *export;
};

static void on_image(void *ud, int code, const void *bytes, size_t len, const char *error)
{
    struct image_wait *w = ud;
    w->done = true;
    w->code = code < 0 ? err_set(w->err, code, "%s", error) : 0;
    if (code == 0) {
        w->export->image = xcalloc(1, len + 1);
        w->export->image_len = len;
        memcpy(w->export->image, bytes, len);
    }
}

int export_make(struct session *session, const struct task *task, const struct candidate *candidate,
                const char *name, const json_t *described, struct arena *arena, struct export *ret,
                struct err *err)
{
    const struct device_info *d = evaluator_device(session->evaluator);
    struct bound *bound = NULL;
    struct export e = { .task = task, .candidate = candidate, .name = export_word(name, arena), .made = "",
                        .ptx = d->modelled, .arch = d->facts.arch, .device = d->name,
                        .scalars = described ? json_object_get(described, "scalars") : NULL };
    int r = candidate_bind(task, &task->shapes[0], candidate->plan, &d->facts, arena, &bound, err);
    e.bound = bound;
    r = r < 0 ? r : refuse_libraries(bound, err);
    r = r < 0 ? r : make_tensors(&e, described, arena, err);
    if (r < 0) {
        return r;
    }
    struct image_wait wait = { .err = err, .export = &e };
    evaluator_image(session->evaluator, task, candidate, on_image, &wait);
    while (!wait.done && uv_run(&session->loop, UV_RUN_ONCE)) {
    }
    if (wait.code < 0) {
        return wait.code;
    }
    *ret = e;
    return 0;
}

void export_done(struct export *export)
{
    free(export->image);
    export->image = NULL;
}
