/* SPDX-License-Identifier: MIT */
/*
 * The shipped kernels hold together: every family has a task and at least two variants numbered
 * from 01, every plan binds at every shape of its task, the plan's own parameters are in its space,
 * and every tag names a direction and a strategy of the seed memory; what KernelBench's problems are
 * mapped to ships. No kernel runs here.
 */
#include "base/file.h"
#include "base/util.h"
#include "graph/htg_seed.h"
#include "kernelbench/mapping.h"
#include "kernelbench/space.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { VARIANTS_MIN = 2, CONFIGS_MIN = 3, SEED_MAX = 4 << 20 };

static const struct device_facts h200 = {132, 232448, (int64_t)140 << 30, "sm_90a"};

typedef int seed_reader(struct htg *htg, const char *text, size_t len, struct err *err);

static void read_seed(struct htg *htg, const char *pattern, seed_reader *reader)
{
    glob_t found;
    struct err err = {0};
    if (glob(pattern, 0, NULL, &found)) {
        fail_msg("nothing like %s", pattern);
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        auto_free char *text = NULL;
        size_t len;
        if (file_read(found.gl_pathv[i], SEED_MAX, &text, &len, &err) ||
            reader(htg, text, len, &err)) {
            fail_msg("%s: %s", found.gl_pathv[i], err_text(&err));
        }
    }
    globfree(&found);
}

static struct htg *seed_memory(void)
{
    struct htg *htg = htg_new();
    read_seed(htg, WS_SOURCE_DIR "/kernels/memory/directions.json", htg_seed_directions);
    read_seed(htg, WS_SOURCE_DIR "/kernels/memory/strategies*.json", htg_seed_strategies);
    read_seed(htg, WS_SOURCE_DIR "/kernels/memory/transitions.json", htg_seed_transitions);
    return htg;
}

/* The first fault of a variant, or NULL; the caller frees. */
static char *variant_fault(const struct task *task, const struct htg *htg,
                           const struct candidate *variant)
{
    const struct plan *plan = variant->plan;
    auto_arena struct arena *arena = arena_new();
    struct err err = {0};
    struct space space;
    struct bound *bound;
    int64_t *configs;
    size_t n;

    for (size_t i = 0; i < task->n_shapes; i++) {
        if (candidate_bind(task, &task->shapes[i], plan, &h200, arena, &bound, &err)) {
            return xprintf("%s", err_text(&err));
        }
    }
    if (space_init(&space, task, &task->shapes[0], plan, &h200, &err) ||
        space_list(&space, arena, &configs, &n, &err)) {
        return xprintf("%s", err_text(&err));
    }
    if (space_allows(&space, space.own, &err) != 1) {
        return xprintf("its own parameters are forbidden");
    }
    if (n < CONFIGS_MIN) {
        return xprintf("only %zu configurations to tune over", n);
    }
    if (!plan->direction || !plan->strategy || !plan->title) {
        return xprintf("a tag is missing");
    }
    int strategy = htg_find_strategy(htg, plan->strategy);
    if (htg_find_direction(htg, plan->direction) < 0 || strategy < 0) {
        return xprintf("unknown tag %s or %s", plan->direction, plan->strategy);
    }
    const struct htg_strategy *of = htg_strategy(htg, (size_t)strategy);
    if (!str_eq(of->direction, plan->direction)) {
        return xprintf("strategy %s belongs to %s, not %s", plan->strategy, of->direction,
                       plan->direction);
    }
    return NULL;
}

static void check_family(const struct task *task, const struct htg *htg)
{
    glob_t found;
    struct err err = {0};
    auto_free char *pattern = xprintf("%s/kernels/%s/[0-9][0-9]_*", WS_SOURCE_DIR, task->family);
    if (glob(pattern, 0, NULL, &found) || found.gl_pathc < VARIANTS_MIN) {
        fail_msg("family %s has fewer than %d variants", task->family, VARIANTS_MIN);
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *folder = found.gl_pathv[i], *base = strrchr(folder, '/') + 1;
        struct candidate *variant;
        if (candidate_load(folder, &variant, &err)) {
            fail_msg("%s", err_text(&err));
        }
        if (strtol(base, NULL, 10) != (long)i + 1) {
            fail_msg("%s is variant number %zu of its family", folder, i + 1);
        }
        auto_free char *fault = variant_fault(task, htg, variant);
        if (fault) {
            fail_msg("%s: %s", folder, fault);
        }
        candidate_free(variant);
    }
    globfree(&found);
}

static void test_library(void **state)
{
    (void)state;
    glob_t tasks;
    struct err err = {0};
    struct htg *htg = seed_memory();
    struct arena *arena = arena_new();
    assert_int_equal(glob(WS_SOURCE_DIR "/kernelbench/tasks/*/task.json", 0, NULL, &tasks), 0);
    for (size_t i = 0; i < tasks.gl_pathc; i++) {
        struct task *task;
        struct bound *bound;
        *strrchr(tasks.gl_pathv[i], '/') = 0;
        if (task_load(tasks.gl_pathv[i], &task, &err)) {
            fail_msg("%s", err_text(&err));
        }
        for (size_t s = 0; s < task->n_shapes; s++) {
            if (candidate_bind(task, &task->shapes[s], task->reference_plan, &h200, arena, &bound,
                               &err)) {
                fail_msg("%s: %s", tasks.gl_pathv[i], err_text(&err));
            }
        }
        check_family(task, htg);
        task_free(task);
    }
    assert_true(tasks.gl_pathc >= 7);
    globfree(&tasks);
    arena_free(arena);
    htg_free(htg);
}

