/* SPDX-License-Identifier: MIT */
/* Scores against numbers worked out by hand, and intervals against published ones. */
#include "kernelbench/score.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void near(double a, double b)
{
    if (!(fabs(a - b) < 1e-9)) {
        fail_msg("%.12g, expected %.12g", a, b);
    }
}

static void test_score(void **state)
{
    (void)state;
    static const struct score_item items[] = {
        { true, 4, 0.5, 1, 1 }, { true, 1, 0.9, 2, 1 }, { true, 0.6, 0, 1, 1 }, { false, 0, 0, 1, 0 },
        { true, 0, 0, 1, 1 } /* untimed */,
    };
    static const double want[SCORE_POINTS] = { 0.8, 0.6, 0.4, 0.2, 0.2, 0.2 };
    struct score s;
    score_of(items, ARRAY_LEN(items), 1, &s);
    assert_int_equal(s.n, 5);
    assert_int_equal(s.correct, 4);
    assert_int_equal(s.timed, 3);
    for (size_t p = 0; p < SCORE_POINTS; p++) {
        near(s.fast[p], want[p]); /* exactly 1x isn't faster than 1x */
        assert_true(s.fast_span[p].lo < want[p] && s.fast_span[p].hi > want[p]);
    }
    near(s.geomean, cbrt(2.4));
    near(s.geomean_all, pow(2.4, 0.25));
    near(s.geomean_zero, 0);
    assert_true(s.geomean_span.lo < s.geomean && s.geomean < s.geomean_span.hi);
    near(s.pass[0], 0.7);
    assert_int_equal(s.pass_n[0], 5);
    near(s.pass[1], 1); /* one of two is right: so is one of both */
    assert_int_equal(s.pass_n[1], 1);
    assert_int_equal(s.pass_n[2], 0);
    near(s.sol, 0.7);
    score_of(items, 3, 1, &s);
    near(s.geomean_zero, cbrt(2.4));
    score_of(&items[3], 1, 1, &s);
    assert_true(s.geomean == 0 && s.geomean_all == 1 && s.geomean_zero == 0); /* all failed: all keep the baseline */
    score_of(&items[4], 1, 1, &s);
    assert_true(s.geomean == 0 && s.geomean_all == 0); /* nothing is known of one without a time */
    score_of(items, 0, 1, &s);
    assert_true(s.geomean == 0 && s.geomean_all == 0 && s.fast[0] == 0 && s.fast_span[0].hi == 0);
}

static void test_pass(void **state)
{
    (void)state;
    near(score_pass(10, 3, 1), 0.3);
    near(score_pass(10, 3, 2), 1 - 21.0 / 45); /* C(7, 2) / C(10, 2) */
    near(score_pass(10, 3, 8), 1);
    near(score_pass(10, 0, 5), 0);
    near(score_pass(200, 1, 100), 0.5);
}

static void test_intervals(void **state)
{
    (void)state;
    struct span s = score_wilson(8, 10);
    assert_true(fabs(s.lo - 0.4902) < 1e-4 && fabs(s.hi - 0.9433) < 1e-4);
    s = score_wilson(0, 20);
    assert_true(s.lo == 0 && fabs(s.hi - 0.1611) < 1e-4);
    near(score_sign_test(8, 2), 0.109375);
    near(score_sign_test(0, 0), 1);
    near(score_sign_test(3, 3), 1);
    near(score_sign_test(0, 10), 2.0 / 1024);
}

/* As wide as theory says: 1.96 standard errors to both sides; and the same for the same seed. */
static void test_bootstrap(void **state)
{
    (void)state;
    double logs[400];
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        logs[i] = i % 2 ? 0.5 : -0.1; /* mean 0.2, deviation 0.3 */
    }
    struct span a = score_bootstrap(logs, ARRAY_LEN(logs), 7), b = score_bootstrap(logs, ARRAY_LEN(logs), 7);
    double half = 1.96 * 0.3 / sqrt(ARRAY_LEN(logs));
    near(a.lo, b.lo);
    near(a.hi, b.hi);
    assert_true(fabs(log(a.lo) - (0.2 - half)) < 0.2 * half);
    assert_true(fabs(log(a.hi) - (0.2 + half)) < 0.2 * half);
    a = score_bootstrap(logs, 1, 7);
    assert_true(a.lo == 0 && a.hi == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_score), cmocka_unit_test(test_pass), cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_bootstrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
