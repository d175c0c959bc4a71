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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attainable),
        cmocka_unit_test(test_plan_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
