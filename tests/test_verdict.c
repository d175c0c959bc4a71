/* SPDX-License-Identifier: MIT */
#include "kernelbench/verdict.h"
#include "base/util.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct verdict full(void)
{
    static const double samples[] = { 3.5, 3.25, 0, 3.75 }, clocks[] = { 1980, 1965, 0, 1980 };
    return (struct verdict) {
        .status = VERDICT_STATUS_ACCEPTED, .phase = "done", .detail = "7 trials, 3 shapes",
        .modelled = true, .nondeterministic = true,
        .time = { 3.5, 3.25, 4, 3, 1, samples, clocks },
        .baseline = { 7, 6.5, 7.5, 30, 0, NULL, NULL },
        .speedup = 2, .speedup_lo = 1.9, .speedup_hi = 2.1, .relation = "faster",
        .remarks = "kernel k reads a clock", .libraries = "cuBLASLt 13.0.1", .sanitizer = { "memcheck", 2, "Invalid read" },
        .throttle = "sw_power_cap", .shared = true, .sol_basis = "measured",
        .prepare_us = 12.5, .sol = 0.5, .sol_bound = "memory",
        .bottleneck = BOTTLENECK_MEMORY_BOUND, .bottleneck_why = "dram 71 % of peak",
        .counters = { 1ull << COUNTER_DRAM | 1ull << COUNTER_TIME,
                      { [COUNTER_DRAM] = 71.5, [COUNTER_TIME] = 66 } },
        .joules = 0.08, .profile = "energy not available", .registers = 40, .spill_bytes = 8,
        .shared_bytes = 1024, .occupancy = 0.75, .max_error = 1e-6, .device = "aa",
        .arch = "sm_90a", .driver = "13.0", .compiler = "NVRTC 13.0", .task = "bb",
        .candidate = "cc",
        .gate_version = 3, .compile_s = 0.25, .device_s = 1.5,
    };
}

static void test_names(void **state)
{
    (void)state;
    enum verdict_status status = VERDICT_STATUS_CRASH;
    for (int i = 0; i <= VERDICT_STATUS_UNSUPPORTED; i++) {
        enum verdict_status back;
        assert_true(verdict_status_parse(verdict_status_name((enum verdict_status)i), &back));
        assert_int_equal(back, i);
    }
    assert_false(verdict_status_parse("Accepted", &status));
    assert_false(verdict_status_parse("", &status));
    assert_int_equal(status, VERDICT_STATUS_CRASH);
    assert_true(verdict_status_final(VERDICT_STATUS_ACCEPTED));
    assert_true(verdict_status_final(VERDICT_STATUS_INCORRECT));
    assert_false(verdict_status_final(VERDICT_STATUS_TIMEOUT));
    assert_false(verdict_status_final(VERDICT_STATUS_SUSPECT));
    for (int i = 0; i <= BOTTLENECK_NEAR_LIMIT; i++) {
        enum bottleneck back;
        assert_true(bottleneck_parse(bottleneck_name((enum bottleneck)i), &back));
        assert_int_equal(back, i);
    }
    enum bottleneck bottleneck;
    assert_false(bottleneck_parse("memory", &bottleneck));
}

/* Every member survives: the second document equals the first, and so do the samples. */
static void test_round_trip(void **state)
{
    (void)state;
    struct verdict verdict = full(), back;
    auto_arena struct arena *arena = arena_new();
    json_t *json = verdict_json(&verdict);
    assert_int_equal(json_object_size(json), 42);
    assert_int_equal(verdict_parse(json, arena, &back, NULL), 0);
    json_t *again = verdict_json(&back);
    assert_true(json_equal(json, again));
    json_decref(json);
    json_decref(again);
    assert_int_equal(back.status, VERDICT_STATUS_ACCEPTED);
    assert_string_equal(back.detail, "7 trials, 3 shapes");
    assert_true(back.modelled && back.nondeterministic);
    assert_int_equal(back.time.n, 3);
    assert_int_equal(back.time.dropped, 1);
    assert_memory_equal(back.time.samples_us, verdict.time.samples_us, 4 * sizeof(double));
    assert_memory_equal(back.time.clocks_mhz, verdict.time.clocks_mhz, 4 * sizeof(double));
    assert_true(back.shared);
    assert_string_equal(back.throttle, "sw_power_cap");
    assert_string_equal(back.sanitizer.text, "Invalid read");
    assert_int_equal(back.sanitizer.errors, 2);
    assert_string_equal(back.sol_basis, "measured");
    assert_int_equal(back.baseline.n, 30);
    assert_null(back.baseline.samples_us);
    assert_true(back.speedup_hi == 2.1 && back.max_error == 1e-6 && back.device_s == 1.5);
    assert_int_equal(back.bottleneck, BOTTLENECK_MEMORY_BOUND);
    assert_int_equal(back.gate_version, 3);
    assert_string_equal(back.bottleneck_why, "dram 71 % of peak");
    assert_true(back.joules == 0.08 && back.counters.known == verdict.counters.known);
    assert_true(counters_get(&back.counters, COUNTER_DRAM) == 71.5);
    assert_string_equal(back.candidate, "cc");
}

