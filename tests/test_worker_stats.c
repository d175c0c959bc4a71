/* SPDX-License-Identifier: MIT */
/* Statistics of timings, the roofline, and the scan of sources: the worker's pure parts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "evaluator/worker/roof.h"
#include "evaluator/worker/scan.h"
#include "evaluator/worker/stats.h"

static void test_median(void **state)
{
    (void)state;
    struct interval i;
    const double odd[] = { 5, 1, 3 }, even[] = { 4, 1, 3, 2 };
    stats_median(odd, 3, STATS_ALPHA_ONE, &i);
    assert_true(i.median == 3 && i.lo == 1 && i.hi == 5);
    stats_median(even, 4, STATS_ALPHA_ONE, &i);
    assert_true(i.median == 2.5 && i.lo == 1 && i.hi == 4);
    stats_median(odd, 1, STATS_ALPHA_ONE, &i);
    assert_true(i.median == 5 && i.lo == 5 && i.hi == 5);
    double many[30];
    for (int k = 0; k < 30; k++) {
        many[k] = 30 - k;
    }
    stats_median(many, 30, STATS_ALPHA_ONE, &i);
    /* Ranks 9 or 10 to 21 or 22 are what tables of the sign test give for n = 30. */
    assert_true(i.lo >= 9 && i.lo <= 10 && i.hi >= 21 && i.hi <= 22 && i.median == 15.5);
}

/* The interval holds the true median as often as it says: 95 of 100 times, for a skewed law. */
static void test_interval_covers(void **state)
{
    (void)state;
    const size_t sizes[] = { 10, 30, 120 };
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        int held = 0;
        for (uint64_t run = 0; run < 4000; run++) {
            struct rng rng;
            double v[120];
            rng_init(&rng, 11, s, run);
            for (size_t k = 0; k < sizes[s]; k++) {
                v[k] = -log(1 - rng_unit(&rng));
            }
            struct interval i;
            stats_median(v, sizes[s], STATS_ALPHA_ONE, &i);
            held += i.lo <= log(2) && log(2) <= i.hi;
        }
        assert_in_range(held, 3760, 3980);
    }
}

