/* SPDX-License-Identifier: MIT */
#include "kernelbench/bind.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

/* Limits of every CUDA device this project targets (compute capability 8.0 and up). */
enum { THREADS_MAX = 1024, BLOCK_Z_MAX = 64, GRID_YZ_MAX = 65535, CLUSTER_MAX = 8 };

static int unknown_name(struct binder *b, const struct jpath *place, const char *name)
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
    return bind_fail(b, place,
                     "\"%s\" is no tensor, scratch buffer, scalar, parameter or symbol%s%s%s", name,
                     near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int unknown_buffer(struct binder *b, const struct jpath *place, const char *name)
{
    const char *known[TASK_TENSORS_MAX + PLAN_SCRATCH_MAX];
    for (size_t i = 0; i < b->bound->n_buffers; i++) {
        known[i] = b->bound->buffers[i].name;
    }
    const char *near = suggest(name, known, b->bound->n_buffers);
    return bind_fail(b, place, "\"%s\" is no tensor or scratch buffer%s%s%s", name,
                     near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
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
static int check_prepare(struct binder *b, const struct jpath *place, int64_t index)
{
    const struct bound_buffer *buffer = &b->bound->buffers[index];
    if (buffer->role == TENSOR_ROLE_WEIGHT || buffer->role == TENSOR_ROLE_SCRATCH) {
        return 0;
    }
    return bind_fail(b, place, "\"%s\" is an %s: prepare sees only weights and scratch",
                     buffer->name, tensor_role_name(buffer->role));
}

int bind_arg(struct binder *b, const struct jpath *place, const struct plan_arg *arg, bool prepare,
             struct bound_arg *ret)
{
    ret->kind = BOUND_ARG_KIND_INT;
    if (!arg->name) {
        return bind_eval(b, place, arg->expr, &ret->value);
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

static int bind_memset(struct binder *b, const struct jpath *step, const struct plan_launch *from,
                       bool prepare, struct bound_launch *to)
{
    struct jpath place = { step, "memset", 0 };
    to->buffer = find_buffer(b->bound, from->buffer);
    to->value = from->value;
    if (to->buffer < 0) {
        return unknown_buffer(b, &place, from->buffer);
    }
    enum tensor_role role = b->bound->buffers[to->buffer].role;
    if (role == TENSOR_ROLE_OUTPUT && !prepare) {
        return 0;
    }
    return role == TENSOR_ROLE_SCRATCH
        ? 0
        : bind_fail(b, &place, "\"%s\" is an %s: only %s can be set", from->buffer,
                    tensor_role_name(role), prepare ? "scratch" : "outputs and scratch");
}

/* One to three sizes; missing ones are 1. */
static int bind_dims(struct binder *b, const struct jpath *step, const char *key, size_t n,
                     struct expr *const *from, const int64_t most[3], const char *what,
                     int64_t to[3])
{
    struct jpath list = { step, key, 0 };
    for (size_t i = 0; i < 3; i++) {
        struct jpath place = { &list, NULL, i };
        to[i] = 1;
        int r = i < n ? bind_eval(b, &place, from[i], &to[i]) : 0;
        if (r < 0) {
            return r;
        }
        if (to[i] >= 1 && to[i] <= most[i]) {
            continue;
        }
        char where[PLACE_MAX];
        jread_path(&place, where, sizeof(where));
        return to[i] < 1
            ? err_set(b->err, ERR_INVALID, "%s is %lld at shape %s: every %s is at least 1", where,
                      (long long)to[i], b->shape->name, what)
            : err_set(b->err, ERR_INVALID, "%s is %lld at shape %s: this %s is at most %lld", where,
                      (long long)to[i], b->shape->name, what, (long long)most[i]);
    }
    return 0;
}

static int check_cluster(struct binder *b, const struct jpath *step, const struct bound_launch *to)
{
    int64_t blocks = to->cluster[0] * to->cluster[1] * to->cluster[2];
    if (blocks > CLUSTER_MAX) {
        return bind_fail(b, step, "a cluster of %lld blocks, %d at most", (long long)blocks,
                         CLUSTER_MAX);
    }
    for (size_t i = 0; i < 3; i++) {
        if (to->grid[i] % to->cluster[i]) {
            return bind_fail(b, step, "grid[%zu] is %lld, not a multiple of cluster[%zu], %lld", i,
                             (long long)to->grid[i], i, (long long)to->cluster[i]);
        }
    }
    bool known = str_prefix(b->facts->arch, "sm_");
    long capability = known ? strtol(b->facts->arch + strlen("sm_"), NULL, 10) : 0;
    if ((blocks > 1 || to->programmatic) && known && capability < 90) {
        return bind_fail(b, step, "%s needs sm_90 or newer, this device is %s",
                         blocks > 1 ? "a cluster" : "a programmatic launch", b->facts->arch);
    }
    return 0;
}

static int check_block(struct binder *b, const struct jpath *step, const struct bound_launch *to)
{
    int64_t threads = to->block[0] * to->block[1] * to->block[2];
    if (threads > THREADS_MAX) {
        return bind_fail(b, step, "a block of %lld x %lld x %lld is %lld threads, %d at most",
                         (long long)to->block[0], (long long)to->block[1], (long long)to->block[2],
                         (long long)threads, THREADS_MAX);
    }
    return 0;
}

static int bind_shared(struct binder *b, const struct jpath *step, const struct plan_launch *from,
                       struct bound_launch *to)
{
    struct jpath place = { step, "shared", 0 };
    int r = from->shared ? bind_eval(b, &place, from->shared, &to->shared) : 0;
    if (r == 0 && to->shared < 0) {
        r = bind_fail(b, &place, "%lld bytes, it can't be negative", (long long)to->shared);
    }
    if (r == 0 && to->shared > b->facts->max_shared) {
        r = bind_fail(b, &place,
                      "%lld bytes, a block of this device has %lld: use smaller tiles or fewer "
                      "stages, or add the constraint \"%s <= max_shared\"",
                      (long long)to->shared, (long long)b->facts->max_shared,
                      expr_text(from->shared));
    }
    return r;
}

static int bind_kernel(struct binder *b, const struct jpath *step, const struct plan_launch *from,
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
    struct jpath list = { step, "args", 0 };
    for (size_t i = 0; r == 0 && i < from->n_args; i++) {
        struct jpath place = { &list, NULL, i };
        r = bind_arg(b, &place, &from->args[i], prepare, &to->args[i]);
    }
    return r;
}

int bind_steps(struct binder *b, bool prepare, const struct plan_launch *from, size_t n,
               struct bound_launch **ret, size_t *ret_n)
{
    struct bound_launch *steps = arena_alloc(b->arena, n, sizeof(*steps));
    struct jpath list = { NULL, prepare ? "prepare" : "launches", 0 };
    for (size_t i = 0; i < n; i++) {
        struct jpath step = { &list, NULL, i };
        int r = from[i].kernel    ? bind_kernel(b, &step, &from[i], prepare, &steps[i])
            : from[i].library ? bind_library(b, &step, &from[i], prepare, &steps[i])
                              : bind_memset(b, &step, &from[i], prepare, &steps[i]);
        if (r < 0) {
            return r;
        }
    }
    *ret = steps;
    *ret_n = n;
    return 0;
}
