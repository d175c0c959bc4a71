/* SPDX-License-Identifier: MIT */
/*
 * The space that ships, measured whole on an H200: it is the space of the plan it was measured with,
 * and searches on it find what they should.
 */
#include "agent/tune/recorded.h"
#include "agent/tune/tune_config.h"
#include "agent/tune/tune_plan.h"
#include "agent/tune/tune_replay.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SPACE WS_SOURCE_DIR "/kernels/spaces/matmul_05_pipeline.H200.json.gz"

static struct recorded *read_space(void)
{
    struct recorded *recorded = NULL;
    struct err err = { 0 };
    if (recorded_read(SPACE, &recorded, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return recorded;
}

static void test_what_was_measured(void **state)
{
    (void)state;
    struct recorded *r = read_space();
    assert_int_equal(r->space->n_listed, 1464);
    assert_int_equal(r->space->n, 7);
    assert_int_equal(r->n_failed, 0);
    assert_true(r->optimum > 0.4 && r->optimum < 0.5); /* ms */
    for (size_t i = 0; i < r->space->n_listed; i++) { /* enough single timings for noise */
        assert_true(r->first[i + 1] - r->first[i] >= 8);
        assert_true(r->times[i] >= r->optimum);
    }
    recorded_free(r);
}

/* Every config of the plan was measured, and nothing else. */
static void test_it_is_the_plans(void **state)
{
    (void)state;
    struct recorded *r = read_space();
    struct task *task = NULL;
    struct candidate *candidate = NULL;
    struct space space;
    struct tune_space *plan = NULL;
    const struct device_facts h200 = { .sm_count = 132, .max_shared = 232448, .arch = "sm_90a",
                                       .max_memory = (int64_t)32 << 30 };
    struct err err = { 0 };
    if (task_load(WS_SOURCE_DIR "/kernelbench/tasks/matmul", &task, &err) < 0
        || candidate_load(WS_SOURCE_DIR "/kernels/matmul/05_pipeline", &candidate, &err) < 0
        || space_init(&space, task, &task->shapes[0], candidate->plan, &h200, &err) < 0
        || tune_plan(&space, &plan, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    assert_int_equal(plan->n_listed, r->space->n_listed);
    for (size_t i = 0; i < plan->n_listed; i++) {
        uint16_t config[TUNE_PARAMS_MAX];
        json_t *json = tune_config_json(plan, plan->listed + i * plan->n);
        assert_int_equal(tune_config_read(r->space, json, NULL, config, &err), 0);
        json_decref(json);
    }
    tune_space_free(plan);
    candidate_free(candidate);
    task_free(task);
    recorded_free(r);
}

static double score(const struct recorded *r, const char *algorithm, size_t budget, bool noise)
{
    double worst = 1;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        const struct tune_replay_options options = {
            .tuner = { .algorithm = algorithm, .budget = budget, .seed = seed }, .noise = noise };
        struct tune_replay_run run;
        struct err err = { 0 };
        if (tune_replay(r, &options, &run, &err) < 0) {
            fail_msg("%s", err_text(&err));
        }
        assert_int_equal(run.n, budget);
        worst = MIN(worst, run.score);
        tune_replay_done(&run);
    }
    return worst;
}

static void test_searches_find_it(void **state)
{
    (void)state;
    struct recorded *r = read_space();
    assert_true(score(r, "exhaustive", 1464, false) == 1);
    assert_true(score(r, "auto", 150, false) >= 0.98);
    assert_true(score(r, "auto", 150, true) >= 0.97);
    assert_true(score(r, "lfbo", 150, false) >= 0.9);
    assert_true(score(r, "random", 150, false) >= 0.8);
    recorded_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_measured),
        cmocka_unit_test(test_it_is_the_plans),
        cmocka_unit_test(test_searches_find_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
