/* SPDX-License-Identifier: MIT */
/* Ideas under other names, held against the shipped memory: what is found, what is taken for new, and
 * which shipped strategies it can't tell apart. */
#include "agent/catalog.h"
#include "base/util.h"
#include "graph/htg_like.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    return catalog_memory((struct htg **)state, NULL);
}

static int teardown(void **state)
{
    htg_free(*state);
    return 0;
}

static const struct {
    struct htg_idea idea;
    const char *is; /* NULL: nothing that is known */
} ideas[] = {
    {{"algorithm", "Single-pass online softmax",
      "Keep a running max and a running sum that is rescaled whenever the max grows"},
     "online-softmax"},
    {{"latency-hiding", "Software prefetch of next row in registers",
      "Persistent blocks load the next row into registers before reducing the current row"},
     "persistent-register-prefetch"},
    {{"data-reuse", "Keep the row in registers", "Read the row once, hold it, write once"},
     "row-in-registers"},
    {{"launch-overhead", "PDL overlap of dependent kernels",
      "Use programmatic dependent launch with griddepcontrol so that the second kernel starts early"},
     "programmatic-dependent-launch"},
    {{"synchronisation", "Per-warp private partial sums",
      "Each warp accumulates into its own copy and copies are merged at the end"},
     "private-accumulators"},
    {{"memory-access", "Compress indices to 16 bit deltas",
      "Store the gather offsets as int16 differences and rebuild them by a prefix sum"},
     NULL},
    {{"algorithm", "Chebyshev fit of the activation",
      "Replace the transcendental by a degree 7 polynomial on a clipped range"},
     NULL},
    {{"parallel-mapping", "Hilbert order of tiles", "Walk the output tiles along a Hilbert curve"},
     NULL},
    {{"data-reuse", "Keep the gamma vector in constant memory",
      "Broadcast reads of the weights through the constant cache"},
     NULL},
    {{"algorithm", "", ""}, NULL},
    {{"nowhere", "Online maximum and scaled sum", "online softmax"}, NULL},
};

static void test_ideas(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ideas); i++) {
        int index = htg_find_like(*state, &ideas[i].idea, HTG_LIKE_LEAST);
        const char *id = index < 0 ? NULL : htg_strategy(*state, (size_t)index)->id;
        if (!(id && ideas[i].is ? str_eq(id, ideas[i].is) : id == ideas[i].is)) {
            fail_msg("\"%s\": %s, not %s", ideas[i].idea.title, id ? id : "new",
                     ideas[i].is ? ideas[i].is : "new");
        }
    }
}

/* A strategy is itself; few others would be taken for it. */
static void test_seeds_differ(void **state)
{
    const struct htg *htg = *state;
    size_t same = 0, twins = 0, n = htg_strategies(htg);
    for (size_t i = 0; i < n; i++) {
        const struct htg_strategy *s = htg_strategy(htg, i);
        struct htg_idea idea = {s->direction, s->title, s->guidance};
        same += htg_find_like(htg, &idea, HTG_LIKE_LEAST) == (int)i;
        for (size_t j = 0; i % 8 == 0 && j < n; j++) { /* an eighth: pairs take their time */
            if (j != i && str_eq(htg_strategy(htg, j)->direction, s->direction)) {
                idea.text = "";
                twins += htg_likeness(htg, &idea, j) >= HTG_LIKE_LEAST;
            }
        }
    }
    print_message("%zu of %zu are themselves, %zu pairs of an eighth are taken for one\n", same, n,
                  twins);
    assert_int_equal(same, n);
    assert_in_range(twins, 0, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ideas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seeds_differ, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
