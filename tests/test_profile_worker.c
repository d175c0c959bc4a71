/* SPDX-License-Identifier: MIT */
/* Counters and energy over libraries that answer as they are told, on the simulated GPU. */
#include "base/file.h"
#include "base/util.h"
#include "evaluator/worker/cupti.h"
#include "evaluator/worker/cupti_api.h"
#include "evaluator/worker/energy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#if __has_include(<cupti_range_profiler.h>) && __has_include(<cupti_target.h>)
#include <cupti_range_profiler.h>
#include <cupti_target.h>
/* Our structs are theirs: as long, and the last member in the same place. */
#define SAME(ours, last, theirs, their_last)                                                       \
    _Static_assert(sizeof(struct ours) == sizeof(theirs)                                           \
                       && offsetof(struct ours, last) == offsetof(theirs, their_last),             \
                   #ours " isn't " #theirs)
SAME(cupti_plain, private, CUpti_Profiler_Initialize_Params, pPriv);
SAME(cupti_chip, name, CUpti_Device_GetChipName_Params, pChipName);
SAME(cupti_enable, profiler, CUpti_RangeProfiler_Enable_Params, pRangeProfilerObject);
SAME(cupti_on, profiler, CUpti_RangeProfiler_Disable_Params, pRangeProfilerObject);
SAME(cupti_on, profiler, CUpti_RangeProfiler_Start_Params, pRangeProfilerObject);
SAME(cupti_stop, all_passes, CUpti_RangeProfiler_Stop_Params, isAllPassSubmitted);
SAME(cupti_decode, dropped, CUpti_RangeProfiler_DecodeData_Params, numOfRangeDropped);
SAME(cupti_image_size, bytes, CUpti_RangeProfiler_GetCounterDataSize_Params, counterDataSize);
SAME(cupti_image_size, nodes, CUpti_RangeProfiler_GetCounterDataSize_Params, maxNumRangeTreeNodes);
SAME(cupti_image, at, CUpti_RangeProfiler_CounterDataImage_Initialize_Params, pCounterData);
SAME(cupti_info, ranges, CUpti_RangeProfiler_GetCounterDataInfo_Params, numTotalRanges);
SAME(cupti_set, image, CUpti_RangeProfiler_SetConfig_Params, pCounterDataImage);
SAME(cupti_set, ranges_a_pass, CUpti_RangeProfiler_SetConfig_Params, maxRangesPerPass);
SAME(cupti_set, nesting_target, CUpti_RangeProfiler_SetConfig_Params, targetNestingLevel);
_Static_assert(CUPTI_RANGE_AUTO == (int)CUPTI_AutoRange && CUPTI_REPLAY_USER == (int)CUPTI_UserReplay,
               "modes of the range profiler");
#endif

static const char fake_cupti[] = WS_BIN_DIR "/libfake_cupti.so";
static const char fake_nvml[] = WS_BIN_DIR "/libfake_nvml.so";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* NVIDIA's library opens another in a way that a sanitizer ends */
#else
enum { SANITIZED = 0 };
#endif
static const char real_cupti[] = WS_CUDA_DIR "/lib/libcupti.so.13";

static int open_gpu(void **state)
{
    struct gpu *gpu = xcalloc(1, sizeof(*gpu));
    struct err err = { 0 };
    if (gpu_open(WS_BIN_DIR "/libwarpsim.so", 0, gpu, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    *state = gpu;
    return 0;
}

static int close_gpu(void **state)
{
    gpu_close(*state);
    free(*state);
    unsetenv("FAKE_CUPTI");
    return 0;
}

struct work {
    int ready, run, fails_at;
};

static int count_ready(void *ud, struct err *err)
{
    (void)err;
    ((struct work *)ud)->ready++;
    return 0;
}

static int count_run(void *ud, struct err *err)
{
    struct work *w = ud;
    return ++w->run == w->fails_at ? err_set(err, ERR_DEVICE, "the kernel failed") : 0;
}

/* Every pass runs the work anew; what the chip lacks is left out; values come in our units. */
static void test_counters(void **state)
{
    struct cupti *cupti = NULL;
    struct err err = { 0 };
    unsetenv("FAKE_CUPTI");
    assert_int_equal(cupti_open(fake_cupti, *state, &cupti, &err), 0);
    struct work w = { 0 };
    const struct cupti_work work = { count_ready, count_run, &w };
    struct counters c = { 0 };
    struct cupti_kernels kernels = { 0 };
    for (int turn = 1; turn <= 2; turn++) {
        assert_int_equal(cupti_profile(cupti, &work, &c, &kernels, &err), 0);
        assert_int_equal(w.ready, 3 * turn);
        assert_int_equal(w.run, 3 * turn);
    }
    assert_int_equal(kernels.n, 1);
    assert_true(kernels.us[0] == counters_get(&c, COUNTER_TIME));
    assert_false(counters_has(&c, COUNTER_STALL_GMMA));
    assert_true(counters_has(&c, COUNTER_STALL_WAIT));
    assert_true(counters_get(&c, COUNTER_COMPUTE) == 1);
    assert_int_equal(COUNTER_TIME, 0);
    w.fails_at = w.run + 2; /* the work's own failure isn't CUPTI's */
    assert_int_equal(cupti_profile(cupti, &work, &c, &kernels, &err), ERR_DEVICE);
    assert_string_equal(err_text(&err), "the kernel failed");
    cupti_close(cupti);
}

/* Whatever fails, it is said with its place, and it is "not available". */
static void test_refusals(void **state)
{
    static const char *const names[] = {
#define X(name, params) #name,
        CUPTI_FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct cupti *cupti = NULL;
        struct err err = { 0 };
        auto_free char *order = xprintf("%s=7", names[i]);
        setenv("FAKE_CUPTI", order, 1);
        int r = cupti_open(fake_cupti, *state, &cupti, &err);
        bool last = str_eq(names[i], "cuptiRangeProfilerDisable")
            || str_eq(names[i], "cuptiProfilerHostDeinitialize");
        if (last) { /* only at the end, where nothing can be done about it */
            assert_int_equal(r, 0);
            cupti_close(cupti);
            continue;
        }
        assert_int_equal(r, ERR_UNSUPPORTED);
        assert_null(cupti);
        if (!str_eq(names[i], "cuptiProfilerHostGetMetricProperties")) {
            assert_non_null(strstr(err_text(&err), names[i]));
            assert_non_null(strstr(err_text(&err), "CUPTI_ERROR_OF_THE_TEST (7)"));
        }
    }
    struct cupti *cupti = NULL;
    struct err err = { 0 };
    setenv("FAKE_CUPTI", "cuptiRangeProfilerStart=35", 1);
    assert_int_equal(cupti_open(fake_cupti, *state, &cupti, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&err), "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"));
    assert_non_null(strstr(err_text(&err), "NVreg_RestrictProfilingToAdminUsers=0"));
}

static void test_absence(void **state)
{
    struct cupti *cupti = NULL;
    struct err err = { 0 };
    assert_int_equal(cupti_open("/nowhere/libcupti.so.13", *state, &cupti, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&err), "WARPSMITH_CUPTI"));
    /* A library that isn't CUPTI at all. */
    assert_int_equal(cupti_open(fake_nvml, *state, &cupti, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&err), "too old"));
    assert_null(cupti);
}