/* A copy is what writing and reading back makes, whatever stands in the verdict. */
static void test_copy(void **state)
{
    (void)state;
    static const double odd[] = { 1, (double)NAN, 3 };
    struct verdict verdicts[3] = { full(), { .status = VERDICT_STATUS_CRASH }, full() };
    verdicts[2].detail = "its last words: \xff\x80";
    verdicts[2].relation = NULL;
    verdicts[2].speedup = (double)NAN;
    verdicts[2].speedup_hi = (double)INFINITY;
    verdicts[2].max_error = (double)-INFINITY;
    verdicts[2].time = (struct verdict_time) { (double)INFINITY, (double)NAN, 2, 3, 0, odd, odd };
    verdicts[2].baseline = (struct verdict_time) { .median_us = 5 }; /* n is 0: not taken */
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        auto_arena struct arena *arena = arena_new();
        struct verdict copy, parsed;
        json_t *json = verdict_json(&verdicts[i]);
        assert_int_equal(verdict_parse(json, arena, &parsed, NULL), 0);
        verdict_copy(&verdicts[i], arena, &copy);
        json_t *one = verdict_json(&parsed), *two = verdict_json(&copy);
        assert_true(json_equal(one, two));
        assert_int_equal(copy.baseline.median_us == 0, i > 0);
        assert_true(copy.detail != verdicts[i].detail);
        assert_true(!copy.time.n || copy.time.samples_us != verdicts[i].time.samples_us);
        json_decref(json);
        json_decref(one);
        json_decref(two);
    }
}

/* What a worker sends after a failure: little, and with keys this version doesn't know. */
static void test_sparse(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct verdict verdict;
    json_t *json = json_pack("{s:s, s:s, s:i}", "status", "timeout", "phase", "check", "colour", 3);
    assert_int_equal(verdict_parse(json, arena, &verdict, NULL), 0);
    json_decref(json);
    assert_int_equal(verdict.status, VERDICT_STATUS_TIMEOUT);
    assert_string_equal(verdict.phase, "check");
    assert_string_equal(verdict.detail, "");
    assert_string_equal(verdict.relation, "");
    assert_int_equal(verdict.time.n, 0);
    assert_int_equal(verdict.bottleneck, BOTTLENECK_NONE);
}

/* Numbers that JSON lacks and logs that aren't UTF-8 must not lose the verdict. */
static void test_odd_values(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct verdict verdict = full(), back;
    verdict.speedup = NAN;
    verdict.max_error = INFINITY;
    verdict.detail = "kernel.cu(3): \xff\xfe and \xc3\xa9";
    verdict.relation = NULL;
    json_t *json = verdict_json(&verdict);
    assert_int_equal(verdict_parse(json, arena, &back, NULL), 0);
    json_decref(json);
    assert_true(back.speedup == 0);
    assert_true(back.max_error == DBL_MAX);
    assert_string_equal(back.detail, "kernel.cu(3): ?? and \xc3\xa9");
    assert_string_equal(back.relation, "");
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *json, *error;
    } cases[] = {
        { "[]", "expected an object, got an array" },
        { "{}", "the key \"status\" is missing" },
        { "{\"status\": \"fine\"}", "status: unknown status \"fine\"" },
        { "{\"status\": 3}", "status: expected a string, got an integer" },
        { "{\"status\": \"crash\", \"bottleneck\": \"luck\"}",
          "bottleneck: unknown bottleneck \"luck\"" },
        { "{\"status\": \"crash\", \"phase\": 1}", "phase: expected a string, got an integer" },
        { "{\"status\": \"crash\", \"modelled\": 1}",
          "modelled: expected true or false, got an integer" },
        { "{\"status\": \"crash\", \"registers\": 4294967296}",
          "registers: 4294967296 is outside -2147483648..2147483647" },
        { "{\"status\": \"crash\", \"sol\": \"1\"}", "sol: expected a number, got a string" },
        { "{\"status\": \"crash\", \"time\": 5}", "time: expected an object, got an integer" },
        { "{\"status\": \"crash\", \"time\": {\"n\": 0, \"median_us\": 1}}",
          "time.n: 0 is outside 1..100000" },
        { "{\"status\": \"crash\", \"time\": {\"n\": 1}}",
          "time: the key \"median_us\" is missing" },
        { "{\"status\": \"crash\", \"time\": {\"n\": 1, \"median_us\": -1}}",
          "time.median_us: -1 is outside 0..1.79769e+308" },
        { "{\"status\": \"crash\","
          " \"baseline\": {\"n\": 2, \"median_us\": 1, \"samples_us\": [1]}}",
          "baseline.samples_us: 1 numbers for 2 samples" },
        { "{\"status\": \"crash\", \"time\": {\"n\": 1, \"median_us\": 1, \"samples_us\": [-1]}}",
          "time.samples_us[0]: expected a number that isn't negative" },
        { "{\"status\": \"crash\", \"time\": {\"n\": 1, \"dropped\": 1, \"median_us\": 1,"
          " \"samples_us\": [1, 2], \"clocks_mhz\": [1980]}}",
          "time.clocks_mhz: 1 numbers for 2 samples" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_arena struct arena *arena = arena_new();
        json_t *json = json_loads(cases[i].json, 0, NULL);
        struct verdict verdict = { .gate_version = 77 };
        struct err err = { 0 };
        assert_int_equal(verdict_parse(json, arena, &verdict, &err), ERR_INVALID);
        assert_string_equal(err_text(&err), cases[i].error);
        assert_int_equal(verdict.gate_version, 77);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_sparse),     cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
