/* SPDX-License-Identifier: MIT */
/* The record of a device's ceilings, and what the share of the speed of light makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evaluator/worker/roof.h"

static const struct ceilings h200 = { .copy = 4.2e12, .read = 4.4e12, .f32 = 60e12, .tf32 = 400e12,
                                      .bf16 = 800e12, .f16 = 810e12, .instruction = "wgmma",
                                      .driver = "580.1" };

static void test_round_trip(void **state)
{
    (void)state;
    struct ceilings back;
    json_t *json = ceilings_json(&h200);
    assert_int_equal(ceilings_parse(json, &back, NULL), 0);
    json_decref(json);
    assert_true(back.copy == h200.copy && back.read == h200.read && back.f32 == h200.f32);
    assert_true(back.tf32 == h200.tf32 && back.bf16 == h200.bf16 && back.f16 == h200.f16);
    assert_string_equal(back.instruction, "wgmma");
    assert_string_equal(back.driver, "580.1");
    assert_true(ceilings_rate(&h200, "bf16") == 800e12);
    assert_true(ceilings_rate(&h200, "f64") == 0);
    assert_true(ceilings_rate(&h200, "copy") == 0); /* no precision */
}

static void test_bad_records(void **state)
{
    (void)state;
    static const struct {
        const char *json, *error;
    } cases[] = {
        { "[]", "expected an object, got an array" },
        { "{\"copy\": -1}", "copy: -1 is outside 0..1e+18" },
        { "{\"f16\": \"fast\"}", "f16: expected a number, got a string" },
        { "{\"instruction\": 3}", "instruction: expected a string, got an integer" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { 0 };
        struct ceilings ceilings = { .copy = 5 };
        json_t *json = json_loads(cases[i].json, 0, NULL);
        assert_int_equal(ceilings_parse(json, &ceilings, &err), ERR_INVALID);
        json_decref(json);
        assert_string_equal(err_text(&err), cases[i].error);
        assert_true(ceilings.copy == 5);
    }
}

static void share(const struct roof_device *device, const struct ceilings *measured,
                  const char *precision, double bytes, double flops, double us, const char *basis,
                  double expected)
{
    struct roof_work work = { bytes, flops, 0, false, precision };
    struct roof_share got;
    roof_share(device, measured, &work, us, &got);
    assert_string_equal(got.basis, basis);
    assert_float_equal(got.share, expected, 1e-6);
}

static void test_shares(void **state)
{
    (void)state;
    static const struct roof_device hopper = { 9, 0, 132, 1980000, 60 << 20, 4.8e12 };
    static const struct roof_device blackwell = { 10, 0, 148, 1965000, 126 << 20, 8e12 };
    static const struct ceilings none;
    struct ceilings old = h200;
    strcpy(old.instruction, "mma.sync");
    share(&hopper, &none, "f32", 4.8e9, 1, 2000, "theoretical", 0.5);
    share(&hopper, &h200, "f32", 4.4e9, 1, 2000, "measured", 0.5);
    share(&hopper, &h200, "bf16", 1, 8e11, 2000, "measured", 0.5);
    /* What does TF32's work quickest. */
    share(&hopper, &h200, "tf32", 1, 810e12, 2e6, "measured", 0.5);
    /* Not measured, or not by what the chip does best: theory. */
    share(&hopper, &h200, "f8", 1, 8192.0 * 132 * 1.98e9, 2e6, "theoretical", 0.5);
    share(&hopper, &old, "bf16", 1, 4096.0 * 132 * 1.98e9, 2e6, "theoretical", 0.5);
    share(&blackwell, &old, "f16", 1, 8192.0 * 148 * 1.965e9, 2e6, "theoretical", 0.5);
    share(&blackwell, &old, "f32", 1, 60e12, 2e6, "measured", 0.5);
    share(&hopper, &h200, "f32", 0, 0, 5, "", 0);
    /* A copy, and one part written of four: half copied, half read. */
    struct roof_work copy = { 4.2e9, 0, 2.1e9, false, "f32" }, mixed = { 8.4e9, 0, 2.1e9, false, "f32" };
    struct roof_share got;
    roof_share(&hopper, &h200, &copy, 2000, &got);
    assert_float_equal(got.share, 0.5, 1e-6);
    roof_share(&hopper, &h200, &mixed, 2000, &got);
    assert_float_equal(got.share, (1000 + 4.2e9 / 4.4e12 * 1e6) / 2000, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
