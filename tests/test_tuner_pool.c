/* SPDX-License-Identifier: MIT */
/* What a model ranks: features, listed and drawn pools, guesses over the whole and over a slice. */
#include "agent/tune/tuner_guess.h"
#include "base/util.h"
#include "tests/tune_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BLOCK, TILE, MODE, FAST, ORDER, PARAMS };

static struct tuner *open_tuner(const struct tune_space *space, size_t budget)
{
    struct tuner *tuner = NULL;
    struct tuner_options options = { .algorithm = "random", .budget = budget, .seed = 1 };
    assert_int_equal(tuner_new(space, &options, &tuner, NULL), 0);
    return tuner;
}

static void measure(struct tuner *tuner, const struct tune_space *space, size_t n)
{
    uint16_t config[PARAMS];
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tuner_ask(tuner, 1, config), 1);
        assert_int_equal(tuner_tell(tuner, config, sample_time(space, config), NULL), 0);
    }
}

/* BLOCK 256, TILE 12: after the space's own features log2 and halvings of both, product and ratio. */
static void test_features(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(100, false);
    struct tuner *tuner = open_tuner(s, 10);
    struct tuner_pool *pool = tuner_pool_new(tuner, true);
    const uint16_t config[PARAMS] = { 3, 11, 2, 0, 5 };
    assert_int_equal(pool->d, s->n_features + 4);
    float *x = xcalloc(pool->d, sizeof(*x)), *own = xcalloc(s->n_features, sizeof(*own));
    tuner_pool_features(tuner, pool, config, x);
    tune_space_features(s, config, own);
    assert_memory_equal(x, own, s->n_features * sizeof(*x));
    const double expected[] = { 8, 2, log2(12.0 * 256), log2(12.0 / 256) };
    for (size_t i = 0; i < 4; i++) {
        assert_true(fabs((double)x[s->n_features + i] - expected[i]) < 1e-5);
    }
    free(x);
    free(own);
    tuner_free(tuner);
    tune_space_free(s);
}

static void test_listed(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(20, true);
    struct tuner *tuner = open_tuner(s, 100);
    struct tuner_pool *pool = tuner_pool_new(tuner, true);
    assert_int_equal(pool->n, s->n_listed);
    measure(tuner, s, 30);
    tuner_pool_refresh(tuner, pool);
    for (size_t i = 0; i < pool->n; i++) {
        assert_int_equal(pool->taken[i], tuner_asked(tuner, tuner_pool_config(tuner, pool, i)));
    }
    tuner_free(tuner);
    tune_space_free(s);
}

/* Drawn anew, near the fastest too: allowed, unknown, each once. */
static void test_drawn(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(1000, false);
    struct tuner *tuner = open_tuner(s, 100);
    struct tuner_pool *pool = tuner_pool_new(tuner, true);
    assert_int_equal(pool->n, 0);
    measure(tuner, s, 30);
    tuner_pool_refresh(tuner, pool);
    assert_in_range(pool->n, 1000, 8000);
    const uint16_t *best = tuner_best(tuner)->config;
    size_t near = 0;
    for (size_t i = 0; i < pool->n; i++) {
        const uint16_t *config = tuner_pool_config(tuner, pool, i);
        size_t differs = 0;
        assert_int_equal(tune_space_allows(s, config), 1);
        assert_false(tuner_asked(tuner, config));
        assert_false(pool->taken[i]);
        assert_true(i == 0
                    || memcmp(config, config - PARAMS, PARAMS * sizeof(*config)) > 0); /* sorted */
        for (size_t k = 0; k < PARAMS; k++) {
            differs += config[k] != best[k];
        }
        near += differs == 1;
    }
    assert_true(near >= 5);
    tuner_free(tuner);
    tune_space_free(s);
}

/* Of the rows, the one guessed best is better than most; a slice knows its own samples alone. */
static void test_guess(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(20, true);
    struct tuner *tuner = open_tuner(s, 400);
    struct tuner_pool *pool = tuner_pool_new(tuner, true);
    float *p = xcalloc(pool->n, sizeof(*p));
    struct guess_options options = { .quantile = 0.5, .trees = 20, .seed = 1 };
    assert_false(tuner_guess(tuner, pool, &options, p)); /* of nothing */
    measure(tuner, s, 200);
    assert_true(tuner_guess(tuner, pool, &options, p));
    size_t best = 0, better = 0;
    for (size_t i = 0; i < pool->n; i++) {
        best = p[i] > p[best] ? i : best;
    }
    double time = sample_time(s, tuner_pool_config(tuner, pool, best));
    for (size_t i = 0; i < pool->n; i++) {
        better += sample_time(s, tuner_pool_config(tuner, pool, i)) < time;
    }
    assert_true(better < pool->n / 20);
    const struct guess_slice fast = { FAST, 1, 1 }, nothing = { TILE, 500, 600 };
    assert_true(tuner_guess_inside(&fast, (const uint16_t[]) { 0, 0, 0, 1, 0 }));
    assert_false(tuner_guess_inside(&fast, (const uint16_t[]) { 0, 0, 0, 0, 0 }));
    options.slice = &fast;
    assert_true(tuner_guess(tuner, pool, &options, p));
    options.slice = &nothing;
    assert_false(tuner_guess(tuner, pool, &options, p));
    free(p);
    tuner_free(tuner);
    tune_space_free(s);
}

/* Never empty, never everything. */
static void test_slices(void **state)
{
    (void)state;
    struct tune_space *s = sample_space(20, true);
    struct tuner *tuner = open_tuner(s, 10);
    for (int i = 0; i < 500; i++) {
        struct guess_slice slice = tuner_guess_draw(tuner);
        const struct tune_param *p = &s->params[slice.param];
        assert_true(slice.low <= slice.high && slice.high < p->n);
        assert_true(slice.high - slice.low + 1u < p->n);
        assert_true(p->kind == TUNE_POW2 || p->kind == TUNE_NUMBER || slice.low == slice.high);
    }
    tuner_free(tuner);
    tune_space_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features), cmocka_unit_test(test_listed),
        cmocka_unit_test(test_drawn),    cmocka_unit_test(test_guess),
        cmocka_unit_test(test_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