/* NVIDIA's own host part needs no GPU: our names are those of the chips that this is for. */
static void test_chips(void **state)
{
    (void)state;
    if (SANITIZED || !file_exists(real_cupti)) {
        skip();
    }
    static const char *const chips[] = { "GA100", "GH100", "GB100" };
    for (size_t i = 0; i < ARRAY_LEN(chips); i++) {
        struct counters has;
        struct err err = { 0 };
        size_t passes = 0;
        if (cupti_chip_counters(real_cupti, chips[i], &has, &passes, &err) < 0) {
            fail_msg("%s", err_text(&err));
        }
        size_t n = 0;
        for (int k = 0; k < COUNTER_COUNT; k++) {
            n += counters_has(&has, (enum counter)k);
            /* What newer or older chips don't have is this alone. */
            bool rare = k == COUNTER_STALL_GMMA || k == COUNTER_STALL_IMC;
            assert_true(counters_has(&has, (enum counter)k) || (rare && i != 1));
        }
        print_message("%s: %zu counters in %zu passes\n", chips[i], n, passes);
        assert_true(passes >= 5 && passes <= 30);
    }
    struct counters has;
    size_t passes = 0;
    struct err err = { 0 };
    assert_int_equal(cupti_chip_counters(real_cupti, "ZX80", &has, &passes, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&err), "ZX80"));
}

static double since(uint64_t start)
{
    return (double)(clock_ns() - start) * 1e-9;
}

/* A millisecond of work on a board that draws 200 W, whose counter moves every 50 ms. */
static int draw(void *ud, struct err *err)
{
    char text[64];
    (void)err;
    usleep(1000);
    snprintf(text, sizeof(text), "0,1980,200000,%.0f,0",
             200e3 * 0.05 * floor(since(*(uint64_t *)ud) / 0.05));
    setenv("FAKE_NVML", text, 1);
    return 0;
}

static void test_energy(void **state)
{
    struct nvml nvml = { 0 };
    struct energy energy = { 0 };
    struct err err = { 0 };
    uint64_t start = clock_ns();
    setenv("FAKE_NVML", "0,1980,200000,0,0", 1);
    assert_int_equal(nvml_open(fake_nvml, "GPU-here", &nvml, &err), 0);
    if (energy_measure(*state, &nvml, draw, &start, &energy, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    assert_true(energy.seconds >= 0.9);
    assert_true(energy.watts > 170 && energy.watts < 230);
    assert_true(energy.run_us >= 1000);
    assert_true(fabs(energy.joules - energy.watts * energy.run_us * 1e-6) < 1e-9);
    nvml_close(&nvml);
}

static int idle(void *ud, struct err *err)
{
    (void)ud, (void)err;
    usleep(5000);
    return 0;
}

static void test_no_energy(void **state)
{
    struct nvml nvml = { 0 };
    struct energy energy = { 0 };
    struct err err = { 0 };
    assert_int_equal(energy_measure(*state, &nvml, idle, NULL, &energy, &err), ERR_UNSUPPORTED);
    setenv("FAKE_NVML", "0,1980,200000,5,0", 1); /* stands still */
    assert_int_equal(nvml_open(fake_nvml, "GPU-here", &nvml, &err), 0);
    assert_int_equal(energy_measure(*state, &nvml, idle, NULL, &energy, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(&err), "stands still"));
    setenv("FAKE_NVML", "0,1980,200000", 1); /* isn't supported */
    assert_int_equal(energy_measure(*state, &nvml, idle, NULL, &energy, &err), ERR_UNSUPPORTED);
    assert_true(energy.joules == 0);
    nvml_close(&nvml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_absence),  cmocka_unit_test(test_chips),
        cmocka_unit_test(test_energy),   cmocka_unit_test(test_no_energy),
    };
    return cmocka_run_group_tests(tests, open_gpu, close_gpu);
}
