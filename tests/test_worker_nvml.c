/* SPDX-License-Identifier: MIT */
/* NVML is optional, whole and figure by figure; a fake library stands in for the driver's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evaluator/worker/nvml.h"

static const char fake[] = WS_BIN_DIR "/libfake_nvml.so";

static void open_fake(const char *says, struct nvml *nvml)
{
    struct err err = { 0 };
    setenv("FAKE_NVML", says, 1);
    if (nvml_open(fake, "GPU-here", nvml, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static void test_absent(void **state)
{
    (void)state;
    struct nvml nvml = { 0 };
    struct err err = { 0 };
    unsigned number;
    uint64_t energy;
    assert_int_equal(nvml_open("libnothing-of-this-name.so", "GPU-here", &nvml, &err),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&err), "libnothing-of-this-name.so"));
    assert_int_equal(nvml_open(fake, "GPU-elsewhere", &nvml, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&err), "GPU-elsewhere"));
    assert_int_equal(nvml_throttle(&nvml, &number), ERR_UNSUPPORTED);
    assert_int_equal(nvml_sm_mhz(&nvml, &number), ERR_UNSUPPORTED);
    assert_int_equal(nvml_power_mw(&nvml, &number), ERR_UNSUPPORTED);
    assert_int_equal(nvml_energy_mj(&nvml, &energy), ERR_UNSUPPORTED);
    assert_int_equal(nvml_others(&nvml, &number), ERR_UNSUPPORTED);
    nvml_close(&nvml);
}

static void test_figures(void **state)
{
    (void)state;
    struct nvml nvml;
    unsigned number = 0;
    uint64_t energy = 0;
    open_fake("0,1980,700500,5000000000,1", &nvml);
    assert_string_equal(nvml.driver, "580.1");
    assert_int_equal(nvml_throttle(&nvml, &number), 0);
    assert_int_equal(number, 0);
    assert_int_equal(nvml_sm_mhz(&nvml, &number), 0);
    assert_int_equal(number, 1980);
    assert_int_equal(nvml_power_mw(&nvml, &number), 0);
    assert_int_equal(number, 700500);
    assert_int_equal(nvml_energy_mj(&nvml, &energy), 0);
    assert_true(energy == 5000000000ull);
    nvml_close(&nvml);
    assert_null(nvml.device);
}

static void test_some_figures_are_missing(void **state)
{
    (void)state;
    struct nvml nvml;
    unsigned number = 7;
    uint64_t energy = 7;
    open_fake("-1,-1,250000,-1,-1", &nvml);
    assert_int_equal(nvml_throttle(&nvml, &number), ERR_UNSUPPORTED);
    assert_int_equal(nvml_sm_mhz(&nvml, &number), ERR_UNSUPPORTED);
    assert_int_equal(nvml_energy_mj(&nvml, &energy), ERR_UNSUPPORTED);
    assert_int_equal(nvml_others(&nvml, &number), ERR_UNSUPPORTED);
    assert_true(number == 7 && energy == 7);
    assert_int_equal(nvml_power_mw(&nvml, &number), 0);
    assert_int_equal(number, 250000);
    nvml_close(&nvml);
}

static void test_reasons(void **state)
{
    (void)state;
    struct nvml nvml;
    unsigned reasons = 0;
    char text[128];
    /* Idle, clocks set by somebody, display: not reasons of ours. */
    open_fake("0x103,0,0,0,1", &nvml);
    assert_int_equal(nvml_throttle(&nvml, &reasons), 0);
    assert_int_equal(reasons, 0);
    nvml_close(&nvml);
    open_fake("0x145,0,0,0,1", &nvml);
    assert_int_equal(nvml_throttle(&nvml, &reasons), 0);
    nvml_throttle_text(reasons, text, sizeof(text));
    assert_string_equal(text, "sw_power_cap, hw_thermal_slowdown");
    nvml_throttle_text(0, text, sizeof(text));
    assert_string_equal(text, "");
    char little[8];
    nvml_throttle_text(~0u, little, sizeof(little));
    assert_string_equal(little, "sw_powe");
    nvml_close(&nvml);
}

static void test_others(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        unsigned others;
    } cases[] = { { "0,0,0,0,0", 0 }, { "0,0,0,0,1", 0 }, { "0,0,0,0,3", 2 },
                  { "0,0,0,0,5000", 4999 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nvml nvml;
        unsigned others = 99;
        open_fake(cases[i].says, &nvml);
        assert_int_equal(nvml_others(&nvml, &others), 0);
        assert_int_equal(others, cases[i].others);
        nvml_close(&nvml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_some_figures_are_missing),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
