/* SPDX-License-Identifier: MIT */
#include "base/rng.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The first outputs of xoshiro256** from state {1, 2, 3, 4}, known from its other users' tests. */
static void test_known(void **state)
{
    (void)state;
    static const uint64_t want[] = { 11520, 0, 1509978240, 1215971899390074240 };
    struct rng rng = { { 1, 2, 3, 4 } };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(rng_u64(&rng) == want[i]);
    }
}

/* A stored campaign must decide the same in every later version: seeding never changes. */
static void test_seeding(void **state)
{
    (void)state;
    static const uint64_t want[] = { 0x740ddccda2dd6d03, 0xdd861246b0dd6b46, 0xb0774a6b20210e20 };
    struct rng rng;
    rng_init(&rng, 1, 2, 3);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(rng_u64(&rng) == want[i]);
    }
}

/* Keys that differ in one number, or swap two, give other streams. */
static void test_streams(void **state)
{
    (void)state;
    static const uint64_t keys[][3] = { { 1, 2, 3 }, { 2, 1, 3 }, { 1, 3, 2 }, { 0, 0, 0 },
                                        { 0, 0, 1 }, { 0, 1, 0 }, { 1, 0, 0 } };
    uint64_t first[ARRAY_LEN(keys)];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct rng rng;
        rng_init(&rng, keys[i][0], keys[i][1], keys[i][2]);
        first[i] = rng_u64(&rng);
        for (size_t k = 0; k < i; k++) {
            assert_true(first[i] != first[k]);
        }
    }
    assert_true(rng_key("softmax") == 0x8ebf40e2084f981bu);
    assert_true(rng_key("softmax") != rng_key("softmaw"));
    assert_true(rng_key("ab") != rng_key("ba"));
}

/* 70,000 draws below 7: mean 10,000, deviation 93 each; six deviations, and a fixed seed. */
static void test_below(void **state)
{
    (void)state;
    struct rng rng;
    int counts[7] = { 0 };
    rng_init(&rng, 4, 5, 6);
    for (int i = 0; i < 70000; i++) {
        counts[rng_below(&rng, 7)]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(counts[i], 9440, 10560);
    }
    assert_true(rng_below(&rng, 1) == 0);
    for (int i = 0; i < 100; i++) {
        assert_true(rng_below(&rng, ((uint64_t)1 << 63) + 1) <= (uint64_t)1 << 63);
    }
}

static void test_unit_and_normal(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 7, 8, 9);
    double sum = 0, square = 0, unit = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double u = rng_unit(&rng), z = rng_normal(&rng);
        assert_true(u >= 0 && u < 1);
        assert_true(isfinite(z));
        unit += u;
        sum += z;
        square += z * z;
    }
    assert_true(fabs(unit / N - 0.5) < 0.006);
    assert_true(fabs(sum / N) < 0.02);
    assert_true(fabs(square / N - 1) < 0.03);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),   cmocka_unit_test(test_seeding),
        cmocka_unit_test(test_streams), cmocka_unit_test(test_below),
        cmocka_unit_test(test_unit_and_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
