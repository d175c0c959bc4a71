/* SPDX-License-Identifier: MIT */
#include "kernelbench/plan.h"
#include "base/util.h"
#include "kernelbench/space.h"
#include "tests/cases.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Parses the plan and binds it at every shape of the sample's task. */
static int run_case(const json_t *the_case, const char *text, size_t len, struct err *err)
{
    const char *source = json_string_value(json_object_get(the_case, "source"));
    const char *arch = json_string_value(json_object_get(the_case, "arch"));
    source = source ? source : sample_source;
    struct device_facts facts = sample_facts();
    snprintf(facts.arch, sizeof(facts.arch), "%s", arch ? arch : "sm_90a");
    struct candidate *candidate = NULL;
    int r = candidate_parse(text, len, source, strlen(source), &candidate, err);
    if (r < 0) {
        assert_null(candidate);
        return r;
    }
    struct task *task = sample_task();
    auto_arena struct arena *arena = arena_new();
    for (size_t i = 0; r == 0 && i < task->n_shapes; i++) {
        struct bound *bound = NULL;
        r = candidate_bind(task, &task->shapes[i], candidate->plan, &facts, arena, &bound, err);
        assert_true((r == 0) == (bound != NULL));
    }
    task_free(task);
    candidate_free(candidate);
    return r;
}

static void test_cases(void **state)
{
    (void)state;
    assert_true(cases_all("plan", run_case) >= 100);
}

/* Parameters come sorted, whatever the document's order, and true is 1. */
static void test_params(void **state)
{
    (void)state;
    struct candidate *candidate = sample_candidate();
    const struct plan *plan = candidate->plan;
    static const struct symbol want[]
        = { { "BLOCK", 256 }, { "SPLIT", 2 }, { "STAGED", 1 }, { "VEC", 4 } };
    assert_int_equal(plan->n_params, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_string_equal(plan->params[i].name, want[i].name);
        assert_int_equal(plan->params[i].value, want[i].value);
    }
    assert_null(plan->params[1].range);
    const struct range *block = plan->params[0].range;
    static const int64_t choices[] = { 64, 128, 256, 512, 1024 };
    assert_int_equal(block->kind, RANGE_KIND_POW2);
    assert_int_equal(block->n_choices, ARRAY_LEN(choices));
    assert_memory_equal(block->choices, choices, sizeof(choices));
    assert_string_equal(plan->strategy, "row-in-registers");
    assert_true(plan->graph);
    candidate_free(candidate);
}

static void expect_choices(const char *patch, size_t n, int64_t first, int64_t last)
{
    struct candidate *candidate = sample_candidate_with(patch);
    const struct range *range = NULL;
    for (size_t i = 0; i < candidate->plan->n_params; i++) {
        if (str_eq(candidate->plan->params[i].name, "P")) {
            range = candidate->plan->params[i].range;
        }
    }
    assert_non_null(range);
    assert_int_equal(range->n_choices, n);
    assert_int_equal(range->choices[0], first);
    assert_int_equal(range->choices[n - 1], last);
    candidate_free(candidate);
}

static void test_ranges(void **state)
{
    (void)state;
    expect_choices("{\"params\":{\"P\":5},\"space\":{\"P\":{\"int\":[-4,7,3]}}}", 4, -4, 5);
    expect_choices("{\"params\":{\"P\":1},\"space\":{\"P\":{\"int\":[1,4096]}}}", 4096, 1, 4096);
    expect_choices("{\"params\":{\"P\":1},\"space\":{\"P\":{\"pow2\":[1,1]}}}", 1, 1, 1);
    expect_choices("{\"params\":{\"P\":1},\"space\":{\"P\":{\"pow2\":[1,1099511627776]}}}", 41, 1,
                   (int64_t)1 << 40);
    expect_choices("{\"params\":{\"P\":9},\"space\":{\"P\":{\"enum\":[9,-2,3]}}}", 3, 9, 3);
    expect_choices("{\"params\":{\"P\":0},\"space\":{\"P\":{\"bool\":true}}}", 2, 0, 1);
    expect_choices("{\"params\":{\"P\":0},\"space\":{\"P\":{\"permutation\":4}}}", 24, 0, 23);
}

/* A list is the same plan as its ranges one by one, also once it is tuned. */
static void test_list(void **state)
{
    (void)state;
    static const char *const patches[] = {
        "{\"params\":{\"P\":[5,7]},\"space\":{\"P\":{\"list\":{\"of\":{\"int\":[5,8]},\"n\":2}}}}",
        "{\"params\":{\"P_0\":5,\"P_1\":7},\"space\":{\"P_0\":{\"int\":[5,8]},\"P_1\":{\"int\":[5,8]}}}",
    };
    struct candidate *a = sample_candidate_with(patches[0]), *b = sample_candidate_with(patches[1]);
    struct candidate *tuned = NULL;
    const struct symbol choice = { "P_1", 8 };
    assert_true(id_eq(&a->id, &b->id));
    assert_int_equal(a->plan->n_params, 6);
    assert_string_equal(a->plan->params[2].name, "P_1");
    assert_int_equal(a->plan->params[2].value, 7);
    assert_int_equal(candidate_with_params(a, &choice, 1, &tuned, NULL), 0);
    assert_int_equal(tuned->plan->params[2].value, 8);
    assert_int_equal(tuned->plan->params[1].value, 5);
    candidate_free(tuned);
    candidate_free(a);
    candidate_free(b);
}

static void settle(const struct plan *plan, int64_t cols, int64_t *ret_vec, int64_t *ret_block)
{
    const struct symbol symbol = { "cols", cols };
    const struct symbols outer = { &symbol, 1, NULL };
    struct symbol values[PLAN_PARAMS_MAX];
    for (size_t i = 0; i < plan->n_params; i++) {
        values[i] = (struct symbol) { plan->params[i].name, plan->params[i].value };
    }
    assert_int_equal(plan_settle(plan, &outer, values, NULL), 0);
    *ret_block = values[0].value;
    *ret_vec = values[3].value;
}

/* The first `when` that holds counts, and no other; parameters it doesn't name stay. */
static void test_settle(void **state)
{
    (void)state;
    struct candidate *candidate = sample_candidate();
    int64_t vec, block;
    settle(candidate->plan, 1024, &vec, &block);
    assert_true(vec == 4 && block == 256);
    settle(candidate->plan, 1000, &vec, &block);
    assert_true(vec == 2 && block == 128);
    settle(candidate->plan, 1025, &vec, &block);
    assert_true(vec == 1 && block == 256);
    candidate_free(candidate);
}

static void test_args(void **state)
{
    (void)state;
    struct candidate *candidate = sample_candidate();
    const struct plan_launch *memset_step = &candidate->plan->launches[0];
    const struct plan_launch *launch = &candidate->plan->launches[1];
    assert_null(memset_step->kernel);
    assert_string_equal(memset_step->buffer, "partial");
    assert_int_equal(memset_step->value, 255);
    assert_string_equal(launch->kernel, "sample");
    assert_int_equal(launch->n_args, 8);
    assert_string_equal(launch->args[0].name, "x");
    assert_null(launch->args[0].expr);
    assert_null(launch->args[5].name);
    assert_string_equal(expr_text(launch->args[5].expr), "cols/VEC");
    assert_string_equal(expr_text(launch->args[7].expr), "7");
    candidate_free(candidate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),  cmocka_unit_test(test_params), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_list),   cmocka_unit_test(test_settle), cmocka_unit_test(test_args),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
