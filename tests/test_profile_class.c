/* SPDX-License-Identifier: MIT */
/* Counter sets that a GPU gave, and the class and words that follow from them. */
#include "evaluator/profile_class.h"
#include "base/jread.h"
#include "base/util.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void run_case(const char *path)
{
    json_t *json = NULL;
    assert_int_equal(jread_file(path, &json, NULL), 0);
    struct counters counters;
    counters_parse(json_object_get(json, "counters"), &counters);
    struct profile_facts facts = {
        .time_us = json_number_value(json_object_get(json, "time_us")),
        .sol = json_number_value(json_object_get(json, "sol")),
        .bytes = json_number_value(json_object_get(json, "bytes")),
        .n_launches = (size_t)json_integer_value(json_object_get(json, "launches")),
    };
    char why[1024];
    enum bottleneck class = profile_class(&counters, &facts, why, sizeof(why));
    const char *wanted = json_string_value(json_object_get(json, "class"));
    if (!str_eq(bottleneck_name(class), wanted)) {
        fail_msg("%s: %s (%s), not %s", path, bottleneck_name(class), why, wanted);
    }
    const json_t *words = json_object_get(json, "why");
    assert_true(json_array_size(words) > 0);
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (!strstr(why, word)) {
            fail_msg("%s: \"%s\" lacks \"%s\"", path, why, word);
        }
    }
    json_decref(json);
}

static void test_cases(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(WS_SOURCE_DIR "/tests/cases/profile/*.json", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 8);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        run_case(found.gl_pathv[i]);
    }
    globfree(&found);
}

/* A part that is busy on the few SMs that have work doesn't bound the GPU. */
static void test_few_sms(void **state)
{
    (void)state;
    struct counters c = { 0 };
    char why[256];
    const struct profile_facts facts = { .time_us = 100, .n_launches = 1 };
    counters_set(&c, COUNTER_L1, 99);
    counters_set(&c, COUNTER_FMA, 20);
    assert_int_equal(profile_class(&c, &facts, why, sizeof(why)), BOTTLENECK_NEAR_LIMIT);
    counters_set(&c, COUNTER_SM_ACTIVE, 10);
    assert_int_equal(profile_class(&c, &facts, why, sizeof(why)), BOTTLENECK_LATENCY_BOUND);
    assert_non_null(strstr(why, "an SM has work 10 % of the time"));
}

static void test_thresholds(void **state)
{
    (void)state;
    char why[256];
    const struct profile_facts facts = { .time_us = 100, .sol = 0.3, .n_launches = 1 };
    static const struct {
        double dram, fma;
        enum bottleneck class;
    } cases[] = {
        { 59.9, 10, BOTTLENECK_LATENCY_BOUND }, { 60, 10, BOTTLENECK_MEMORY_BOUND },
        { 10, 60, BOTTLENECK_COMPUTE_BOUND },   { 90, 10, BOTTLENECK_MEMORY_BOUND },
        { 61, 70, BOTTLENECK_COMPUTE_BOUND },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct counters c = { 0 };
        counters_set(&c, COUNTER_DRAM, cases[i].dram);
        counters_set(&c, COUNTER_FMA, cases[i].fma);
        assert_int_equal(profile_class(&c, &facts, why, sizeof(why)), cases[i].class);
    }
    const struct profile_facts near = { .time_us = 100, .sol = 0.75, .n_launches = 1 };
    struct counters c = { 0 };
    counters_set(&c, COUNTER_DRAM, 80);
    counters_set(&c, COUNTER_FMA, 10);
    assert_int_equal(profile_class(&c, &near, why, sizeof(why)), BOTTLENECK_NEAR_LIMIT);
}

/* Nothing known, or one side of it alone: no class. */
static void test_unknown(void **state)
{
    (void)state;
    char why[64] = "x";
    struct counters c = { 0 };
    const struct profile_facts facts = { .time_us = 100, .sol = 0.95, .n_launches = 1 };
    assert_int_equal(profile_class(&c, &facts, why, sizeof(why)), BOTTLENECK_NONE);
    assert_string_equal(why, "");
    counters_set(&c, COUNTER_DRAM, 99);
    assert_int_equal(profile_class(&c, &facts, why, sizeof(why)), BOTTLENECK_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_few_sms),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
