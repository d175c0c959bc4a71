/* SPDX-License-Identifier: MIT */
/* The tuner's rules, for every algorithm, on spaces that are small enough to count. */
#include "agent/tune/tuner.h"
#include "base/util.h"
#include "tests/tune_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ROWS_MAX = 4096, PARAMS = 5 };

struct run {
    size_t n;
    uint16_t configs[ROWS_MAX * PARAMS];
};

/* The rules hold whatever the forests know, so small ones do. */
static const char *small_forests(const char *algorithm)
{
    const struct tuner_flag *flag = algorithm ? tuner_flags(algorithm) : NULL;
    while (flag && flag->name && !str_eq(flag->name, "trees")) {
        flag++;
    }
    return flag && flag->name ? "trees=2" : NULL;
}

static struct tuner *open_with(const struct tune_space *space, const char *algorithm,
                               size_t budget, uint64_t seed, const char *flags)
{
    struct tuner *tuner = NULL;
    struct err err = { 0 };
    struct tuner_options options = { .algorithm = algorithm, .budget = budget, .seed = seed,
                                     .flags = flags };
    if (tuner_new(space, &options, &tuner, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return tuner;
}

static struct tuner *open_tuner(const struct tune_space *space, const char *algorithm,
                                size_t budget, uint64_t seed)
{
    return open_with(space, algorithm, budget, seed, small_forests(algorithm));
}

static void tell(struct tuner *tuner, const struct tune_space *space, const uint16_t *config)
{
    assert_int_equal(tuner_tell(tuner, config, sample_time(space, config), NULL), 0);
}

/* Asks for everything, `batch` at a time, and answers `late` configs later. A proposer says nothing. */
static void run_all(const struct tune_space *s, struct tuner *tuner, size_t batch, size_t late,
                    struct run *run)
{
    size_t told = 0, got;
    run->n = 0;
    for (;;) {
        assert_true(run->n + batch <= ROWS_MAX);
        got = tuner_ask(tuner, batch, run->configs + run->n * PARAMS);
        assert_true(got <= batch);
        run->n += got;
        size_t until = got ? run->n - MIN(run->n, late) : run->n;
        bool news = until > told;
        while (told < until) {
            tell(tuner, s, run->configs + PARAMS * told++);
        }
        if (got == 0 && tuner_waits(tuner) >= 0) {
            assert_int_equal(tuner_offer(tuner, NULL, 0), 0);
        } else if (got == 0 && !news) {
            break;
        }
    }
    assert_true(tuner_done(tuner));
}

static void check_rules(const struct tune_space *s, const struct run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        assert_int_equal(tune_space_allows(s, run->configs + i * PARAMS), 1);
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(run->configs + i * PARAMS, run->configs + k * PARAMS,
                                    PARAMS * sizeof(*run->configs));
        }
    }
}

static bool only_proposals(const char *name)
{
    return str_eq(name, "prior");
}

/* No config twice, none past the budget, none missing where the budget is larger than the space,
   whoever asks in whatever batches and tells late. */
static void test_budget_and_exhaustion(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(2, true);
    struct run *run = xcalloc(1, sizeof(*run));
    assert_in_range(s->n_listed, 300, 500);
    const size_t budgets[] = { 0, 1, 60, 1000 };
    for (const char *const *name = tuner_algorithms(); *name; name++) {
        for (size_t i = 0; i < ARRAY_LEN(budgets) && !only_proposals(*name); i++) {
            struct tuner *tuner = open_tuner(s, *name, budgets[i], 3);
            run_all(s, tuner, 1 + 7 * (i % 3), 5 * (i % 2), run);
            assert_int_equal(run->n, MIN(budgets[i], s->n_listed));
            check_rules(s, run);
            tuner_free(tuner);
        }
    }
    free(run);
    tune_space_free(s);
}

/* A space that isn't listed: the budget is used all the same. */
static void test_unlisted(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(1000, false);
    struct run *run = xcalloc(1, sizeof(*run));
    for (const char *const *name = tuner_algorithms(); *name; name++) {
        if (!only_proposals(*name) && !str_eq(*name, "exhaustive")) {
            struct tuner *tuner = open_tuner(s, *name, 60, 3);
            run_all(s, tuner, 3, 4, run);
            assert_int_equal(run->n, 60);
            check_rules(s, run);
            tuner_free(tuner);
        }
    }
    free(run);
    tune_space_free(s);
}

