/* SPDX-License-Identifier: MIT */
#include "kernelbench/candidate.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits of every CUDA device this project targets (compute capability 8.0 and up). */
enum { THREADS_MAX = 1024, BLOCK_Z_MAX = 64, GRID_YZ_MAX = 65535, CLUSTER_MAX = 8, PLACE_MAX = 96 };

struct binder {
    const struct task *task;
    const struct shape *shape;
    const struct plan *plan;
    const struct device_facts *facts;
    struct arena *arena;
    struct err *err;
    struct symbol params[PLAN_PARAMS_MAX], device[2];
    struct symbols device_scope, scope; /* scope: params, then device, then the shape's symbols */
    struct bound *bound;
};

static int fail(struct binder *b, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "PLACE at shape NAME: text". */
static int fail(struct binder *b, const char *place, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(b->err, ERR_INVALID, "%s at shape %s: %s", place, b->shape->name, text);
}

static int eval(struct binder *b, const char *place, const struct expr *expr, int64_t *ret)
{
    int r = expr_eval(expr, &b->scope, ret, b->err);
    if (r < 0) {
        err_wrap(b->err, "%s at shape %s", place, b->shape->name);
    }
    return r;
}

/* Names of the plan must not hide names of the task: an expression would mean something else. */
static int check_name(struct binder *b, const char *place, const char *name)
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
    return what ? err_set(b->err, ERR_INVALID, "%s: the task has a %s of this name, choose another",
                          place, what)
                : 0;
}

/* Unknown symbols are faults even where evaluation at this shape doesn't reach them. */
static int check_unreached(struct binder *b)
{
    char place[PLACE_MAX];
    int r = 0;
    for (size_t i = 0; r == 0 && i < b->plan->n_whens; i++) {
        snprintf(place, sizeof(place), "when[%zu].if", i);
        r = expr_check(b->plan->whens[i].condition, &b->scope, b->err);
    }
    for (size_t i = 0; r == 0 && i < b->plan->n_constraints; i++) {
        snprintf(place, sizeof(place), "constraints[%zu]", i);
        r = expr_check(b->plan->constraints[i], &b->scope, b->err);
    }
    if (r < 0) {
        err_wrap(b->err, "%s", place);
    }
    return r;
}

