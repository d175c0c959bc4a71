/* SPDX-License-Identifier: MIT */
/* `llm` and `hybrid`: rounds of proposals, their end, and what follows. */
#include "agent/tune/tuner.h"
#include "base/util.h"
#include "tests/tune_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { PARAMS = 5 };

static struct tuner *open_tuner(const struct tune_space *space, const char *algorithm,
                                size_t budget, const char *flags)
{
    struct tuner *tuner = NULL;
    struct tuner_options options = { .algorithm = algorithm, .budget = budget, .seed = 1,
                                     .flags = flags };
    assert_int_equal(tuner_new(space, &options, &tuner, NULL), 0);
    return tuner;
}

/* Asks and tells until nothing comes, all configs at the same time but for `fast`; returns how many. */
static size_t drain(struct tuner *tuner, const uint16_t *fast, double time)
{
    uint16_t config[PARAMS];
    size_t n = 0;
    while (tuner_ask(tuner, 1, config) == 1) {
        bool is_fast = fast && memcmp(config, fast, sizeof(config)) == 0;
        assert_int_equal(tuner_tell(tuner, config, is_fast ? time : 100, NULL), 0);
        n++;
    }
    return n;
}

/* Two rounds that gain less than half a percent are the end; one that gains more starts the count anew. */
static void test_stagnation_ends_it(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, true);
    struct tuner *tuner = open_tuner(s, "llm", 200, "rounds=10");
    const double times[] = { 90, 89.9, 80, 79.9, 79.8 };
    assert_int_equal(tuner_waits(tuner), 0); /* at once: the model thinks while random ones are timed */
    assert_int_equal(drain(tuner, NULL, 0), 11);
    for (uint16_t round = 0; round < ARRAY_LEN(times); round++) {
        const uint16_t config[PARAMS] = { 2, 3, 1, 1, round };
        assert_int_equal(tuner_waits(tuner), round);
        assert_int_equal(tuner_offer(tuner, config, 1), 1);
        assert_int_equal(tuner_waits(tuner), -1); /* what was offered comes first */
        assert_int_equal(drain(tuner, config, times[round]), 1);
    }
    assert_int_equal(tuner_waits(tuner), -1);
    assert_true(tuner_done(tuner));
    assert_int_equal(tuner_offer(tuner, s->own, 1), 0);
    tuner_free(tuner);
    tune_space_free(s);
}

static void test_rounds_are_counted(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, true);
    struct tuner *tuner = open_tuner(s, "llm", 200, "rounds=2,random=0");
    double time = 90;
    drain(tuner, NULL, 0);
    for (uint16_t round = 0; round < 2; round++, time /= 2) {
        const uint16_t config[PARAMS] = { 2, 3, 1, 1, round };
        assert_int_equal(tuner_waits(tuner), round);
        tuner_offer(tuner, config, 1);
        drain(tuner, config, time);
    }
    assert_int_equal(tuner_waits(tuner), -1);
    assert_true(tuner_done(tuner));
    tuner_free(tuner);
    tune_space_free(s);
}

/* Forbidden ones, known ones and repeats are dropped. */
static void test_what_is_kept(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, true);
    struct tuner *tuner = open_tuner(s, "llm", 200, "random=0");
    const uint16_t offer[] = { 0, 0, 0, 0, 0, /* own, known */ 5, 99, 0, 0, 0, /* forbidden */
                               1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* twice */ 2, 2, 2, 0, 0 };
    const uint16_t kept[] = { 1, 1, 1, 1, 1, 2, 2, 2, 0, 0 };
    uint16_t configs[3 * PARAMS];
    assert_int_equal(drain(tuner, NULL, 0), 1);
    assert_int_equal(tuner_offer(tuner, offer, 5), 2);
    assert_int_equal(tuner_ask(tuner, 3, configs), 2);
    assert_memory_equal(configs, kept, sizeof(kept));
    assert_int_equal(tuner_waits(tuner), -1); /* until they're told */
    assert_false(tuner_done(tuner));
    assert_int_equal(tuner_tell(tuner, configs, 5, NULL), 0);
    assert_int_equal(tuner_waits(tuner), -1);
    assert_int_equal(tuner_tell(tuner, configs + PARAMS, 5, NULL), 0);
    assert_int_equal(tuner_waits(tuner), 1);
    tuner_free(tuner);
    tune_space_free(s);
}

/* A proposer that fails, in whichever round, leaves a search that uses the budget. */
static void test_failing_proposer(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, true);
    const char *const names[] = { "llm", "hybrid" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (int good = 0; good < 2; good++) {
            struct tuner *tuner = open_tuner(s, names[i], 60, "rounds=3");
            const uint16_t config[PARAMS] = { 2, 3, 1, 1, 0 };
            size_t n = drain(tuner, NULL, 0);
            for (int round = 0; round < good; round++) {
                assert_int_equal(tuner_offer(tuner, config, 1), 1);
                n += drain(tuner, config, 50);
            }
            assert_int_equal(tuner_waits(tuner), good);
            assert_int_equal(tuner_offer(tuner, NULL, 0), 0);
            assert_int_equal(tuner_waits(tuner), -1);
            assert_int_equal(n + drain(tuner, NULL, 0), 60);
            assert_true(tuner_done(tuner));
            tuner_free(tuner);
        }
    }
    tune_space_free(s);
}

/* One round, then the search with all that was measured. */
static void test_hybrid_goes_on(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, true);
    struct tuner *tuner = open_tuner(s, "hybrid", 60, NULL);
    const uint16_t config[PARAMS] = { 2, 3, 1, 1, 0 };
    size_t n = drain(tuner, NULL, 0);
    assert_int_equal(n, 11);
    assert_int_equal(tuner_waits(tuner), 0);
    assert_int_equal(tuner_offer(tuner, config, 1), 1);
    n += drain(tuner, config, 50);
    assert_int_equal(n, 60);
    assert_int_equal(tuner_waits(tuner), -1);
    tuner_free(tuner);
    tune_space_free(s);
}

/* Nobody is asked about a space that is measured whole. */
static void test_nothing_to_propose(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(2, true);
    const char *const names[] = { "llm", "hybrid" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct tuner *tuner = open_tuner(s, names[i], s->n_listed, NULL);
        assert_int_equal(tuner_waits(tuner), -1);
        assert_int_equal(drain(tuner, NULL, 0), s->n_listed);
        tuner_free(tuner);
    }
    tune_space_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stagnation_ends_it), cmocka_unit_test(test_rounds_are_counted),
        cmocka_unit_test(test_what_is_kept),       cmocka_unit_test(test_failing_proposer),
        cmocka_unit_test(test_hybrid_goes_on),     cmocka_unit_test(test_nothing_to_propose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