/* Own, pinned, proposed; each once, forbidden ones dropped. */
static void test_first_configs(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, true);
    const uint16_t pinned[] = { 1, 1, 1, 1, 1, /* own */ 0, 0, 0, 0, 0 };
    const uint16_t proposed[] = { /* forbidden */ 5, 99, 0, 0, 0, 2, 2, 2, 1, 5, 1, 1, 1, 1, 1 };
    struct tuner_options options = { .budget = 50, .seed = 1, .n_pinned = 2, .pinned = pinned,
                                     .n_proposed = 3, .proposed = proposed };
    const uint16_t expected[] = { 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 1, 5 };
    for (const char *const *name = tuner_algorithms(); *name; name++) {
        uint16_t configs[5 * PARAMS];
        struct tuner *tuner;
        options.algorithm = *name;
        assert_int_equal(tuner_new(s, &options, &tuner, NULL), 0);
        assert_string_equal(tuner_name(tuner), *name);
        assert_int_equal(tuner_ask(tuner, 3, configs), 3);
        assert_memory_equal(configs, expected, sizeof(expected));
        for (size_t i = 0; i < 3; i++) {
            tell(tuner, s, configs + i * PARAMS);
        }
        size_t more = tuner_waits(tuner) < 0 ? tuner_ask(tuner, 5, configs) : 5;
        assert_int_equal(more, only_proposals(*name) ? 0 : 5);
        tuner_free(tuner);
    }
    tune_space_free(s);
}

/* The same seed asks the same, another seed something else. */
static void test_seeds(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(40, true);
    struct run *one = xcalloc(1, sizeof(*one)), *same = xcalloc(1, sizeof(*same));
    struct run *other = xcalloc(1, sizeof(*other));
    for (const char *const *name = tuner_algorithms(); *name; name++) {
        struct tuner *a = open_tuner(s, *name, 80, 1), *b = open_tuner(s, *name, 80, 1);
        struct tuner *c = open_tuner(s, *name, 80, 2);
        run_all(s, a, 4, 2, one);
        run_all(s, b, 4, 2, same);
        run_all(s, c, 4, 2, other);
        assert_int_equal(one->n, same->n);
        assert_memory_equal(one->configs, same->configs, one->n * PARAMS * sizeof(uint16_t));
        if (!only_proposals(*name) && !str_eq(*name, "exhaustive")) {
            assert_memory_not_equal(one->configs, other->configs,
                                    one->n * PARAMS * sizeof(uint16_t));
        }
        tuner_free(a);
        tuner_free(b);
        tuner_free(c);
    }
    free(one);
    free(same);
    free(other);
    tune_space_free(s);
}

static void test_best_and_failures(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, true);
    struct tuner *tuner = open_tuner(s, "random", 6, 1);
    uint16_t configs[6 * PARAMS];
    assert_int_equal(tuner_ask(tuner, 9, configs), 6);
    assert_null(tuner_best(tuner)); /* nothing was told yet */
    const double times[] = { (double)NAN, 30, 20, -5, 25, (double)INFINITY };
    for (size_t i = 6; i-- > 0;) { /* told in another order than asked for */
        assert_int_equal(tuner_tell(tuner, configs + i * PARAMS, times[i], NULL), 0);
    }
    const struct tuner_sample *samples;
    assert_int_equal(tuner_samples(tuner, &samples), 6);
    for (size_t i = 0; i < 6; i++) {
        bool ran = times[i] > 0 && isfinite(times[i]);
        assert_memory_equal(samples[i].config, configs + i * PARAMS, PARAMS * sizeof(*configs));
        assert_int_equal(isnan(samples[i].time), !ran); /* a time below zero is none */
        assert_true(!ran || samples[i].time == times[i]);
    }
    assert_ptr_equal(tuner_best(tuner), &samples[2]);
    assert_int_equal(tuner_tell(tuner, samples[2].config, 40, NULL), 0); /* timed again */
    assert_ptr_equal(tuner_best(tuner), &samples[4]);
    assert_true(tuner_done(tuner));
    tuner_free(tuner);
    tune_space_free(s);
}

static void test_told_without_asking(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(4, true);
    struct tuner *tuner = open_tuner(s, "exhaustive", 100, 1);
    uint16_t config[PARAMS], other[PARAMS] = { 1, 1, 0, 0, 0 };
    struct err err = { 0 };
    assert_int_equal(tuner_tell(tuner, s->own, 1, &err), ERR_INVALID);
    assert_int_equal(tuner_ask(tuner, 1, config), 1);
    assert_int_equal(tuner_tell(tuner, other, 1, &err), ERR_INVALID);
    assert_non_null(strstr(err_text(&err), "nobody asked for"));
    assert_null(tuner_best(tuner));
    assert_int_equal(tuner_tell(tuner, config, 1, &err), 0);
    assert_non_null(tuner_best(tuner));
    tuner_free(tuner);
    tune_space_free(s);
}

