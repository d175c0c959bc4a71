/* SPDX-License-Identifier: MIT */
/* What a question says of the run so far: what is left to gain, the plan, the best, what was tried. */
#include "agent/prompt_parts.h"
#include "base/util.h"
#include "tests/prompt_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* What is left to gain, and what that rests on. */
static void test_attainable(void **state)
{
    (void)state;
    struct rig rig;
    struct prompt p;
    rig_init(&rig);
    rig.verdict.sol_basis = "theoretical";
    rig_build(&rig, &p);
    assert_has(p.messages[1].text, "attainable: about 64.6 us by the memory bound (by theory, which no "
                                   "kernel reaches whole), 60 % left\n");
    assert_null(strstr(p.messages[1].text, "next to nothing"));
    rig.verdict.sol_basis = "measured";
    rig.verdict.sol = 0.984;
    rig.device.has_ceilings = true;
    rig.device.ceilings = (struct ceilings) { .copy = 4.25e12, .read = 4.5e12, .bf16 = 7.9e14 };
    rig_build(&rig, &p);
    assert_has(p.messages[1].text, "about 158.9 us by the memory bound (measured on this device: a copy "
                                   "moves 4.25 TB/s, reading alone 4.50), 1.6 % left\nThat is next to "
                                   "nothing");
    rig.verdict.sol_basis = "modelled";
    rig.verdict.modelled = true;
    rig.verdict.sol = 1.2;
    rig_build(&rig, &p);
    assert_has(p.messages[1].text, "about 161.5 us by the memory bound (modelled, not measured), 0.0 % "
                                   "left");
    rig_done(&rig);
}

/* A model's plan keeps the order that it was written in, one from the store is sorted by name. */
static void test_plan_order(void **state)
{
    (void)state;
    static const char source[] = "extern \"C\" __global__ void k(float *y) {}\n";
    static const char *const plans[] = {
        "{\"tags\": {\"title\": \"t\"}, \"compile\": [\"--use_fast_math\"], \"launches\": [{\"args\": [\"y\"], "
        "\"block\": [\"W\"], \"kernel\": \"k\", \"grid\": [1]}], \"space\": {\"W\": {\"enum\": [32, 64]}}, "
        "\"params\": {\"W\": 32, \"A\": 1}, \"format\": 1}",
        "{\"format\": 1, \"params\": {\"A\": 1, \"W\": 32}, \"compile\": [\"--use_fast_math\"], "
        "\"space\": {\"W\": {\"enum\": [32, 64]}}, \"launches\": [{\"kernel\": \"k\", \"args\": [\"y\"], "
        "\"grid\": [1], \"block\": [\"W\"]}]}",
    };
    static const char *const order[] = { "\"format\"", "\"params\"", "\"A\"", "\"W\"", "\"space\"",
                                         "\"launches\"", "\"kernel\"", "\"grid\"", "\"block\"",
                                         "\"args\"", "\"compile\"" };
    auto_arena struct arena *arena = arena_new();
    const char *shown[2];
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        struct candidate *candidate = NULL;
        assert_int_equal(candidate_parse(plans[i], strlen(plans[i]), source, strlen(source), &candidate,
                                         NULL), 0);
        shown[i] = prompt_plan(candidate->plan, arena);
        candidate_free(candidate);
    }
    assert_string_equal(shown[0], shown[1]);
    assert_order(shown[0], order, ARRAY_LEN(order));
    assert_null(strstr(shown[0], "tags"));
}

