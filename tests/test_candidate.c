/* SPDX-License-Identifier: MIT */
#include "kernelbench/candidate.h"
#include "base/file.h"
#include "base/util.h"
#include "kernelbench/space.h"
#include "tests/cases.h"
#include "tests/sample.h"

#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SHIPPED_MEMORY ((int64_t)100 << 30) /* what an H200 has room for */
enum { BINDS_MAX = 1500 };                  /* of one variant: some spaces have tens of thousands of configs */

static struct bound *bind_within(const struct task *task, const char *shape, const struct plan *plan,
                                 int64_t memory, struct arena *arena)
{
    struct device_facts facts = sample_facts();
    struct bound *bound = NULL;
    struct err err = { 0 };
    facts.max_memory = memory;
    if (candidate_bind(task, task_shape(task, shape), plan, &facts, arena, &bound, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return bound;
}

static struct bound *bind(const struct task *task, const char *shape, const struct plan *plan,
                          struct arena *arena)
{
    return bind_within(task, shape, plan, sample_facts().max_memory, arena);
}

static void test_buffers(void **state)
{
    (void)state;
    struct task *task = sample_task();
    struct candidate *candidate = sample_candidate();
    auto_arena struct arena *arena = arena_new();
    const struct bound *bound = bind(task, "small", candidate->plan, arena);
    static const struct bound_buffer want[] = {
        { "x", DTYPE_F32, TENSOR_ROLE_INPUT, 64000, 1000, DOMAIN_KIND_REAL, 0 },
        { "pick", DTYPE_I32, TENSOR_ROLE_INPUT, 64, 64, DOMAIN_KIND_INDEX, 1000 },
        { "w", DTYPE_BF16, TENSOR_ROLE_WEIGHT, 1000, 1000, DOMAIN_KIND_POSITIVE, 0 },
        { "state", DTYPE_F32, TENSOR_ROLE_INOUT, 1000, 1000, DOMAIN_KIND_REAL, 0 },
        { "y", DTYPE_F32, TENSOR_ROLE_OUTPUT, 64000, 1000, DOMAIN_KIND_REAL, 0 },
        { "partial", DTYPE_F32, TENSOR_ROLE_SCRATCH, 128, 2, DOMAIN_KIND_REAL, 0 },
        { "packed", DTYPE_BF16, TENSOR_ROLE_SCRATCH, 1000, 1000, DOMAIN_KIND_REAL, 0 },
    };
    assert_int_equal(bound->n_tensors, 5);
    assert_int_equal(bound->n_buffers, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const struct bound_buffer *got = &bound->buffers[i];
        assert_string_equal(got->name, want[i].name);
        assert_int_equal(got->dtype, want[i].dtype);
        assert_int_equal(got->role, want[i].role);
        assert_int_equal(got->count, want[i].count);
        assert_int_equal(got->inner, want[i].inner);
        assert_int_equal(got->domain, want[i].domain);
        assert_int_equal(got->index_bound, want[i].index_bound);
    }
    candidate_free(candidate);
    task_free(task);
}

static void expect_arg(const struct bound_arg *arg, enum bound_arg_kind kind, int64_t value)
{
    assert_int_equal(arg->kind, kind);
    assert_int_equal(arg->value, value);
}

/* At `small` the second `when` holds (1000 % 16 != 0): VEC is 2 and BLOCK 128. */
static void test_launch(void **state)
{
    (void)state;
    struct task *task = sample_task();
    struct candidate *candidate = sample_candidate();
    auto_arena struct arena *arena = arena_new();
    const struct bound *bound = bind(task, "small", candidate->plan, arena);
    assert_int_equal(bound->n_launches, 2);
    assert_null(bound->launches[0].kernel);
    assert_int_equal(bound->launches[0].buffer, 5);
    assert_int_equal(bound->launches[0].value, 255);
    const struct bound_launch *launch = &bound->launches[1];
    assert_string_equal(launch->kernel, "sample");
    static const int64_t grid[] = { 64, 2, 1 }, block[] = { 128, 1, 1 }, one[] = { 1, 1, 1 };
    assert_memory_equal(launch->grid, grid, sizeof(grid));
    assert_memory_equal(launch->block, block, sizeof(block));
    assert_memory_equal(launch->cluster, one, sizeof(one));
    assert_int_equal(launch->shared, 16);
    assert_int_equal(launch->n_args, 8);
    expect_arg(&launch->args[0], BOUND_ARG_KIND_BUFFER, 0);
    expect_arg(&launch->args[1], BOUND_ARG_KIND_BUFFER, 4);
    expect_arg(&launch->args[2], BOUND_ARG_KIND_BUFFER, 5);
    expect_arg(&launch->args[3], BOUND_ARG_KIND_SCALAR, 0);
    expect_arg(&launch->args[4], BOUND_ARG_KIND_INT, 1000);
    expect_arg(&launch->args[5], BOUND_ARG_KIND_INT, 500);
    expect_arg(&launch->args[6], BOUND_ARG_KIND_INT, 132);
    expect_arg(&launch->args[7], BOUND_ARG_KIND_INT, 7);
    assert_int_equal(bound->n_prepare, 1);
    assert_string_equal(bound->prepare[0].kernel, "pack");
    assert_true(bound->graph);
    candidate_free(candidate);
    task_free(task);
}

static void test_options(void **state)
{
    (void)state;
    static const char *const want[] = { "-DBLOCK=256", "-DCOLS=1025", "-DLEFT=-1025", "-DSPLIT=2",
                                        "-DSTAGED=1", "-DVEC=1", "--use_fast_math", "-lineinfo" };
    struct task *task = sample_task();
    struct candidate *candidate = sample_candidate();
    auto_arena struct arena *arena = arena_new();
    const struct bound *bound = bind(task, "held_out[0]", candidate->plan, arena);
    assert_int_equal(bound->n_options, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_string_equal(bound->options[i], want[i]);
    }
    candidate_free(candidate);
    candidate = sample_candidate_with("{\"defines\": {\"LEAST\": \"0-9223372036854775807-1\"}}");
    bound = bind(task, "small", candidate->plan, arena);
    assert_string_equal(bound->options[2], "-DLEAST=(-9223372036854775807-1)");
    candidate_free(candidate);
    task_free(task);
}

/* The job format that workers read. */
static void test_json(void **state)
{
    (void)state;
    struct task *task = sample_task();
    struct candidate *candidate = sample_candidate();
    auto_arena struct arena *arena = arena_new();
    json_t *got = bound_json(bind(task, "small", candidate->plan, arena));
    auto_free char *want = NULL;
    assert_int_equal(file_read(WS_SOURCE_DIR "/tests/cases/bound_small.json", 1 << 20, &want, NULL,
                               NULL), 0);
    json_t *expected = json_loads(want, 0, NULL);
    assert_non_null(expected);
    if (!json_equal(got, expected)) {
        auto_free char *text = json_dumps(got, JSON_INDENT(1));
        fail_msg("%s", text);
    }
    json_decref(expected);
    json_decref(got);
    candidate_free(candidate);
    task_free(task);
}

/* A tensor of rank 0 has one element. */
static void test_rank_0(void **state)
{
    (void)state;
    static const char text[]
        = "{\"format\": 1, \"name\": \"sum\", \"family\": \"reduction\","
          " \"shapes\": {\"default\": {\"n\": 9}}, \"tolerance\": {\"atol\": 0, \"rtol\": 0},"
          " \"outputs\": [{\"name\": \"y\", \"dtype\": \"f64\", \"shape\": []}]}";
    static const char plan[]
        = "{\"launches\": [{\"kernel\": \"sample\", \"grid\": [1], \"block\": [1],"
          " \"args\": [\"y\"]}]}";
    struct task *task = NULL;
    struct candidate *candidate = NULL;
    auto_arena struct arena *arena = arena_new();
    assert_int_equal(task_parse(text, strlen(text), NULL, &task, NULL), 0);
    assert_int_equal(candidate_parse(plan, strlen(plan), sample_source, strlen(sample_source),
                                     &candidate, NULL), 0);
    const struct bound *bound = bind(task, "default", candidate->plan, arena);
    assert_int_equal(bound->buffers[0].count, 1);
    assert_int_equal(bound->buffers[0].inner, 1);
    candidate_free(candidate);
    task_free(task);
}

/* A scalar's index counts scalars, whatever their types. */
static void test_scalar_index(void **state)
{
    (void)state;
    struct task *task = sample_task();
    struct candidate *candidate = sample_candidate_with(
        "{\"launches\": [{\"kernel\": \"sample\", \"grid\": [1], \"block\": [32],"
        " \"args\": [\"causal\", \"scale\", \"BLOCK\", -3]}]}");
    auto_arena struct arena *arena = arena_new();
    const struct bound *bound = bind(task, "default", candidate->plan, arena);
    expect_arg(&bound->launches[0].args[0], BOUND_ARG_KIND_SCALAR, 1);
    expect_arg(&bound->launches[0].args[1], BOUND_ARG_KIND_SCALAR, 0);
    expect_arg(&bound->launches[0].args[2], BOUND_ARG_KIND_INT, 256);
    expect_arg(&bound->launches[0].args[3], BOUND_ARG_KIND_INT, -3);
    candidate_free(candidate);
    task_free(task);
}

/* Tags, the order of keys and true for 1 don't change the id; params and source do. */
static void test_id(void **state)
{
    (void)state;
    struct candidate *a = sample_candidate();
    static const struct {
        const char *patch;
        bool same;
    } cases[] = {
        { "{\"tags\": {\"title\": \"Another\"}}", true },
        { "{\"tags\": null}", true },
        { "{\"params\": {\"STAGED\": 1}}", true },
        { "{\"params\": {\"BLOCK\": 128}}", false },
        { "{\"format\": null}", true },
        { "{\"graph\": false}", false },
        { "{\"compile\": []}", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct candidate *b = sample_candidate_with(cases[i].patch);
        assert_int_equal(id_eq(&a->id, &b->id), cases[i].same);
        candidate_free(b);
    }
    auto_free char *plan = plan_canonical(a->plan);
    auto_free char *source = xprintf("%s\n", a->source);
    struct candidate *b = NULL;
    assert_int_equal(candidate_parse(plan, strlen(plan), source, strlen(source), &b, NULL), 0);
    assert_false(id_eq(&a->id, &b->id));
    candidate_free(b);
    assert_int_equal(candidate_parse(plan, strlen(plan), a->source, a->source_len, &b, NULL), 0);
    assert_true(id_eq(&a->id, &b->id));
    candidate_free(b);
    candidate_free(a);
}

static void test_with_params(void **state)
{
    (void)state;
    struct candidate *a = sample_candidate(), *b = NULL;
    const struct symbol good[] = { { "BLOCK", 512 }, { "SPLIT", 2 }, { "VEC", 1 } };
    struct err err = { 0 };
    assert_int_equal(candidate_with_params(a, good, ARRAY_LEN(good), &b, &err), 0);
    assert_int_equal(b->plan->params[0].value, 512);
    assert_int_equal(b->plan->params[3].value, 1);
    assert_int_equal(a->plan->params[0].value, 256);
    assert_string_equal(b->plan->title, a->plan->title);
    assert_string_equal(b->source, a->source);
    assert_false(id_eq(&a->id, &b->id));
    candidate_free(b);
    b = NULL;
    static const struct {
        struct symbol param;
        const char *error;
    } bad[] = {
        { { "BLOCK", 384 }, "BLOCK=384 is outside the plan's space" },
        { { "SPLIT", 3 }, "SPLIT=3 is outside the plan's space: the parameter is fixed" },
        { { "BLOK", 512 }, "the plan has no parameter \"BLOK\", did you mean \"BLOCK\"?" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(candidate_with_params(a, &bad[i].param, 1, &b, &err), ERR_INVALID);
        assert_string_equal(err_text(&err), bad[i].error);
        assert_null(b);
    }
    candidate_free(a);
}

static void test_memory(void **state)
{
    (void)state;
    struct task *task = sample_task();
    struct candidate *candidate = sample_candidate();
    auto_arena struct arena *arena = arena_new();
    const struct bound *bound = bind(task, "small", candidate->plan, arena);
    int64_t bytes = 0;
    for (size_t i = 0; i < bound->n_buffers; i++) {
        bytes += bound->buffers[i].count * (int64_t)dtype_size(bound->buffers[i].dtype);
    }
    struct device_facts facts = sample_facts();
    struct bound *again = NULL;
    facts.max_memory = bytes;
    assert_int_equal(candidate_bind(task, &task->shapes[1], candidate->plan, &facts, arena, &again,
                                    NULL), 0);
    facts.max_memory = bytes - 1;
    assert_int_equal(candidate_bind(task, &task->shapes[1], candidate->plan, &facts, arena, &again,
                                    NULL), ERR_INVALID);
    candidate_free(candidate);
    task_free(task);
}

static void test_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_candidate_XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct candidate *a = sample_candidate(), *b = NULL;
    struct err err = { 0 };
    assert_int_equal(candidate_load(folder, &b, &err), -ENOENT);
    assert_int_equal(candidate_save(a, folder, NULL), 0);
    auto_free char *slashed = xprintf("%s//", folder);
    assert_int_equal(candidate_load(slashed, &b, &err), 0);
    assert_string_equal(b->name, strrchr(folder, '/') + 1);
    assert_true(id_eq(&a->id, &b->id));
    assert_string_equal(b->plan->title, "A sample");
    assert_string_equal(b->source, a->source);
    candidate_free(b);

    auto_free char *path = xprintf("%s/plan.json", folder);
    assert_int_equal(file_write(path, "{\"launch\": 1}", 13, NULL), 0);
    b = NULL;
    assert_int_equal(candidate_load(folder, &b, &err), ERR_INVALID);
    auto_free char *want = xprintf("%s: launch: unknown key, did you mean \"launches\"?", path);
    assert_string_equal(err_text(&err), want);
    assert_int_equal(folder_remove(folder, NULL), 0);
    assert_int_equal(candidate_save(a, folder, NULL), -ENOENT);
    candidate_free(a);
}

static void test_limits(void **state)
{
    (void)state;
    auto_free char *plan = cases_base("plan");
    struct candidate *candidate = NULL;
    struct err err = { 0 };
    size_t len = CANDIDATE_SOURCE_MAX + 1;
    auto_free char *source = xcalloc(len + 1, 1);
    memset(source, ' ', len);
    memcpy(source, sample_source, strlen(sample_source));
    assert_int_equal(candidate_parse(plan, strlen(plan), source, len, &candidate, &err),
                     ERR_TOOBIG);
    assert_string_equal(err_text(&err), "kernel.cu: 1048577 bytes of source, 1048576 at most");
    assert_int_equal(candidate_parse(plan, strlen(plan), source, len - 1, &candidate, &err), 0);
    candidate_free(candidate);
    source[200] = '\0';
    assert_int_equal(candidate_parse(plan, strlen(plan), source, len - 1, &candidate, &err),
                     ERR_INVALID);
    assert_string_equal(err_text(&err), "kernel.cu: there is a NUL byte in the source");
    auto_free char *text = xcalloc(PLAN_TEXT_MAX + 2, 1);
    memset(text, ' ', PLAN_TEXT_MAX + 1);
    assert_int_equal(candidate_parse(text, PLAN_TEXT_MAX + 1, "x", 1, &candidate, &err),
                     ERR_TOOBIG);
}

/* Every shipped kernel and every config of its space fits its tasks at every shape. */
static size_t check_shipped(const struct task *task, const char *folder)
{
    struct candidate *candidate = NULL;
    struct device_facts facts = sample_facts();
    facts.max_memory = SHIPPED_MEMORY;
    struct err err = { 0 };
    auto_arena struct arena *arena = arena_new();
    struct space space;
    int64_t *configs = NULL;
    size_t n = 0;
    int r = candidate_load(folder, &candidate, &err);
    if (r < 0) {
        fail_msg("%s", err_text(&err));
    }
    r = space_init(&space, task, &task->shapes[0], candidate->plan, &facts, &err);
    r = r < 0 ? r : space_list(&space, arena, &configs, &n, &err);
    if (r < 0 || space_allows(&space, space.own, &err) != 1) {
        fail_msg("%s: %s", folder, r < 0 ? err_text(&err) : "its own params break a constraint");
    }
    /* A step that is odd and prime to most numbers of shapes meets all of them. */
    size_t step = n * task->n_shapes / BINDS_MAX | 1;
    for (size_t i = 0; i < n * task->n_shapes; i += step) {
        struct symbol params[PLAN_PARAMS_MAX];
        struct candidate *tuned = NULL;
        struct bound *bound;
        auto_arena struct arena *scrap = arena_new();
        for (size_t k = 0; k < space.n; k++) {
            int64_t value = configs[i / task->n_shapes * space.n + k];
            params[k] = (struct symbol) { space.names[k], value };
        }
        r = candidate_with_params(candidate, params, space.n, &tuned, &err);
        r = r < 0 ? r : candidate_bind(task, &task->shapes[i % task->n_shapes], tuned->plan, &facts,
                                       scrap, &bound, &err);
        if (r < 0) {
            fail_msg("%s: %s", folder, err_text(&err));
        }
        candidate_free(tuned);
    }
    candidate_free(candidate);
    return n;
}

static void test_shipped(void **state)
{
    (void)state;
    glob_t tasks, kernels;
    size_t configs = 0;
    assert_int_equal(glob(WS_SOURCE_DIR "/kernelbench/tasks/*/task.json", 0, NULL, &tasks), 0);
    for (size_t i = 0; i < tasks.gl_pathc; i++) {
        auto_free char *folder = xstrdup(tasks.gl_pathv[i]);
        *strrchr(folder, '/') = '\0';
        struct task *task = NULL;
        struct err err = { 0 };
        if (task_load(folder, &task, &err) < 0) {
            fail_msg("%s", err_text(&err));
        }
        auto_arena struct arena *arena = arena_new();
        for (size_t k = 0; k < task->n_shapes; k++) {
            bind_within(task, task->shapes[k].name, task->reference_plan, SHIPPED_MEMORY, arena);
        }
        auto_free char *pattern = xprintf(WS_SOURCE_DIR "/kernels/%s/[0-9]*", task->family);
        assert_int_equal(glob(pattern, 0, NULL, &kernels), 0);
        for (size_t k = 0; k < kernels.gl_pathc; k++) {
            configs += check_shipped(task, kernels.gl_pathv[k]);
        }
        globfree(&kernels);
        task_free(task);
    }
    globfree(&tasks);
    assert_true(configs > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers),      cmocka_unit_test(test_launch),
        cmocka_unit_test(test_options),      cmocka_unit_test(test_json),
        cmocka_unit_test(test_scalar_index), cmocka_unit_test(test_rank_0),
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_with_params),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_folder),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
