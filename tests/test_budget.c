/* SPDX-License-Identifier: MIT */
#include "agent/budget.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void test_what_is_reserved_counts(void **state)
{
    (void)state;
    struct budget b = { .usd_most = 1, .tokens_most = 1000 };
    const char *why = "";
    assert_true(budget_reserve(&b, 0.4, 300, &why));
    assert_true(budget_reserve(&b, 0.4, 300, &why));
    assert_false(budget_reserve(&b, 0.3, 300, &why));
    assert_non_null(strstr(why, "dollars"));
    assert_false(budget_reserve(&b, 0.1, 500, &why));
    assert_non_null(strstr(why, "tokens"));
    budget_settle(&b, 0.4, 300, 0.1, 50); /* it came cheaper: there's room again */
    assert_true(budget_reserve(&b, 0.5, 600, &why));
    budget_settle(&b, 0.4, 300, 0.4, 300);
    budget_settle(&b, 0.5, 600, 0.5, 600);
    assert_true(fabs(b.usd_spent - 1.0) < 1e-12);
    assert_int_equal(b.tokens_spent, 950);
    assert_true(b.usd_reserved < 1e-12);
    assert_int_equal(b.tokens_reserved, 0);
    assert_false(budget_reserve(&b, 1e-6, 1, &why));
}

static void test_an_unknown_price_never_fits_a_budget(void **state)
{
    (void)state;
    struct budget none = { 0 }, dollars = { .usd_most = 1000 };
    const char *why = "";
    assert_true(budget_reserve(&none, (double)NAN, 1 << 30, &why));
    assert_false(budget_reserve(&dollars, (double)NAN, 1, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_reserved_counts),
        cmocka_unit_test(test_an_unknown_price_never_fits_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
