/* SPDX-License-Identifier: MIT */
#include "kernelbench/counter.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* Names are what programs read: each is there once, and a count can't be mistaken for a share. */
static void test_list(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        enum counter c = (enum counter)i;
        assert_true(*counter_name(c) && *counter_metric(c) && *counter_says(c));
        assert_true(strchr(counter_metric(c), '.') != NULL); /* with its roll-up */
        assert_int_equal(str_eq(counter_unit(c), "%"), strstr(counter_name(c), "_pct") != NULL);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(counter_name(c), counter_name((enum counter)k));
            assert_string_not_equal(counter_metric(c), counter_metric((enum counter)k));
        }
    }
    assert_true(counter_is_sum(COUNTER_TIME) && counter_is_sum(COUNTER_DRAM_READ));
    assert_false(counter_is_sum(COUNTER_DRAM) || counter_is_sum(COUNTER_STALL_WAIT));
    assert_true(counter_is_stall(COUNTER_STALL_WAIT) && !counter_is_stall(COUNTER_ISSUE));
    assert_string_equal(counter_metric(COUNTER_STALL_GMMA),
                        "smsp__average_warps_issue_stalled_gmma_per_issue_active.ratio");
}

static struct counters kernel(double us, double bytes, double dram)
{
    struct counters c = { 0 };
    counters_set(&c, COUNTER_TIME, us);
    counters_set(&c, COUNTER_DRAM_READ, bytes);
    counters_set(&c, COUNTER_DRAM, dram);
    return c;
}

/* 30 us at 90 % and 10 us at 10 % are 40 us at 70 %. */
static void test_add(void **state)
{
    (void)state;
    struct counters sum = { 0 }, a = kernel(30, 1000, 90), b = kernel(10, 500, 10);
    counters_set(&b, COUNTER_FMA, 50);
    counters_add(&sum, &a);
    counters_add(&sum, &b);
    assert_true(counters_get(&sum, COUNTER_TIME) == 40);
    assert_true(counters_get(&sum, COUNTER_DRAM_READ) == 1500);
    assert_true(fabs(counters_get(&sum, COUNTER_DRAM) - 70) < 1e-9);
    assert_false(counters_has(&sum, COUNTER_FMA)); /* known of one of the two */
}

static void test_json(void **state)
{
    (void)state;
    struct counters c = kernel(30, 1000, 90), back;
    counters_set(&c, COUNTER_L2, (double)NAN);
    counters_set(&c, COUNTER_L1, (double)INFINITY);
    json_t *json = counters_json(&c);
    assert_int_equal(json_object_size(json), 3);
    json_object_set_new(json, "of_tomorrow", json_real(1));
    json_object_set_new(json, "fma_pct", json_string("much"));
    counters_parse(json, &back);
    json_decref(json);
    assert_true(back.known == c.known);
    assert_true(counters_get(&back, COUNTER_DRAM) == 90);
    assert_true(counters_get(&back, COUNTER_L2) == 0);
    counters_parse(NULL, &back);
    assert_true(back.known == 0);
    assert_null(counters_json(&back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