/* Who learns ends near the optimum of some 2,000 configs within 200. */
static void test_finds_the_optimum(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(16, true);
    struct run *run = xcalloc(1, sizeof(*run));
    double best = INFINITY;
    for (size_t i = 0; i < s->n_listed; i++) {
        best = fmin(best, sample_time(s, s->listed + i * s->n));
    }
    const struct {
        const char *name;
        double most; /* `rank` alone stays on the second-best hill, 1.4 */
    } learners[] = { { "auto", 1.05 }, { "lfbo", 1.2 }, { "genetic", 1.45 }, { "rank", 1.45 } };
    for (size_t i = 0; i < ARRAY_LEN(learners); i++) {
        for (uint64_t seed = 1; seed <= 2; seed++) {
            struct tuner *tuner = open_with(s, learners[i].name, 200, seed, NULL);
            run_all(s, tuner, 1, 0, run);
            if (tuner_best(tuner)->time > learners[i].most * best) {
                fail_msg("%s, seed %d: %.3f, the optimum is %.3f", learners[i].name, (int)seed,
                         tuner_best(tuner)->time, best);
            }
            tuner_free(tuner);
        }
    }
    free(run);
    tune_space_free(s);
}

static void test_choice_of_algorithm(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(4, true), *large = sample_space(1000, false);
    const struct {
        const struct tune_space *space;
        size_t budget;
        const char *name;
    } cases[] = { { s, 1, "auto" }, { s, s->n_listed - 1, "auto" }, { s, s->n_listed, "exhaustive" },
                  { s, 10000, "exhaustive" }, { large, 100, "auto" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tuner *tuner = open_tuner(cases[i].space, NULL, cases[i].budget, 1);
        assert_string_equal(tuner_name(tuner), cases[i].name);
        tuner_free(tuner);
    }
    tune_space_free(s);
    tune_space_free(large);
}

static void test_refused(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(4, true), *large = sample_space(1000, false);
    struct tune_space *empty = sample_space_without_configs();
    const struct {
        const struct tune_space *space;
        const char *algorithm, *flags;
        int code;
        const char *text;
    } cases[] = {
        { s, "magic", NULL, ERR_INVALID, "there are auto" },
        { s, "rnak", NULL, ERR_INVALID, "did you mean rank?" },
        { s, "genetic", "size=3", ERR_INVALID, "it has: population, mutation, stale" },
        { s, "random", "x=3", ERR_INVALID, "it has: none" },
        { s, "genetic", "population", ERR_INVALID, "isn't NAME=VALUE" },
        { s, "genetic", "population=1", ERR_INVALID, "isn't a number from 2 to" },
        { s, "genetic", "population=nan", ERR_INVALID, "isn't a number from 2 to" },
        { s, "genetic", "population=5,,mutation=3", ERR_INVALID, "isn't NAME=VALUE" },
        { large, "exhaustive", NULL, ERR_TOOBIG, "can't search it" },
        { empty, "genetic", NULL, ERR_NOTFOUND, "constraints allow" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tuner *tuner = NULL;
        struct err err = { 0 };
        struct tuner_options options = { .algorithm = cases[i].algorithm, .budget = 10,
                                         .flags = cases[i].flags };
        assert_int_equal(tuner_new(cases[i].space, &options, &tuner, &err), cases[i].code);
        if (!strstr(err_text(&err), cases[i].text)) {
            fail_msg("%s", err_text(&err));
        }
        assert_null(tuner);
    }
    assert_null(tuner_flags("magic"));
    assert_non_null(tuner_flags("genetic"));
    tuner_free(NULL);
    tune_space_free(s);
    tune_space_free(large);
    tune_space_free(empty);
}

/* Without parameters there is nothing to ask. */
static void test_empty_space(void **state)
{
    (void)state;
    struct tune_space s = { .n = 0, .n_listed = 1 };
    for (const char *const *name = tuner_algorithms(); *name; name++) {
        struct tuner *tuner = open_tuner(&s, *name, 10, 1);
        uint16_t config[1];
        assert_int_equal(tuner_ask(tuner, 4, config), 0);
        assert_true(tuner_done(tuner));
        assert_int_equal(tuner_waits(tuner), -1);
        assert_null(tuner_best(tuner));
        tuner_free(tuner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_and_exhaustion),
        cmocka_unit_test(test_unlisted),
        cmocka_unit_test(test_first_configs),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_best_and_failures),
        cmocka_unit_test(test_told_without_asking),
        cmocka_unit_test(test_finds_the_optimum),
        cmocka_unit_test(test_choice_of_algorithm),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_empty_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
