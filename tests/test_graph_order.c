/* SPDX-License-Identifier: MIT */
/* How much order matters: k for edges from a memory without order, with it, and with nothing. */
#include "base/rng.h"
#include "base/util.h"
#include "graph/order.h"
#include "graph_fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#define UNKNOWN 5.0

/* 40 outcomes an edge: noise of 0.2 around what the direction brings, moved by `matters` times a
 * number of the edge's own. */
static struct htg *experienced(uint64_t seed, double matters, const char *where)
{
    struct htg *htg = fixture_graph(NULL);
    struct rng rng;
    rng_init(&rng, seed, 0, 0);
    for (size_t from = 0; from < FIXTURE_DIRECTIONS; from++) {
        for (size_t to = 0; to < FIXTURE_DIRECTIONS; to++) {
            double effect = 0.1 * (double)to + matters * rng_normal(&rng);
            char key[STATS_KEY_MAX];
            stats_key(STATS_KIND_TRANSITION, htg_direction(htg, from)->id,
                      htg_direction(htg, to)->id, where, key);
            for (int i = 0; i < 40; i++) {
                assert_int_equal(
                    htg_stat_add(htg, key, effect + 0.2 * rng_normal(&rng), false, NULL), 0);
            }
        }
    }
    return htg;
}

static double k_of(const struct htg *htg, bool modelled)
{
    struct context context = fixture_request(0, 0).context;
    context.modelled = modelled;
    return order_k(view_of(htg, &context), FIXTURE_DIRECTIONS, UNKNOWN);
}

static void test_nothing_known(void **state)
{
    (void)state;
    struct htg *htg = fixture_graph(NULL);
    assert_true(k_of(htg, false) == UNKNOWN);
    htg_free(htg);
}

/* The true answer is 0.2^2 / matters^2, as long as the clamp of gains stays away. */
static void test_order_matters(void **state)
{
    (void)state;
    struct htg *htg = experienced(1, 0.1, "*|*|*");
    double k = k_of(htg, false);
    assert_true(k > 2 && k < 9); /* 4 */
    assert_true(k_of(htg, true) == UNKNOWN); /* a model's experience is another */
    htg_free(htg);
    htg = experienced(1, 0.1, "*|*|*-model");
    assert_true(k_of(htg, false) == UNKNOWN);
    k = k_of(htg, true);
    assert_true(k > 2 && k < 9);
    htg_free(htg);
}

static void test_order_means_nothing(void **state)
{
    (void)state;
    size_t silent = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct htg *htg = experienced(seed, 0, "*|*|*");
        silent += k_of(htg, false) >= ORDER_K_MOST;
        htg_free(htg);
    }
    assert_in_range(silent, 46, 50); /* two standard deviations: about one in forty by luck */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_order_matters),
        cmocka_unit_test(test_order_means_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