/* Both times that the parent is spoken of, the best is, too. */
static void test_parent_is_not_the_best(void **state)
{
    (void)state;
    static const char *const order[] = {
        "# The parent: attempt 1", "# The best so far isn't the parent: attempt 0, 34.97 us", "Softmax 6: a plain grid",
        "# The direction", "# Your turn", "faster than the parent's 161.5 us",
        "The parent isn't the best so far: that is attempt 0 with 34.97 us, shown above. The target",
    };
    struct rig rig;
    struct prompt p;
    rig_init(&rig);
    rig_build(&rig, &p);
    assert_null(strstr(p.messages[1].text, "isn't the best"));
    assert_null(strstr(p.messages[1].text, "isn't the parent"));
    struct verdict fast = rig.verdict;
    fast.time.median_us = 34.97;
    rig.tried[0].verdict = &fast;
    rig.tried[0].candidate = rig.best;
    rig.tried[0].values = "ROWS=4 VEC=4";
    rig_build(&rig, &p);
    assert_order(p.messages[1].text, order, ARRAY_LEN(order));
    assert_has(p.messages[1].text, "attempt 0, 34.97 us, with ROWS=4 VEC=4\n");
    rig.tried[0].candidate = NULL; /* only its words are left */
    rig.tried[0].strategy = "online-softmax";
    rig.tried[0].direction = "algorithm";
    rig_build(&rig, &p);
    assert_has(p.messages[1].text, "attempt 0, 34.97 us, by algorithm / online-softmax, with ROWS=4");
    rig_done(&rig);
}

static bool shows_example(struct rig *rig)
{
    struct prompt p;
    rig_build(rig, &p);
    return strstr(p.messages[1].text, "# An example") != NULL;
}

static void test_example_only_where_it_is_new(void **state)
{
    (void)state;
    const struct symbol other_value[] = { { "BLOCK", 64 } };
    struct rig rig;
    struct candidate *tuned = NULL;
    rig_init(&rig);
    assert_true(shows_example(&rig));
    rig.tried[0].id = rig.other->id; /* the parent's own parent */
    assert_false(shows_example(&rig));
    rig.tried[1].parent = -1; /* a stranger */
    assert_true(shows_example(&rig));
    struct verdict fast = rig.verdict;
    fast.time.median_us = 34.97;
    rig.tried[0].verdict = &fast; /* a stranger, but the best */
    assert_false(shows_example(&rig));
    rig.tried[0] = rig.tried[2];
    assert_true(shows_example(&rig));
    assert_int_equal(candidate_with_params(rig.parent, other_value, 1, &tuned, NULL), 0);
    assert_false(id_eq(&tuned->id, &rig.parent->id));
    rig.example.candidate = tuned; /* the parent's source, tuned otherwise */
    assert_false(shows_example(&rig));
    candidate_free(tuned);
    rig_done(&rig);
}

/* What an attempt cost and what it ran with, to the tenth of a percent. */
static void test_lines_of_what_was_tried(void **state)
{
    (void)state;
    struct rig rig;
    struct prompt p;
    rig_init(&rig);
    struct verdict near = rig.verdict, far = rig.verdict;
    near.time.median_us = 161.66;
    near.registers = 40;
    far.time.median_us = 64.6;
    rig.tried[1].verdict = &near;
    rig.tried[1].values = "BLOCK=256 VEC=4";
    rig.tried[1].tuning = "tuner: 3 combinations";
    rig.tried[2].verdict = &far;
    rig.tried[2].parent = 0;
    rig.tried[0].values = "";
    rig_build(&rig, &p);
    assert_has(p.messages[1].text, "\"One block\" with BLOCK=256 VEC=4: accepted, 161.7 us, +0.1 % time "
                                   "against its parent, 40 registers, occupancy 50 %, memory_bound\n");
    assert_has(p.messages[1].text, "accepted, 64.6 us, 2.5x as fast as its parent, 32 registers");
    assert_has(p.messages[1].text, "\ntuner: 3 combinations\n"); /* of the parent */
    assert_null(strstr(p.messages[1].text, "\"Two kernels\" with"));
    assert_has(p.messages[1].text, "Nothing is tuned here");
    rig.input.tune_budget = 40;
    rig_build(&rig, &p);
    assert_has(p.messages[1].text, "The tuner measures up to 40 combinations of your plan's space, its own");
    assert_string_equal(prompt_values(rig.best->plan, rig.arena), "BLOCK=512 HINT=0 VEC=4");
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attainable),
        cmocka_unit_test(test_plan_order),
        cmocka_unit_test(test_parent_is_not_the_best),
        cmocka_unit_test(test_lines_of_what_was_tried),
        cmocka_unit_test(test_example_only_where_it_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
