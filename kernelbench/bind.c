/* SPDX-License-Identifier: MIT */
#include "kernelbench/bind.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int bind_fail(struct binder *b, const struct jpath *place, const char *format, ...)
{
    char text[1024], where[PLACE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    jread_path(place, where, sizeof(where));
    return err_set(b->err, ERR_INVALID, "%s at shape %s: %s", where, b->shape->name, text);
}

int bind_eval(struct binder *b, const struct jpath *place, const struct expr *expr, int64_t *ret)
{
    int r = expr_eval(expr, &b->scope, ret, b->err);
    if (r < 0) {
        char where[PLACE_MAX];
        jread_path(place, where, sizeof(where));
        err_wrap(b->err, "%s at shape %s", where, b->shape->name);
    }
    return r;
}

/* Names of the plan must not hide names of the task: an expression would mean something else. */
static int check_name(struct binder *b, const struct jpath *place, const char *name)
{
    const char *what = NULL;
    if (symbols_find(&b->shape->symbols, name)) {
        what = "symbol";
    } else if (task_tensor(b->task, name)) {
        what = "tensor";
    }
    for (size_t i = 0; i < b->task->n_scalars; i++) {
        what = str_eq(b->task->scalars[i].name, name) ? "scalar" : what;
    }
    return what ? jread_fail(place, b->err, "the task has a %s of this name, choose another", what)
                : 0;
}

/* Unknown symbols are faults even where evaluation at this shape doesn't reach them. */
static int check_unreached(struct binder *b)
{
    const struct plan *plan = b->plan;
    for (size_t i = 0; i < plan->n_whens; i++) {
        int r = expr_check(plan->whens[i].condition, &b->scope, b->err);
        if (r < 0) {
            return err_wrap(b->err, "when[%zu].if", i), r;
        }
    }
    for (size_t i = 0; i < plan->n_constraints; i++) {
        int r = expr_check(plan->constraints[i], &b->scope, b->err);
        if (r < 0) {
            return err_wrap(b->err, "constraints[%zu]", i), r;
        }
    }
    return 0;
}

static int bind_params(struct binder *b)
{
    const struct plan *plan = b->plan;
    b->device[0] = (struct symbol) { "sm_count", b->facts->sm_count };
    b->device[1] = (struct symbol) { "max_shared", b->facts->max_shared };
    b->device_scope = (struct symbols) { b->device, ARRAY_LEN(b->device), &b->shape->symbols };
    b->scope = (struct symbols) { b->params, plan->n_params, &b->device_scope };
    struct jpath params = { NULL, "params", 0 };
    for (size_t i = 0; i < plan->n_params; i++) {
        struct jpath place = { &params, plan->params[i].name, 0 };
        b->params[i] = (struct symbol) { plan->params[i].name, plan->params[i].value };
        int r = check_name(b, &place, plan->params[i].name);
        if (r < 0) {
            return r;
        }
    }
    int r = check_unreached(b);
    if (r < 0) {
        return r;
    }
    r = plan_settle(plan, &b->device_scope, b->params, b->err);
    if (r < 0) {
        err_wrap(b->err, "at shape %s", b->shape->name);
    }
    return r;
}

static int bind_tensor(struct binder *b, const struct tensor *tensor, struct bound_buffer *buffer)
{
    const struct symbols *symbols = &b->shape->symbols;
    *buffer = (struct bound_buffer) { .name = tensor->name, .dtype = tensor->dtype,
                                      .role = tensor->role, .inner = 1, .domain = tensor->domain };
    int r = tensor_count(tensor, symbols, &buffer->count, b->err);
    if (r == 0 && tensor->rank) {
        r = expr_eval(tensor->dims[tensor->rank - 1], symbols, &buffer->inner, b->err);
    }
    if (r == 0 && tensor->index_bound) {
        r = expr_eval(tensor->index_bound, symbols, &buffer->index_bound, b->err);
    }
    if (r < 0) {
        err_wrap(b->err, "task %s at shape %s", b->task->name, b->shape->name);
    }
    return r;
}

static int bind_scratch(struct binder *b, size_t index, struct bound_buffer *buffer)
{
    const struct plan_scratch *scratch = &b->plan->scratch[index];
    struct jpath all = { NULL, "scratch", 0 }, one = { &all, NULL, index };
    struct jpath name = { &one, "name", 0 }, shape = { &one, "shape", 0 };
    int r = check_name(b, &name, scratch->name);
    *buffer = (struct bound_buffer) { .name = scratch->name, .dtype = scratch->dtype,
                                      .role = TENSOR_ROLE_SCRATCH, .count = 1,
                                      .domain = DOMAIN_KIND_REAL };
    for (size_t i = 0; r == 0 && i < scratch->rank; i++) {
        struct jpath place = { &shape, NULL, i };
        r = bind_eval(b, &place, scratch->dims[i], &buffer->inner);
        if (r == 0 && buffer->inner < 1) {
            r = bind_fail(b, &place, "\"%s\" is %lld, it must be at least 1",
                          expr_text(scratch->dims[i]), (long long)buffer->inner);
        } else if (r == 0 && __builtin_mul_overflow(buffer->count, buffer->inner, &buffer->count)) {
            r = bind_fail(b, &place, "more elements than fit in 64 bits");
        }
    }
    return r;
}

static int check_memory(struct binder *b)
{
    int64_t total = 0, bytes;
    bool over = false;
    for (size_t i = 0; i < b->bound->n_buffers; i++) {
        const struct bound_buffer *buffer = &b->bound->buffers[i];
        over = over
            || __builtin_mul_overflow(buffer->count, (int64_t)dtype_size(buffer->dtype), &bytes)
            || __builtin_add_overflow(total, bytes, &total);
    }
    if (over || total > b->facts->max_memory) {
        return err_set(b->err, ERR_INVALID,
                       "at shape %s tensors and scratch take %s%.3f GB, and the device has room "
                       "for %.3f GB: use less scratch, or a smaller shape", b->shape->name,
                       over ? "more than " : "", over ? 9.2e9 : (double)total / 1e9,
                       (double)b->facts->max_memory / 1e9);
    }
    return 0;
}

static int bind_buffers(struct binder *b)
{
    struct bound *bound = b->bound;
    bound->n_tensors = b->task->n_tensors;
    bound->n_buffers = bound->n_tensors + b->plan->n_scratch;
    bound->buffers = arena_alloc(b->arena, bound->n_buffers, sizeof(*bound->buffers));
    int r = 0;
    for (size_t i = 0; r == 0 && i < bound->n_tensors; i++) {
        r = bind_tensor(b, &b->task->tensors[i], &bound->buffers[i]);
    }
    for (size_t i = 0; r == 0 && i < b->plan->n_scratch; i++) {
        r = bind_scratch(b, i, &bound->buffers[bound->n_tensors + i]);
    }
    return r < 0 ? r : check_memory(b);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* INT64_MIN has no literal in C. */
static const char *define(struct binder *b, const char *name, int64_t value)
{
    return value == INT64_MIN ? arena_printf(b->arena, "-D%s=(-9223372036854775807-1)", name)
                              : arena_printf(b->arena, "-D%s=%lld", name, (long long)value);
}

static int bind_options(struct binder *b)
{
    const struct plan *plan = b->plan;
    size_t n = 0;
    const char **options = arena_alloc(b->arena, plan->n_params + plan->n_defines + plan->n_compile,
                                       sizeof(*options));
    for (size_t i = 0; i < plan->n_params; i++) {
        options[n++] = define(b, b->params[i].name, b->params[i].value);
    }
    struct jpath defines = { NULL, "defines", 0 };
    for (size_t i = 0; i < plan->n_defines; i++) {
        struct jpath place = { &defines, plan->defines[i].name, 0 };
        int64_t value;
        int r = bind_eval(b, &place, plan->defines[i].value, &value);
        if (r < 0) {
            return r;
        }
        options[n++] = define(b, plan->defines[i].name, value);
    }
    qsort(options, n, sizeof(*options), by_text);
    for (size_t i = 0; i < plan->n_compile; i++) {
        options[n++] = plan->compile[i];
    }
    b->bound->options = options;
    b->bound->n_options = n;
    return 0;
}

int candidate_bind(const struct task *task, const struct shape *shape, const struct plan *plan,
                   const struct device_facts *facts, struct arena *arena, struct bound **ret,
                   struct err *err)
{
    struct bound *bound = arena_alloc(arena, 1, sizeof(*bound));
    struct binder b = { .task = task, .shape = shape, .plan = plan, .facts = facts, .arena = arena,
                        .err = err, .bound = bound };
    bound->graph = plan->graph;
    int r = bind_params(&b);
    if (r == 0) {
        r = bind_buffers(&b);
    }
    if (r == 0) {
        r = bind_steps(&b, true, plan->prepare, plan->n_prepare, &bound->prepare,
                       &bound->n_prepare);
    }
    if (r == 0) {
        r = bind_steps(&b, false, plan->launches, plan->n_launches, &bound->launches,
                       &bound->n_launches);
    }
    if (r == 0) {
        r = bind_options(&b);
    }
    if (r == 0) {
        *ret = bound;
    }
    return r;
}
