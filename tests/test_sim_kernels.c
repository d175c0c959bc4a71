/* SPDX-License-Identifier: MIT */
/* Every shipped kernel, at the small and the held-out shapes of its task, run by the block executor
 * with all checks on and compared with the task's reference, run the same way.
 *
 * Without an argument each kernel runs at one of these shapes, in turn; with "all" at all of them,
 * and with another word where it is in the name ("softmax", "matmul/04", "small"). */
#include "tests/sim_kit.h"
#include "base/file.h"
#include "base/util.h"
#include "evaluator/sim/ops.h"
#include "kernelbench/candidate.h"
#include "kernelbench/dtype.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct runner {
    const char *filter;
    unsigned candidates, ran, failed;
};

static double noise(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15ull;
    i ^= i >> 29;
    i *= 0xbf58476d1ce4e5b9ull;
    i ^= i >> 32;
    return (double)(i & 0xffffff) / 0x1p23 - 1.0;
}

static void put_value(enum dtype dtype, double v, uint8_t *at)
{
    float f = (float)v;
    uint16_t h;
    int32_t i = (int32_t)v;
    int64_t l = (int64_t)v;
    switch (dtype) {
    case DTYPE_F64:
        memcpy(at, &v, 8);
        break;
    case DTYPE_F32:
        memcpy(at, &f, 4);
        break;
    case DTYPE_F16:
    case DTYPE_BF16:
        h = dtype == DTYPE_F16 ? ops_f2h(f) : ops_f2bf(f);
        memcpy(at, &h, 2);
        break;
    case DTYPE_I32:
        memcpy(at, &i, 4);
        break;
    case DTYPE_I64:
        memcpy(at, &l, 8);
        break;
    case DTYPE_BOOL:
        *at = v > 0;
        break;
    default:
        fail_msg("dtype %s", dtype_name(dtype));
    }
}

static double get_value(enum dtype dtype, const uint8_t *at)
{
    double v;
    float f;
    uint16_t h;
    int64_t l;
    switch (dtype) {
    case DTYPE_F64:
        memcpy(&v, at, 8);
        return v;
    case DTYPE_I64:
        memcpy(&l, at, 8);
        return (double)l;
    case DTYPE_F32:
        memcpy(&f, at, 4);
        return f;
    case DTYPE_F16:
    case DTYPE_BF16:
        memcpy(&h, at, 2);
        return dtype == DTYPE_F16 ? ops_h2f(h) : ops_bf2f(h);
    default:
        fail_msg("dtype %s", dtype_name(dtype));
        return 0;
    }
}

static uint64_t make_buffer(struct sim_kit *kit, const struct bound_buffer *b, uint64_t salt)
{
    size_t size = dtype_size(b->dtype), n = (size_t)b->count;
    if (b->role == TENSOR_ROLE_OUTPUT || b->role == TENSOR_ROLE_SCRATCH)
        return kit_buffer(kit, NULL, n * size);
    uint8_t *bytes = malloc(n * size);
    for (size_t i = 0; i < n; i++) {
        double v = noise(i * 31 + salt);
        if (b->domain == DOMAIN_KIND_INDEX)
            v = floor((v + 1) / 2 * (double)b->index_bound);
        else if (b->domain != DOMAIN_KIND_REAL && b->domain != DOMAIN_KIND_EXACT)
            v = (v + 1) / 2;
        put_value(b->dtype, v, bytes + i * size);
    }
    uint64_t addr = kit_buffer(kit, bytes, n * size);
    free(bytes);
    return addr;
}