static int bind_params(struct binder *b)
{
    const struct plan *plan = b->plan;
    b->device[0] = (struct symbol) { "sm_count", b->facts->sm_count };
    b->device[1] = (struct symbol) { "max_shared", b->facts->max_shared };
    b->device_scope = (struct symbols) { b->device, ARRAY_LEN(b->device), &b->shape->symbols };
    b->scope = (struct symbols) { b->params, plan->n_params, &b->device_scope };
    for (size_t i = 0; i < plan->n_params; i++) {
        char place[PLACE_MAX];
        snprintf(place, sizeof(place), "params.%s", plan->params[i].name);
        b->params[i] = (struct symbol) { plan->params[i].name, plan->params[i].value };
        int r = check_name(b, place, plan->params[i].name);
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
    char place[PLACE_MAX];
    snprintf(place, sizeof(place), "scratch[%zu].name", index);
    int r = check_name(b, place, scratch->name);
    *buffer = (struct bound_buffer) { .name = scratch->name, .dtype = scratch->dtype,
                                      .role = TENSOR_ROLE_SCRATCH, .count = 1,
                                      .domain = DOMAIN_KIND_REAL };
    for (size_t i = 0; r == 0 && i < scratch->rank; i++) {
        snprintf(place, sizeof(place), "scratch[%zu].shape[%zu]", index, i);
        r = eval(b, place, scratch->dims[i], &buffer->inner);
        if (r == 0 && buffer->inner < 1) {
            r = fail(b, place, "\"%s\" is %lld, it must be at least 1",
                     expr_text(scratch->dims[i]), (long long)buffer->inner);
        } else if (r == 0 && __builtin_mul_overflow(buffer->count, buffer->inner, &buffer->count)) {
            r = fail(b, place, "more elements than fit in 64 bits");
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
                       "at shape %s tensors and scratch take %s%.3f GB, and the device has room for "
                       "%.3f GB: use less scratch, or a smaller shape", b->shape->name,
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

static int unknown_name(struct binder *b, const char *place, const char *name)
{
    const char *known[TASK_TENSORS_MAX * 2 + PLAN_SCRATCH_MAX + PLAN_PARAMS_MAX + TASK_SYMBOLS_MAX
                      + 2];
    size_t n = 0;
    for (size_t i = 0; i < b->bound->n_buffers; i++) {
        known[n++] = b->bound->buffers[i].name;
    }
    for (size_t i = 0; i < b->task->n_scalars; i++) {
        known[n++] = b->task->scalars[i].name;
    }
    for (const struct symbols *scope = &b->scope; scope; scope = scope->outer) {
        for (size_t i = 0; i < scope->n; i++) {
            known[n++] = scope->at[i].name;
        }
    }
    const char *near = suggest(name, known, n);
    return fail(b, place, "\"%s\" is no tensor, scratch buffer, scalar, parameter or symbol%s%s%s",
                name, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The index of a buffer, or -1. */
static int64_t find_buffer(const struct bound *bound, const char *name)
{
    for (size_t i = 0; i < bound->n_buffers; i++) {
        if (str_eq(bound->buffers[i].name, name)) {
            return (int64_t)i;
        }
    }
    return -1;
}

/*
 * `prepare` runs once for a set of weights, outside the timing: it may see what is the same in
 * every run, and nothing else.
 */
static int check_prepare(struct binder *b, const char *place, int64_t index)
{
    const struct bound_buffer *buffer = &b->bound->buffers[index];
    if (buffer->role == TENSOR_ROLE_WEIGHT || buffer->role == TENSOR_ROLE_SCRATCH) {
        return 0;
    }
    return fail(b, place, "\"%s\" is an %s: prepare sees only weights and scratch", buffer->name,
                tensor_role_name(buffer->role));
}

static int bind_arg(struct binder *b, const char *place, const struct plan_arg *arg, bool prepare,
                    struct bound_arg *ret)
{
    ret->kind = BOUND_ARG_KIND_INT;
    if (!arg->name) {
        return eval(b, place, arg->expr, &ret->value);
    }
    int64_t index = find_buffer(b->bound, arg->name);
    if (index >= 0) {
        *ret = (struct bound_arg) { BOUND_ARG_KIND_BUFFER, index };
        return prepare ? check_prepare(b, place, index) : 0;
    }
    for (size_t i = 0; i < b->task->n_scalars; i++) {
        if (str_eq(b->task->scalars[i].name, arg->name)) {
            *ret = (struct bound_arg) { BOUND_ARG_KIND_SCALAR, (int64_t)i };
            return 0;
        }
    }
    const int64_t *value = symbols_find(&b->scope, arg->name);
    if (!value) {
        return unknown_name(b, place, arg->name);
    }
    ret->value = *value;
    return 0;
}

static int bind_memset(struct binder *b, const char *step, const struct plan_launch *from,
                       bool prepare, struct bound_launch *to)
{
    char place[PLACE_MAX + 16];
    snprintf(place, sizeof(place), "%s.memset", step);
    to->buffer = find_buffer(b->bound, from->buffer);
    to->value = from->value;
    if (to->buffer < 0) {
        return unknown_name(b, place, from->buffer);
    }
    enum tensor_role role = b->bound->buffers[to->buffer].role;
    if (role == TENSOR_ROLE_OUTPUT && !prepare) {
        return 0;
    }
    return role == TENSOR_ROLE_SCRATCH
        ? 0
        : fail(b, place, "\"%s\" is an %s: only %s can be set", from->buffer,
               tensor_role_name(role), prepare ? "scratch" : "outputs and scratch");
}

/* One to three sizes; missing ones are 1. */
static int bind_dims(struct binder *b, const char *step, const char *key, size_t n,
                     struct expr *const *from, const int64_t most[3], const char *what,
                     int64_t to[3])
{
    for (size_t i = 0; i < 3; i++) {
        char place[PLACE_MAX + 32];
        snprintf(place, sizeof(place), "%s.%s[%zu]", step, key, i);
        to[i] = 1;
        int r = i < n ? eval(b, place, from[i], &to[i]) : 0;
        if (r < 0) {
            return r;
        }
        if (to[i] < 1) {
            return err_set(b->err, ERR_INVALID, "%s is %lld at shape %s: every %s is at least 1",
                           place, (long long)to[i], b->shape->name, what);
        }
        if (to[i] > most[i]) {
            return err_set(b->err, ERR_INVALID, "%s is %lld at shape %s: this %s is at most %lld",
                           place, (long long)to[i], b->shape->name, what, (long long)most[i]);
        }
    }
    return 0;
}

static int check_cluster(struct binder *b, const char *step, const struct bound_launch *to)
{
    int64_t blocks = to->cluster[0] * to->cluster[1] * to->cluster[2];
    if (blocks > CLUSTER_MAX) {
        return fail(b, step, "a cluster of %lld blocks, %d at most", (long long)blocks,
                    CLUSTER_MAX);
    }
    for (size_t i = 0; i < 3; i++) {
        if (to->grid[i] % to->cluster[i]) {
            return fail(b, step, "grid[%zu] is %lld, not a multiple of cluster[%zu], %lld", i,
                        (long long)to->grid[i], i, (long long)to->cluster[i]);
        }
    }
    int capability = 0;
    bool known = sscanf(b->facts->arch, "sm_%d", &capability) == 1;
    if ((blocks > 1 || to->programmatic) && known && capability < 90) {
        return fail(b, step, "%s needs sm_90 or newer, this device is %s",
                    blocks > 1 ? "a cluster" : "a programmatic launch", b->facts->arch);
    }
    return 0;
}

static int check_block(struct binder *b, const char *step, const struct bound_launch *to)
{
    int64_t threads = to->block[0] * to->block[1] * to->block[2];
    if (threads > THREADS_MAX) {
        return fail(b, step, "a block of %lld x %lld x %lld is %lld threads, %d at most",
                    (long long)to->block[0], (long long)to->block[1], (long long)to->block[2],
                    (long long)threads, THREADS_MAX);
    }
    return 0;
}

static int bind_shared(struct binder *b, const char *step, const struct plan_launch *from,
                       struct bound_launch *to)
{
    char place[PLACE_MAX + 16];
    snprintf(place, sizeof(place), "%s.shared", step);
    int r = from->shared ? eval(b, place, from->shared, &to->shared) : 0;
    if (r == 0 && to->shared < 0) {
        r = fail(b, place, "%lld bytes, it can't be negative", (long long)to->shared);
    }
    if (r == 0 && to->shared > b->facts->max_shared) {
        r = fail(b, place, "%lld bytes, a block of this device has %lld: use smaller tiles or fewer "
                           "stages, or add the constraint \"%s <= max_shared\"",
                 (long long)to->shared, (long long)b->facts->max_shared, expr_text(from->shared));
    }
    return r;
}

static int bind_kernel(struct binder *b, const char *step, const struct plan_launch *from,
                       bool prepare, struct bound_launch *to)
{
    static const int64_t grid_max[] = { INT32_MAX, GRID_YZ_MAX, GRID_YZ_MAX };
    static const int64_t block_max[] = { THREADS_MAX, THREADS_MAX, BLOCK_Z_MAX };
    static const int64_t cluster_max[] = { CLUSTER_MAX, CLUSTER_MAX, CLUSTER_MAX };
    *to = (struct bound_launch) { .kernel = from->kernel, .cooperative = from->cooperative,
                                  .programmatic = from->programmatic, .n_args = from->n_args };
    int r = bind_dims(b, step, "grid", from->n_grid, from->grid, grid_max, "grid dimension",
                      to->grid);
    if (r == 0) {
        r = bind_dims(b, step, "block", from->n_block, from->block, block_max, "block dimension",
                      to->block);
    }
    if (r == 0) {
        r = bind_dims(b, step, "cluster", from->n_cluster, from->cluster, cluster_max,
                      "cluster dimension", to->cluster);
    }
    if (r == 0) {
        r = check_block(b, step, to);
    }
    if (r == 0) {
        r = check_cluster(b, step, to);
    }
    if (r == 0) {
        r = bind_shared(b, step, from, to);
    }
    to->args = arena_alloc(b->arena, from->n_args, sizeof(*to->args));
    for (size_t i = 0; r == 0 && i < from->n_args; i++) {
        char place[PLACE_MAX + 32];
        snprintf(place, sizeof(place), "%s.args[%zu]", step, i);
        r = bind_arg(b, place, &from->args[i], prepare, &to->args[i]);
    }
    return r;
}

static int bind_steps(struct binder *b, bool prepare, const struct plan_launch *from, size_t n,
                      struct bound_launch **ret, size_t *ret_n)
{
    struct bound_launch *steps = arena_alloc(b->arena, n, sizeof(*steps));
    for (size_t i = 0; i < n; i++) {
        char step[PLACE_MAX];
        snprintf(step, sizeof(step), "%s[%zu]", prepare ? "prepare" : "launches", i);
        int r = from[i].kernel ? bind_kernel(b, step, &from[i], prepare, &steps[i])
                               : bind_memset(b, step, &from[i], prepare, &steps[i]);
        if (r < 0) {
            return r;
        }
    }
    *ret = steps;
    *ret_n = n;
    return 0;
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
    for (size_t i = 0; i < plan->n_defines; i++) {
        char place[PLACE_MAX];
        int64_t value;
        snprintf(place, sizeof(place), "defines.%s", plan->defines[i].name);
        int r = eval(b, place, plan->defines[i].value, &value);
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