static void test_relation(void **state)
{
    (void)state;
    const struct {
        struct interval ratio;
        const char *relation;
    } cases[] = {
        { { 2, 1.9, 2.1 }, "faster" },        { { 1.02, 1.011, 1.03 }, "faster" },
        { { 1.005, 1.001, 1.009 }, "same" },  { { 1, 0.995, 1.005 }, "same" },
        { { 0.5, 0.4, 0.6 }, "slower" },      { { 0.98, 0.97, 0.989 }, "slower" },
        { { 1.02, 0.99, 1.05 }, "ambiguous" }, { { 1, 0.9, 1.1 }, "ambiguous" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(stats_relation(&cases[i].ratio), cases[i].relation);
    }
}

/* An H200 as its driver reports it. */
static const struct roof_device h200 = { 9, 0, 132, 1980000, 60 << 20, 4.8e12 };

static void test_floor(void **state)
{
    (void)state;
    char why[256];
    struct roof_work copy = { 4e9, 1e9, 0, false, "f32" };
    double floor = roof_floor_us(&h200, &copy, why, sizeof(why));
    assert_true(fabs(floor - (4e9 - (60 << 20)) / 4.8e12 * 1e6) < 1e-6);
    assert_non_null(strstr(why, "of L2"));
    struct roof_work small = { 1e6, 1e12, 0, false, "f32" };
    assert_true(roof_floor_us(&h200, &small, why, sizeof(why)) == 0); /* it may stay in the L2 */
    struct roof_work matmul = { 1e8, 2 * 4096.0 * 4096 * 4096, 0, true, "bf16" };
    floor = roof_floor_us(&h200, &matmul, why, sizeof(why));
    assert_true(floor > 120 && floor < 140); /* 137 GFLOP at 1.07 PFLOP/s */
    matmul.precision = "tf32"; /* by f16 operands that are scaled */
    assert_float_equal(roof_floor_us(&h200, &matmul, why, sizeof(why)), floor, 1e-9);
    matmul.precision = "f32";
    assert_true(roof_floor_us(&h200, &matmul, why, sizeof(why)) < 3.01 * floor);
    matmul.flops_minimum = false;
    assert_true(roof_floor_us(&h200, &matmul, why, sizeof(why)) < 20);
    struct roof_device unknown = { 5, 0, 10, 1000000, 1 << 20, 0 };
    assert_true(roof_floor_us(&unknown, &matmul, why, sizeof(why)) == 0);
}

static void test_share_and_class(void **state)
{
    (void)state;
    static const struct ceilings none;
    struct roof_share share;
    struct roof_work copy = { 4.8e9, 1e9, 0, false, "f32" };
    roof_share(&h200, &none, &copy, 2000, &share);
    assert_true(fabs(share.share - 0.5) < 1e-9);
    assert_string_equal(share.bound, "memory");
    assert_int_equal(roof_bottleneck(&share, 2000, 1), BOTTLENECK_MEMORY_BOUND);
    roof_share(&h200, &none, &copy, 1100, &share);
    assert_int_equal(roof_bottleneck(&share, 1100, 1), BOTTLENECK_NEAR_LIMIT);
    roof_share(&h200, &none, &copy, 10000, &share);
    assert_int_equal(roof_bottleneck(&share, 10000, 1), BOTTLENECK_LATENCY_BOUND);
    struct roof_work work = { 1e6, 6.7e10, 0, false, "f32" };
    roof_share(&h200, &none, &work, 2000, &share);
    assert_string_equal(share.bound, "compute");
    assert_int_equal(roof_bottleneck(&share, 2000, 1), BOTTLENECK_COMPUTE_BOUND);
    struct roof_work tiny = { 1e4, 1e4, 0, false, "f32" };
    roof_share(&h200, &none, &tiny, 4, &share);
    assert_int_equal(roof_bottleneck(&share, 4, 1), BOTTLENECK_LAUNCH_BOUND);
    assert_int_equal(roof_bottleneck(&share, 40, 10), BOTTLENECK_LAUNCH_BOUND);
    struct roof_work unknown = { 0, 0, 0, false, "f32" };
    roof_share(&h200, &none, &unknown, 100, &share);
    assert_true(share.share == 0 && share.bound[0] == '\0');
}

static void test_scan_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "#include \"/etc/passwd\"", "  #  include </etc/passwd>", "#include \"a/../../b\"",
        "#include \"~/x\"", "#include MACRO", "#inc\\\nlude \"/x\"", "#inc\\ \nlude \"/x\"",
        "%:include \"/x\"", "?\?=include \"/x\"", "/**/#/**/include/**/\"/x\"",
        "/* a\n b */ #include \"/x\"", "#embed \"/x\"", "#import \"/x\"", "#include_next \"/x\"",
        "auto s = R\"(\" /* )\";\n#include \"/x\"\n//*/", "auto s = R\"a( )\" )a\";\n#include \"/x\"",
        "int c = u8'/*';\n#include \"/x\"\n//*/", "int n = 1'000;\n#include \"/x\"",
        "// fine \\\n still\n#include \"/x\"", "asm(\"\\n#include \\\"/x\\\"\");",
        "asm(\".incbin \\\"/x\\\"\");", "#include", "#include <", "#include \"\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (scan_source(bad[i], strlen(bad[i]), NULL) == 0) {
            fail_msg("passed: %s", bad[i]);
        }
    }
    struct err err;
    const char *text = "int a;\n\n#include \"/etc/passwd\"\n";
    assert_int_equal(scan_source(text, strlen(text), &err), ERR_INVALID);
    assert_true(str_prefix(err.text, "kernel.cu(3): error: "));
}

static void test_scan_lets_honest_sources_pass(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "#include <cuda_fp16.h>", "#include \"mma.h\"", "# include <cuda/std/utility>",
        "#pragma unroll\nint includes;", "#define includer 1\n#ifdef includer\n#endif",
        "/* don't */ int a = '\\''; // it's #include x", "const char *s = \"a\\\"b\";",
        "asm(\"mov.u32 %0, %%laneid;\" : \"=r\"(x));", "int x = 5 % 3;\n#if 1\n#endif",
        "auto s = R\"(raw \" text)\";\n#include <mma.h>",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err err = { 0 };
        if (scan_source(good[i], strlen(good[i]), &err) < 0) {
            fail_msg("refused: %s (%s)", good[i], err_text(&err));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_interval_covers),
        cmocka_unit_test(test_relation),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_share_and_class),
        cmocka_unit_test(test_scan_refuses),
        cmocka_unit_test(test_scan_lets_honest_sources_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
