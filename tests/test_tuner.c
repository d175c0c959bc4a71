/* SPDX-License-Identifier: MIT */
/* The tuner's rules, for every algorithm, on spaces that are small enough to count. */
#include "agent/tuner.h"
#include "base/util.h"
#include "tests/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CONFIGS_MAX = 8192 };

struct fixture {
    struct task *task;
    struct candidate *candidate;
    struct space space;
};

static void open_space(struct fixture *f, const char *patch)
{
    struct device_facts facts = sample_facts();
    struct err err = { 0 };
    f->task = sample_task();
    f->candidate = sample_candidate_with(patch);
    if (space_init(&f->space, f->task, &f->task->shapes[0], f->candidate->plan, &facts, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static void close_space(struct fixture *f)
{
    candidate_free(f->candidate);
    task_free(f->task);
}

static struct tuner *open_tuner(const struct fixture *f, const char *algorithm, size_t budget,
                                uint64_t seed)
{
    struct tuner *tuner = NULL;
    struct err err = { 0 };
    if (tuner_new(algorithm, &f->space, budget, seed, &tuner, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return tuner;
}

/* Asks for everything, `batch` at a time; each config is allowed and new. */
static size_t ask_all(const struct fixture *f, struct tuner *tuner, size_t batch, int64_t *ret)
{
    size_t n = 0, got, row = f->space.n;
    while ((got = tuner_ask(tuner, batch, ret + n * row)) > 0) {
        assert_true(got <= batch);
        n += got;
        assert_true(n * row < CONFIGS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(space_allows(&f->space, ret + i * row, NULL), 1);
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(ret + i * row, ret + k * row, row * sizeof(*ret));
        }
    }
    assert_int_equal(tuner_ask(tuner, 1, ret + n * row), 0); /* and stays at its end */
    return n;
}

static size_t count_allowed(const struct fixture *f)
{
    auto_arena struct arena *arena = arena_new();
    int64_t *configs;
    size_t n;
    assert_int_equal(space_list(&f->space, arena, &configs, &n, NULL), 0);
    return n;
}

static const char *const algorithms[] = { "random", "exhaustive" };

static void test_own_config_first(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{}");
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        struct tuner *tuner = open_tuner(&f, algorithms[i], 10, 1);
        int64_t config[PLAN_PARAMS_MAX];
        assert_string_equal(tuner_name(tuner), algorithms[i]);
        assert_int_equal(tuner_ask(tuner, 1, config), 1);
        assert_memory_equal(config, f.space.own, f.space.n * sizeof(*config));
        tuner_free(tuner);
    }
    close_space(&f);
}

/* A plan whose own values its constraints forbid begins elsewhere. */
static void test_own_config_that_is_forbidden(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{\"constraints\": [\"BLOCK != 256\"]}");
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        int64_t configs[CONFIGS_MAX];
        struct tuner *tuner = open_tuner(&f, algorithms[i], 1000, 1);
        assert_int_equal(ask_all(&f, tuner, 7, configs), count_allowed(&f));
        tuner_free(tuner);
    }
    close_space(&f);
}

/* No config twice, none past the budget, none missing where the budget is larger than the space. */
static void test_budget_and_exhaustion(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{}");
    size_t all = count_allowed(&f);
    assert_in_range(all, 10, 100);
    const size_t budgets[] = { 0, 1, 5, all - 1, all, all + 1, 1000 };
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        for (size_t k = 0; k < ARRAY_LEN(budgets); k++) {
            int64_t configs[CONFIGS_MAX];
            struct tuner *tuner = open_tuner(&f, algorithms[i], budgets[k], 3);
            size_t batch = 1 + k % 3;
            assert_int_equal(ask_all(&f, tuner, batch, configs), MIN(budgets[k], all));
            tuner_free(tuner);
        }
    }
    close_space(&f);
}

/* 1,500 configs: drawing alone would give up before the last ones. */
static void test_random_finds_the_last_ones(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{\"params\": {\"U\": 1}, \"space\": {\"U\": {\"int\": [1, 100]}}, "
                   "\"constraints\": null}");
    size_t all = count_allowed(&f);
    assert_in_range(all, 1000, 4000);
    auto_free int64_t *configs = xcalloc(CONFIGS_MAX * 4, sizeof(*configs));
    struct tuner *tuner = open_tuner(&f, "random", 10000, 5);
    size_t n = 0;
    while (tuner_ask(tuner, 1, configs) > 0) {
        n++;
    }
    assert_int_equal(n, all);
    tuner_free(tuner);
    close_space(&f);
}

static void test_seeds(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{}");
    int64_t one[CONFIGS_MAX], same[CONFIGS_MAX], other[CONFIGS_MAX];
    struct tuner *a = open_tuner(&f, "random", 12, 1), *b = open_tuner(&f, "random", 12, 1);
    struct tuner *c = open_tuner(&f, "random", 12, 2);
    size_t bytes = 12 * f.space.n * sizeof(*one);
    assert_int_equal(ask_all(&f, a, 4, one), 12);
    assert_int_equal(ask_all(&f, b, 1, same), 12); /* however many are asked for at a time */
    assert_int_equal(ask_all(&f, c, 4, other), 12);
    assert_memory_equal(one, same, bytes);
    assert_memory_not_equal(one, other, bytes);
    tuner_free(a);
    tuner_free(b);
    tuner_free(c);
    close_space(&f);
}

static void test_best_and_failures(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{}");
    struct tuner *tuner = open_tuner(&f, "random", 6, 1);
    int64_t configs[CONFIGS_MAX];
    size_t n = ask_all(&f, tuner, 6, configs), row = f.space.n;
    assert_int_equal(n, 6);
    assert_null(tuner_best(tuner)); /* nothing was told yet */
    const double times[] = { (double)NAN, 30, 20, -5, 25, (double)NAN };
    for (size_t i = n; i-- > 0;) { /* told in another order than asked for */
        assert_int_equal(tuner_tell(tuner, configs + i * row, times[i], NULL), 0);
    }
    const struct tuner_sample *samples, *best = tuner_best(tuner);
    assert_int_equal(tuner_samples(tuner, &samples), n);
    for (size_t i = 0; i < n; i++) {
        assert_memory_equal(samples[i].config, configs + i * row, row * sizeof(*configs));
        bool failed = isnan(samples[i].time_us);
        assert_int_equal(failed, !(times[i] > 0)); /* a time below zero is none */
        assert_true(failed || samples[i].time_us == times[i]);
    }
    assert_ptr_equal(best, &samples[2]);
    tuner_free(tuner);
    tuner = open_tuner(&f, "random", 1, 1);
    ask_all(&f, tuner, 1, configs);
    assert_int_equal(tuner_tell(tuner, configs, (double)NAN, NULL), 0);
    assert_null(tuner_best(tuner));
    tuner_free(tuner);
    close_space(&f);
}

static void test_told_without_asking(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{}");
    struct tuner *tuner = open_tuner(&f, "exhaustive", 100, 1);
    int64_t config[PLAN_PARAMS_MAX], other[PLAN_PARAMS_MAX] = { 0 };
    struct err err = { 0 };
    assert_int_equal(tuner_tell(tuner, f.space.own, 1, &err), ERR_INVALID);
    assert_int_equal(tuner_ask(tuner, 1, config), 1);
    assert_int_equal(tuner_tell(tuner, other, 1, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "nobody asked for"));
    assert_null(tuner_best(tuner));
    assert_int_equal(tuner_tell(tuner, config, 1, &err), 0);
    assert_non_null(tuner_best(tuner));
    tuner_free(tuner);
    close_space(&f);
}

/* Exhaustive where the budget covers what the constraints allow, random elsewhere. */
static void test_choice_of_algorithm(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{}");
    size_t all = count_allowed(&f);
    const struct {
        size_t budget;
        const char *name;
    } cases[] = { { 1, "random" }, { all - 1, "random" }, { all, "exhaustive" },
                  { 10000, "exhaustive" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tuner *tuner = open_tuner(&f, NULL, cases[i].budget, 1);
        int64_t configs[CONFIGS_MAX];
        assert_string_equal(tuner_name(tuner), cases[i].name);
        assert_int_equal(ask_all(&f, tuner, 3, configs), MIN(cases[i].budget, all));
        tuner_free(tuner);
    }
    close_space(&f);
}

static void test_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct tuner *tuner = NULL;
    struct err err = { 0 };
    open_space(&f, "{}");
    assert_int_equal(tuner_new("magic", &f.space, 10, 1, &tuner, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "random and exhaustive"));
    close_space(&f);
    open_space(&f, "{\"constraints\": [\"BLOCK > 5000\"]}");
    assert_int_equal(tuner_new(NULL, &f.space, 100, 1, &tuner, &err), ERR_NOTFOUND);
    assert_int_equal(tuner_new("exhaustive", &f.space, 100, 1, &tuner, &err), ERR_NOTFOUND);
    close_space(&f);
    open_space(&f, "{\"params\": {\"U\": 1, \"W\": 1}, \"space\": {\"U\": {\"int\": [1, 1000]}, "
                   "\"W\": {\"int\": [1, 1000]}}}");
    assert_int_equal(tuner_new("exhaustive", &f.space, 100, 1, &tuner, &err), ERR_TOOBIG);
    assert_null(tuner);
    tuner = open_tuner(&f, NULL, 100, 1); /* too many to list is no reason not to search */
    assert_string_equal(tuner_name(tuner), "random");
    tuner_free(tuner);
    tuner_free(NULL);
    close_space(&f);
}

/* Without tunables there is nothing to ask. */
static void test_empty_space(void **state)
{
    (void)state;
    struct fixture f;
    open_space(&f, "{\"space\": null}");
    assert_int_equal(f.space.n, 0);
    struct tuner *tuner = open_tuner(&f, NULL, 10, 1);
    int64_t config[PLAN_PARAMS_MAX];
    assert_int_equal(tuner_ask(tuner, 4, config), 0);
    assert_null(tuner_best(tuner));
    tuner_free(tuner);
    close_space(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_config_first),
        cmocka_unit_test(test_own_config_that_is_forbidden),
        cmocka_unit_test(test_budget_and_exhaustion),
        cmocka_unit_test(test_random_finds_the_last_ones),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_best_and_failures),
        cmocka_unit_test(test_told_without_asking),
        cmocka_unit_test(test_choice_of_algorithm),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_empty_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