static int run_launch(struct sim_kit *kit, const struct task *task, const struct bound *bound,
                      const struct bound_launch *l, const uint64_t *addr)
{
    uint64_t args[PLAN_ARGS_MAX] = {0};
    uint32_t grid[3], block[3];
    if (!l->kernel) {
        const struct bound_buffer *b = &bound->buffers[l->buffer];
        return vmem_fill(kit->mem, addr[l->buffer], (uint64_t)l->value, 1,
                         (uint64_t)b->count * dtype_size(b->dtype));
    }
    for (size_t i = 0; i < l->n_args; i++) {
        const struct bound_arg *a = &l->args[i];
        if (a->kind == BOUND_ARG_KIND_BUFFER)
            args[i] = addr[a->value];
        else if (a->kind == BOUND_ARG_KIND_INT)
            args[i] = (uint64_t)a->value;
        else
            put_value(task->scalars[a->value].dtype, task->scalars[a->value].value,
                      (uint8_t *)&args[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        grid[i] = (uint32_t)l->grid[i];
        block[i] = (uint32_t)l->block[i];
    }
    kit->shared = (uint32_t)l->shared;
    kit->in_turns = l->cooperative;
    return kit_run(kit, l->kernel, grid, block, args);
}

/* Compiles and runs a plan's launches; false and a message when something fails. */
static bool run_bound(struct sim_kit *kit, const struct task *task, const struct bound *bound,
                      const char *source, const char *arch, const uint64_t *addr, const char *name)
{
    char *ptx = kit_compile(source, arch, bound->options, (int)bound->n_options);
    if (!ptx || kit_load(kit, ptx)) {
        printf("%s: %s\n", name, ptx ? kit->err.text : "doesn't compile");
        free(ptx);
        return false;
    }
    free(ptx);
    for (size_t i = 0; i < bound->n_prepare + bound->n_launches; i++) {
        const struct bound_launch *l =
            i < bound->n_prepare ? &bound->prepare[i] : &bound->launches[i - bound->n_prepare];
        int rc = run_launch(kit, task, bound, l, addr);
        if (rc) {
            printf("%s: %s\n", name, rc == ERR_DEVICE ? kit->fault.text : kit->err.text);
            return false;
        }
    }
    return true;
}

static bool compare(struct sim_kit *kit, const struct task *task, const struct bound *bound,
                    const uint64_t *want, const uint64_t *got, const char *name)
{
    for (size_t t = 0; t < bound->n_tensors; t++) {
        const struct bound_buffer *b = &bound->buffers[t];
        size_t size = dtype_size(b->dtype), bytes = (size_t)b->count * size;
        if (b->role != TENSOR_ROLE_OUTPUT && b->role != TENSOR_ROLE_INOUT)
            continue;
        uint8_t *w = malloc(bytes), *g = malloc(bytes);
        kit_read(kit, want[t], w, bytes);
        kit_read(kit, got[t], g, bytes);
        for (int64_t i = 0; i < b->count; i++) {
            double x = get_value(b->dtype, w + (size_t)i * size),
                   y = get_value(b->dtype, g + (size_t)i * size);
            if (fabs(x - y) <= task->atol + task->rtol * fabs(x))
                continue;
            printf("%s: %s[%lld] is %.9g, not %.9g\n", name, b->name, (long long)i, y, x);
            free(w);
            free(g);
            return false;
        }
        free(w);
        free(g);
    }
    return true;
}

static void make_buffers(struct sim_kit *kit, const struct bound *bound, uint64_t *addr)
{
    for (size_t i = 0; i < bound->n_buffers; i++)
        addr[i] = make_buffer(kit, &bound->buffers[i], i * 1000003);
}

enum { MAX_BUFFERS = TASK_TENSORS_MAX + PLAN_SCRATCH_MAX };

static bool run_shape(const struct task *task, const struct shape *shape, const struct candidate *c,
                      const char *arch, const char *name)
{
    struct device_facts facts = {
        .sm_count = 132, .max_shared = 227 << 10, .max_memory = 100ll << 30};
    struct err err = {0};
    struct bound *ref, *bound;
    uint64_t want[MAX_BUFFERS], got[MAX_BUFFERS];
    struct sim_kit kit;
    auto_arena struct arena *arena = arena_new();
    snprintf(facts.arch, sizeof(facts.arch), "%s", arch);
    if (candidate_bind(task, shape, task->reference_plan, &facts, arena, &ref, &err) ||
        candidate_bind(task, shape, c->plan, &facts, arena, &bound, &err)) {
        printf("%s: %s\n", name, err.text);
        return false;
    }
    kit_init(&kit);
    kit.budget = 0;
    make_buffers(&kit, ref, want);
    make_buffers(&kit, bound, got);
    bool ok = run_bound(&kit, task, ref, task->reference_source, arch, want, "reference") &&
              run_bound(&kit, task, bound, c->source, arch, got, name) &&
              compare(&kit, task, bound, want, got, name);
    kit_done(&kit);
    return ok;
}

static void run_candidate(struct runner *r, const struct task *task, const char *folder,
                          const char *name)
{
    struct candidate *c;
    struct err err = {0};
    if (candidate_load(folder, &c, &err)) {
        printf("%s: %s\n", folder, err.text);
        r->failed++;
        return;
    }
    size_t n_small = 0, small = 0;
    for (size_t i = 1; i < task->n_shapes; i++)
        n_small += task_shape_is_small(task, &task->shapes[i]);
    r->candidates++;
    for (size_t i = 1; i < task->n_shapes; i++) {
        auto_free char *label = xprintf("%s %s", name, task->shapes[i].name);
        if (!task_shape_is_small(task, &task->shapes[i])) /* a GPU's alone */
            continue;
        bool turn = small++ == r->candidates % n_small;
        bool wanted = r->filter ? !strcmp(r->filter, "all") || strstr(label, r->filter) : turn;
        if (!wanted)
            continue;
        r->ran++;
        if (!run_shape(task, &task->shapes[i], c, i % 2 ? "sm_90a" : "sm_100a", label))
            r->failed++;
    }
    candidate_free(c);
}

static void run_task(struct runner *r, const char *path)
{
    struct task *task;
    struct err err = {0};
    struct dirent **entries;
    if (task_load(path, &task, &err)) {
        printf("%s: %s\n", path, err.text);
        r->failed++;
        return;
    }
    auto_free char *family = xprintf("%s/kernels/%s", WS_SOURCE_DIR, task->family);
    int n = scandir(family, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        auto_free char *folder = xprintf("%s/%s", family, entries[i]->d_name);
        auto_free char *name = xprintf("%s/%s", task->name, entries[i]->d_name);
        if (entries[i]->d_type != DT_REG && entries[i]->d_name[0] != '.')
            run_candidate(r, task, folder, name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    task_free(task);
}

static void shipped_kernels(void **state)
{
    struct runner *r = *state;
    struct dirent **entries;
    int n = scandir(WS_SOURCE_DIR "/kernelbench/tasks", &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        auto_free char *path =
            xprintf("%s/kernelbench/tasks/%s", WS_SOURCE_DIR, entries[i]->d_name);
        if (entries[i]->d_type != DT_REG && entries[i]->d_name[0] != '.')
            run_task(r, path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    printf("%u runs, %u failed\n", r->ran, r->failed);
    assert_true(r->ran > 0);
    assert_int_equal(r->failed, 0);
}

int main(int argc, char **argv)
{
    struct runner runner = {.filter = argc > 1 ? argv[1] : NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(shipped_kernels, &runner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