/* The check bites: plans that are wrong at one shape, or wrongly tagged, are named. */
/* What problems.json says a problem begins with ships, takes those values, and is the only answer. */
static void check_mapping(const char *path, json_t *taken)
{
    auto_arena struct arena *arena = arena_new();
    auto_free char *text = NULL;
    auto_free char *folder = xprintf("%.*s", (int)(strrchr(path, '/') - path), path);
    struct mapping mapping;
    struct err err = {0};
    size_t len;
    if (file_read(path, SEED_MAX, &text, &len, &err) < 0 ||
        mapping_parse(text, len, strrchr(folder, '/') + 1, arena, &mapping, &err) < 0) {
        fail_msg("%s: %s", path, err_text(&err));
    }
    auto_free char *task = xprintf(WS_SOURCE_DIR "/kernelbench/tasks/%s/task.json", mapping.task);
    assert_true(file_exists(task));
    for (size_t i = 0; i < mapping.n; i++) {
        const struct mapping_entry *e = &mapping.entries[i];
        struct candidate *shipped = NULL, *start = NULL;
        auto_free char *variant = xprintf("%s/%s", folder, e->start);
        if (candidate_load(variant, &shipped, &err) < 0 ||
            candidate_with_params(shipped, e->params, e->n_params, &start, &err) < 0) {
            fail_msg("%s: %s: %s", path, e->problem, err_text(&err));
        }
        if (json_object_get(taken, e->problem)) {
            fail_msg("%s: %s is another family's, too", path, e->problem);
        }
        json_object_set_new(taken, e->problem, json_true());
        candidate_free(shipped);
        candidate_free(start);
    }
    mapping_done(&mapping);
}

static void test_mappings(void **state)
{
    json_t *taken = json_object();
    glob_t found;
    (void)state;
    assert_int_equal(glob(WS_SOURCE_DIR "/kernels/*/problems.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check_mapping(found.gl_pathv[i], taken);
    }
    assert_true(json_object_size(taken) >= 75); /* what was promised of level 1 */
    globfree(&found);
    json_decref(taken);
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *plan, *fault;
    } cases[] = {
        {"{\"format\":1,\"params\":{\"B\":8},\"space\":{\"B\":{\"enum\":[8,16,32]}},"
         "\"tags\":{\"direction\":\"fusion\",\"strategy\":\"no-such\",\"title\":\"t\"},"
         "\"launches\":[{\"kernel\":\"x\",\"grid\":[1],\"block\":[\"B\"],\"args\":[]}]}",
         "no-such"},
        {"{\"format\":1,\"params\":{\"B\":8},\"space\":{\"B\":{\"enum\":[8,16,32]}},"
         "\"tags\":{\"direction\":\"fusion\",\"strategy\":\"warps-per-row\",\"title\":\"t\"},"
         "\"launches\":[{\"kernel\":\"x\",\"grid\":[1],\"block\":[\"B\"],\"args\":[]}]}",
         "belongs to parallel-mapping, not fusion"},
        {"{\"format\":1,\"params\":{\"B\":8},\"space\":{\"B\":{\"enum\":[8,16,32]}},"
         "\"constraints\":[\"B > 8\"],"
         "\"launches\":[{\"kernel\":\"x\",\"grid\":[1],\"block\":[\"B\"],\"args\":[]}]}",
         "forbidden"},
        {"{\"format\":1,\"params\":{\"B\":8},\"space\":{\"B\":{\"enum\":[8,16,32]}},"
         "\"launches\":[{\"kernel\":\"x\",\"grid\":[\"m/64\"],\"block\":[\"B\"],\"args\":[]}]}",
         "grid"},
        {"{\"format\":1,\"params\":{\"B\":8},\"space\":{\"B\":{\"enum\":[8]}},"
         "\"launches\":[{\"kernel\":\"x\",\"grid\":[1],\"block\":[\"B\"],\"args\":[]}]}",
         "only 1"},
    };
    struct htg *htg = seed_memory();
    struct task *task;
    struct err err = {0};
    assert_int_equal(task_load(WS_SOURCE_DIR "/kernelbench/tasks/matmul", &task, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct candidate *variant;
        const char *source = "extern \"C\" __global__ void x() {}\n";
        if (candidate_parse(cases[i].plan, strlen(cases[i].plan), source, strlen(source), &variant,
                            &err)) {
            fail_msg("case %zu: %s", i, err_text(&err));
        }
        auto_free char *fault = variant_fault(task, htg, variant);
        assert_non_null(fault);
        assert_non_null(strstr(fault, cases[i].fault));
        candidate_free(variant);
    }
    task_free(task);
    htg_free(htg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_faults_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
