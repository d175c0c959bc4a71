/* SPDX-License-Identifier: MIT */
/* What a model is told of a tuning, in a line. */
#include "agent/run.h"
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static json_t *sample(int block, int vec, double us)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"BLOCK\":%d,\"VEC\":%d}", block, vec);
    return us > 0 ? json_pack("{s:s, s:s, s:f}", "config", text, "status", "accepted", "us", us)
                  : json_pack("{s:s, s:s}", "config", text, "status", "launch_error");
}

static void test_words(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    json_t *tuning = json_pack("{s:[o, o, o, o, o]}", "samples", sample(128, 1, 90), sample(256, 1, 80),
                               sample(256, 4, 60), sample(128, 4, 70), sample(512, 4, 0));
    const char *text = run_tuning_words(tuning, false, arena);
    assert_string_equal(text, "tuner: 5 combinations of its space timed, quickly, 1 failed"
                              "; fastest BLOCK=256 VEC=4 60 us, BLOCK=128 VEC=4 70 us, BLOCK=256 VEC=1 80 us"
                              "; slowest BLOCK=128 VEC=1 90 us; the fastest with each value"
                              "; BLOCK=256 60, BLOCK=128 70; VEC=4 60, VEC=1 80");
    json_decref(tuning);
}

static void test_little(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    json_t *none = json_pack("{s:[]}", "samples"), *one = json_pack("{s:[o]}", "samples", sample(64, 1, 5));
    assert_null(run_tuning_words(none, false, arena));
    assert_string_equal(run_tuning_words(one, true, arena),
                        "tuner: 1 combinations of its space modelled, 0 failed; fastest BLOCK=64 VEC=1 5 us");
    json_decref(none);
    json_decref(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_words), cmocka_unit_test(test_little) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
