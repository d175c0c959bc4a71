/* SPDX-License-Identifier: MIT */
/* The error bound of a declared precision, held against arithmetic done here: honest sums stay well
 * below, the same sums of rounded operands well above, and the error is called by its name. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "evaluator/worker/precision.h"

enum { OUTPUTS = 400 };

static double uniform(struct rng *rng)
{
    return ((double)rng_below(rng, 1u << 24) + 0.5) / (1u << 24);
}

static double normal(struct rng *rng)
{
    return sqrt(-2 * log(uniform(rng))) * cos(6.283185307179586 * uniform(rng));
}

/* To nearest, `bits` of significand. */
static double to_bits(double v, int bits)
{
    int exponent;
    double mantissa = frexp(v, &exponent);
    return ldexp(rint(ldexp(mantissa, bits)), exponent - bits);
}

struct error {
    double rms, size, spread;
};

/* Dot products of `terms` normals, one after the other in f32 (or wholly in `sum_bits`), operands
 * and results rounded. */
static struct error dot_products(int terms, int operand_bits, int sum_bits, int output_bits)
{
    struct rng rng;
    struct error e = { 0 };
    double mean = 0;
    rng_init(&rng, 7, (uint64_t)terms, 1);
    for (int i = 0; i < OUTPUTS; i++) {
        double exact = 0, sum = 0;
        for (int k = 0; k < terms; k++) {
            double a = to_bits(normal(&rng), 24), b = to_bits(normal(&rng), 24);
            if (operand_bits < 0) { /* the inputs themselves are narrow */
                a = to_bits(a, -operand_bits);
                b = to_bits(b, -operand_bits);
            }
            exact += a * b;
            int bits = operand_bits < 0 ? 24 : operand_bits;
            sum = to_bits(sum + to_bits(a, bits) * to_bits(b, bits), sum_bits);
        }
        double want = to_bits(exact, output_bits);
        e.rms += pow(to_bits(sum, output_bits) - want, 2);
        e.size += want * want;
        mean += want;
    }
    e.rms = sqrt(e.rms / OUTPUTS);
    e.size = sqrt(e.size / OUTPUTS);
    e.spread = sqrt(e.size * e.size - pow(mean / OUTPUTS, 2));
    return e;
}

static const int lengths[] = { 16, 256, 4096 };

static void test_f32_sums(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct precision_rule rule = { "f32", DTYPE_F32, lengths[i], 0 };
        struct error honest = dot_products(lengths[i], 24, 24, 24);
        struct error tf32 = dot_products(lengths[i], 11, 24, 24);
        struct error bf16 = dot_products(lengths[i], 8, 24, 24);
        struct error f8 = dot_products(lengths[i], 4, 24, 24);
        double limit = precision_limit(&rule, honest.size, OUTPUTS);
        assert_true(3 * honest.rms < limit);
        assert_true(3 * limit < tf32.rms);
        assert_string_equal(precision_like(&rule, tf32.rms, tf32.spread), "tf32 or f16");
        assert_string_equal(precision_like(&rule, bf16.rms, bf16.spread), "bf16");
        assert_string_equal(precision_like(&rule, f8.rms, f8.spread), "f8e4m3");
    }
}

/* 16-bit operands, sums in f32, one rounding at the end. */
static void test_narrow_operands(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct precision_rule rule = { "bf16", DTYPE_BF16, lengths[i], 0 };
        struct error honest = dot_products(lengths[i], -8, 24, 8);
        struct error halves = dot_products(lengths[i], -8, 11, 8);
        struct error narrow = dot_products(lengths[i], -8, 8, 8);
        double limit = precision_limit(&rule, honest.size, 1 << 20);
        assert_true(2 * honest.rms < limit);
        assert_true(2 * limit < halves.rms); /* sums in f16 */
        assert_true(3 * limit < narrow.rms);
    }
}

static void test_declared_roundings(void **state)
{
    (void)state;
    struct precision_rule tf32 = { "tf32", DTYPE_F32, 256, 2 };
    struct error allowed = dot_products(256, 11, 24, 24), less = dot_products(256, 8, 24, 24);
    double limit = precision_limit(&tf32, allowed.size, 1 << 20);
    assert_true(2 * allowed.rms < limit);
    assert_true(2 * limit < less.rms);
    assert_string_equal(precision_like(&tf32, less.rms, less.spread), "bf16");
}

static void test_what_it_says_nothing_of(void **state)
{
    (void)state;
    struct precision_rule whole = { "f32", DTYPE_I32, 10, 0 }, odd = { "i8", DTYPE_F32, 10, 0 };
    struct precision_rule f32 = { "f32", DTYPE_F32, 10, 0 }, f64 = { "f64", DTYPE_F64, 10, 0 };
    assert_true(isinf(precision_limit(&whole, 1, 100)));
    assert_true(isinf(precision_limit(&odd, 1, 100)));
    assert_null(precision_like(&f32, 1, 1));     /* wrong, not imprecise */
    assert_null(precision_like(&f32, 0, 1));
    assert_null(precision_like(&f32, NAN, 1));
    assert_null(precision_like(&f32, 1e-3, 0));
    assert_true(precision_next(&f32) > 1e-4 && precision_next(&f32) < 1e-3);
    assert_true(precision_next(&f64) < 1e-7);
    assert_true(precision_limit(&f64, 1, 1000) < 1e-14);
    /* Few outputs get more room, more terms, too. */
    assert_true(precision_limit(&f32, 1, 5) > 2 * precision_limit(&f32, 1, 10000));
    struct precision_rule longer = { "f32", DTYPE_F32, 10000, 0 };
    assert_true(precision_limit(&longer, 1, 100) > 5 * precision_limit(&f32, 1, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32_sums),
        cmocka_unit_test(test_narrow_operands),
        cmocka_unit_test(test_declared_roundings),
        cmocka_unit_test(test_what_it_says_nothing_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
