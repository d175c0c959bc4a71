/* SPDX-License-Identifier: MIT */
/* Which samples count, and how often a comparison of two series is wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "evaluator/worker/series.h"

static void put(struct series *s, double us, double mhz)
{
    s->us[s->n] = us;
    s->mhz[s->n++] = mhz;
}

static void test_slow_clocks_are_dropped(void **state)
{
    (void)state;
    struct series a = { 0 }, b = { 0 };
    double us[SERIES_MAX];
    put(&a, 10, 2000);
    put(&a, 11, 1499); /* below three quarters of 2000 */
    put(&a, 12, 1500);
    put(&a, 13, 0);    /* clock not known */
    put(&a, 0, 2000);  /* didn't start in time */
    for (int i = 0; i < 5; i++) {
        put(&b, 20 + i, i == 4 ? 100 : 2000);
    }
    assert_true(series_clock(&a, &b) == 2000);
    assert_int_equal(series_kept(&a, 2000, us), 3);
    assert_true(us[0] == 10 && us[1] == 12 && us[2] == 13);
    assert_int_equal(series_kept(&b, 2000, us), 4);
    /* Pairs 0, 2 and 3 remain: 2, 22/12, 23/13. */
    struct interval ratio;
    series_ratio(&b, &a, 2000, STATS_ALPHA_ONE, &ratio);
    assert_float_equal(ratio.median, 22.0 / 12, 1e-9);
    assert_float_equal(ratio.lo, 23.0 / 13, 1e-9);
    assert_float_equal(ratio.hi, 2, 1e-9);
    struct series unknown = { .n = 1, .us = { 5 } };
    assert_true(series_clock(&unknown, NULL) == 0);
    assert_int_equal(series_kept(&unknown, 0, us), 1);
}

static void test_nothing_left(void **state)
{
    (void)state;
    struct series a = { 0 }, b = { 0 };
    struct interval ratio = { 1, 1, 1 };
    put(&a, 0, 2000);
    put(&b, 5, 2000);
    series_ratio(&b, &a, 2000, STATS_ALPHA_ONE, &ratio);
    assert_true(ratio.median == 0);
    assert_false(series_enough(&a, NULL, STATS_ALPHA_ONE));
    assert_false(series_enough(&a, &b, STATS_ALPHA_ONE));
}

/* A run as a GPU gives it: noise, a common drift, now and then an outlier. */
static double noisy(struct rng *rng, double us, double sigma, double drift)
{
    double outlier = rng_unit(rng) < 0.02 ? 1 + 0.3 * rng_unit(rng) : 1;
    return us * outlier * exp(sigma * rng_normal(rng) + drift);
}

/* One comparison, taken as timing takes it: looks at 30, 60, 120 and 240 pairs. */
static const char *compare(struct rng *rng, double sigma, double slowdown)
{
    struct series a = { 0 }, b = { 0 };
    struct interval ratio;
    for (size_t look = 30;; look *= 2) {
        while (a.n < look) {
            double drift = 0.02 * sin((double)a.n / 40);
            put(&a, noisy(rng, 70 * slowdown, sigma, drift), 1980);
            put(&b, noisy(rng, 70, sigma, drift), 1980);
        }
        if (look == 240 || series_enough(&a, &b, STATS_ALPHA_FOUR_LOOKS)) {
            series_ratio(&b, &a, 1980, STATS_ALPHA_FOUR_LOOKS, &ratio);
            return stats_relation(&ratio);
        }
    }
}

static void test_error_rates(void **state)
{
    (void)state;
    enum { RUNS = 400 };
    static const double sigmas[] = { 0.003, 0.01, 0.015 };
    struct rng rng;
    rng_init(&rng, 7, 1, 2);
    for (size_t k = 0; k < ARRAY_LEN(sigmas); k++) {
        int same = 0, wrong = 0, slower = 0, faster = 0;
        for (int i = 0; i < RUNS; i++) {
            const char *aa = compare(&rng, sigmas[k], 1);
            same += str_eq(aa, "same");
            wrong += str_eq(aa, "faster") || str_eq(aa, "slower");
            slower += str_eq(compare(&rng, sigmas[k], 1.03), "slower");
            faster += str_eq(compare(&rng, sigmas[k], 1 / 1.03), "faster");
        }
        assert_true(same >= RUNS * 9 / 10);
        assert_true(wrong <= RUNS / 100);
        assert_true(slower >= RUNS * 9 / 10);
        assert_true(faster >= RUNS * 9 / 10);
    }
    /* A difference at the edge of the band, or noise that hides it, is left open. */
    int open = 0;
    for (int i = 0; i < 100; i++) {
        open += str_eq(compare(&rng, 0.2, 1), "ambiguous");
    }
    assert_true(open >= 95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_clocks_are_dropped),
        cmocka_unit_test(test_nothing_left),
        cmocka_unit_test(test_error_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
