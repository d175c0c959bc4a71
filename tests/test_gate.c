/* SPDX-License-Identifier: MIT */
/* The gate's kernels, run in this process on the simulator: what inputs look like, and what passes
 * a comparison. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/util.h"
#include "evaluator/worker/gate.h"
#include "evaluator/worker/nvrtc_api.h"
#include "evaluator/worker/slab.h"

struct bench {
    struct gpu gpu;
    struct gate gate;
    CUdeviceptr a, b;
};

enum { ROOM = 1 << 20 };

static char *compile(const char *source)
{
    struct nvrtc_api api;
    struct err err = { 0 };
    if (nvrtc_api_load(NULL, &api, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    nvrtcProgram program;
    const char *options[] = { "-std=c++17", "-arch=sm_90a" };
    size_t n;
    assert_int_equal(api.nvrtcCreateProgram(&program, source, "gate.cu", 0, NULL, NULL), 0);
    assert_int_equal(api.nvrtcCompileProgram(program, 2, options), 0);
    assert_int_equal(api.nvrtcGetPTXSize(program, &n), 0);
    char *ptx = xcalloc(n + 1, 1);
    assert_int_equal(api.nvrtcGetPTX(program, ptx), 0);
    api.nvrtcDestroyProgram(&program);
    return ptx;
}

static void ok(int r, const struct err *err)
{
    if (r < 0) {
        fail_msg("%s", err_text(err));
    }
}

static int start(void **state)
{
    struct bench *b = xcalloc(1, sizeof(*b));
    struct err err = { 0 };
    char *source;
    size_t len;
    ok(file_read(WS_SOURCE_DIR "/evaluator/worker/gate.cu", 1 << 20, &source, &len, &err), &err);
    char *ptx = compile(source);
    ok(gpu_open(WS_BIN_DIR "/libwarpsim.so", 0, &b->gpu, &err), &err);
    b->gpu.cu.warpsim_checks(0);
    ok(gate_load(&b->gate, &b->gpu, ptx, &err), &err);
    assert_int_equal(b->gpu.cu.cuMemAlloc(&b->a, ROOM), 0);
    assert_int_equal(b->gpu.cu.cuMemAlloc(&b->b, ROOM), 0);
    free(source);
    free(ptx);
    *state = b;
    return 0;
}

static int stop(void **state)
{
    struct bench *b = *state;
    b->gpu.cu.cuMemFree(b->a);
    b->gpu.cu.cuMemFree(b->b);
    gate_unload(&b->gate);
    gpu_close(&b->gpu);
    free(b);
    return 0;
}

static struct bound_buffer buffer(enum dtype dtype, enum domain_kind domain, int64_t count,
                                  int64_t inner, int64_t bound)
{
    return (struct bound_buffer) { .name = "t", .dtype = dtype, .domain = domain, .count = count,
                                   .inner = inner, .index_bound = bound };
}

static const unsigned char salt[32] = "a salt of exactly 32 bytes here";

/* Fills and copies back; the caller frees. */
static void *fill(struct bench *b, const struct bound_buffer *t, enum gate_mode mode,
                  uint64_t trial)
{
    struct gate_key key;
    struct err err = { 0 };
    size_t bytes = (size_t)t->count * dtype_size(t->dtype);
    void *values = xcalloc(bytes, 1);
    gate_key_make(salt, "small", trial, 0, &key);
    assert_int_equal(b->gpu.cu.cuMemsetD8Async(b->a, 0xee, bytes + 64, b->gpu.stream), 0);
    ok(gate_fill(&b->gate, b->a, t, mode, &key, &err), &err);
    ok(gpu_finish(&b->gpu, "fill", &err), &err);
    assert_int_equal(b->gpu.cu.cuMemcpyDtoH(values, b->a, bytes), 0);
    unsigned char behind[64];
    assert_int_equal(b->gpu.cu.cuMemcpyDtoH(behind, b->a + bytes, 64), 0);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(behind[i], 0xee); /* nothing past the end */
    }
    return values;
}

static void moments(const float *v, size_t n, double *ret_mean, double *ret_deviation)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        square += (double)v[i] * v[i];
    }
    *ret_mean = sum / (double)n;
    *ret_deviation = sqrt(square / (double)n - *ret_mean * *ret_mean);
}

static void test_normal_has_the_right_moments(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 100003, 100003, 0);
    float *v = fill(*state, &t, GATE_MODE_OWN, 0);
    double mean, deviation, beyond = 0;
    moments(v, 100003, &mean, &deviation);
    assert_true(fabs(mean) < 0.02 && fabs(deviation - 1) < 0.02);
    for (int i = 0; i < 100003; i++) {
        assert_true(isfinite(v[i]));
        beyond += fabs(v[i]) > 1.959964;
    }
    assert_true(fabs(beyond / 100003 - 0.05) < 0.005);
    free(v);
    v = fill(*state, &t, GATE_MODE_OFFSET, 0);
    moments(v, 100003, &mean, &deviation);
    assert_true(fabs(mean - 1) < 0.03 && fabs(deviation - 2) < 0.03);
    free(v);
}

static void test_values_depend_on_key_and_index_alone(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 5001, 5001, 0);
    struct bound_buffer shorter = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 1234, 1234, 0);
    float *a = fill(*state, &t, GATE_MODE_OWN, 3), *b = fill(*state, &t, GATE_MODE_OWN, 3);
    float *c = fill(*state, &t, GATE_MODE_OWN, 4), *d = fill(*state, &shorter, GATE_MODE_OWN, 3);
    assert_memory_equal(a, b, 5001 * sizeof(float));
    assert_memory_equal(a, d, 1234 * sizeof(float));
    int same = 0;
    for (int i = 0; i < 5001; i++) {
        same += a[i] == c[i];
    }
    assert_true(same < 5);
    free(a), free(b), free(c), free(d);
}

static void test_small_integers_are_exact_everywhere(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 4096, 64, 0);
    float *v = fill(*state, &t, GATE_MODE_INTEGERS, 0);
    double mean, deviation;
    moments(v, 4096, &mean, &deviation);
    assert_true(deviation > 1);
    for (int i = 0; i < 4096; i++) {
        assert_true(v[i] == rintf(v[i]) && fabsf(v[i]) <= 4);
    }
    free(v);
}

static void test_outliers_and_row_scales(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 70000, 1000, 0);
    float *v = fill(*state, &t, GATE_MODE_OUTLIERS, 0);
    int large = 0;
    for (int i = 0; i < 70000; i++) {
        large += fabsf(v[i]) > 6;
    }
    assert_in_range(large, 50, 300);
    free(v);
    /* Rows of eight sizes, from one that nobody knows on. */
    v = fill(*state, &t, GATE_MODE_SCALED_ROWS, 0);
    int seen[8] = { 0 };
    for (int row = 0; row < 16; row++) {
        double mean, size;
        moments(v + 1000 * row, 1000, &mean, &size);
        int exponent = (int)rint(log2(size));
        assert_true(fabs(size / exp2(exponent) - 1) < 0.15);
        assert_true(exponent == -12 || (exponent >= -3 && exponent <= 3));
        seen[exponent == -12 ? 7 : exponent + 3]++;
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(seen[i], 2);
    }
    free(v);
}

static void test_edges_carry_the_most(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 64 * 300, 300, 0);
    float *v = fill(*state, &t, GATE_MODE_EDGES, 0);
    int large = 0;
    for (int row = 0; row < 64; row++) {
        assert_true(fabsf(v[300 * row]) >= 8 && fabsf(v[300 * row + 299]) >= 8);
        for (int i = 1; i < 299 && row > 0 && row < 63; i++) {
            large += fabsf(v[300 * row + i]) >= 8;
        }
    }
    assert_in_range(large, 30, 64); /* one at a boundary in rows that are long enough */
    for (int i = 0; i < 300; i++) {
        assert_true(fabsf(v[i]) >= 8 && fabsf(v[300 * 63 + i]) >= 8);
    }
    free(v);
}

static void test_impulses_are_few(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 64 * 500, 500, 0);
    float *v = fill(*state, &t, GATE_MODE_IMPULSES, 0);
    int large = 0, empty = 0;
    for (int row = 0; row < 64; row++) {
        int zeros = 0;
        for (int i = 0; i < 500; i++) {
            large += fabsf(v[500 * row + i]) > 0.25f;
            zeros += v[500 * row + i] == 0;
        }
        empty += zeros == 500;
        assert_true(zeros == 0 || zeros == 500);
    }
    assert_int_equal(empty, 8);
    assert_in_range(large, 56 * 500 / 40, 56 * 500 / 30);
    free(v);
}

static void test_signs_and_far_values(void **state)
{
    const struct {
        enum gate_mode mode;
        float lo, hi;
    } cases[] = { { GATE_MODE_NEGATIVE, -8, -0.5f }, { GATE_MODE_POSITIVE, 0.5f, 8 },
                  { GATE_MODE_FAR_BELOW, -200, -100 }, { GATE_MODE_FAR_ABOVE, 100, 200 } };
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 4000, 500, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        float *v = fill(*state, &t, cases[i].mode, 0);
        double mean, deviation;
        moments(v, 4000, &mean, &deviation);
        assert_true(deviation > 0.5);
        for (int k = 0; k < 4000; k++) {
            assert_true(v[k] >= cases[i].lo && v[k] <= cases[i].hi);
        }
        free(v);
    }
}

/* A quarter of the rows; all, where there are so few that a cycle of them might pass by. */
static void test_short_rows_far_from_zero(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 12 * 300, 300, 0);
    float *v;
    for (int rows = 12, far = 0; rows >= 3; rows -= 9, far = 0) {
        t.count = rows * 300;
        v = fill(*state, &t, GATE_MODE_FAR_OFFSET, 0);
        for (int row = 0; row < rows; row++) {
            double mean, deviation;
            moments(v + 300 * row, 300, &mean, &deviation);
            far += fabs(mean - 128) < 0.3 && fabs(deviation - 1) < 0.2;
            assert_true(mean > 127 || (fabs(mean - 1) < 0.6 && fabs(deviation - 2) < 0.4));
        }
        assert_int_equal(far, 3);
        free(v);
    }
    t.count = 40 * 300;
    v = fill(*state, &t, GATE_MODE_FAR_EDGES, 0);
    for (int row = 0, spikes = 0; row < 40; row++, spikes = 0) {
        for (int i = 0; i < 300; i++) {
            spikes += fabsf(v[300 * row + i]) >= 120;
        }
        assert_int_equal(spikes, 1);
    }
    free(v);
}

static void test_outputs_of_trivial_candidates(void **state)
{
    struct bench *b = *state;
    struct err err = { 0 };
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 6, 3, 0);
    struct bound_buffer whole = buffer(DTYPE_I32, DOMAIN_KIND_EXACT, 4, 4, 0);
    const float values[6] = { 1, 2, 3, 4.5f, 5, 6 };
    float got[6];
    int cast[4];
    assert_int_equal(b->gpu.cu.cuMemcpyHtoD(b->a, values, sizeof(values)), 0);
    ok(gate_cast(&b->gate, b->b, &whole, b->a, DTYPE_F32, &err), &err);
    ok(gate_halve(&b->gate, b->a, &t, 3, &err), &err);
    ok(gpu_finish(&b->gpu, "kernels", &err), &err);
    assert_int_equal(b->gpu.cu.cuMemcpyDtoH(got, b->a, sizeof(got)), 0);
    assert_int_equal(b->gpu.cu.cuMemcpyDtoH(cast, b->b, sizeof(cast)), 0);
    assert_memory_equal(got, ((float[]) { 1, 2, 1, 4.5f, 5, 4.5f }), sizeof(got));
    assert_memory_equal(cast, ((int[]) { 1, 2, 3, 4 }), sizeof(cast));
    ok(gate_halve(&b->gate, b->a, &t, 6, &err), &err);
    ok(gpu_finish(&b->gpu, "kernels", &err), &err);
    assert_int_equal(b->gpu.cu.cuMemcpyDtoH(got, b->a, sizeof(got)), 0);
    assert_memory_equal(got, ((float[]) { 1, 2, 1, 1, 2, 1 }), sizeof(got));
    ok(gate_constant(&b->gate, b->a, &t, 2.5, &err), &err);
    ok(gpu_finish(&b->gpu, "kernels", &err), &err);
    assert_int_equal(b->gpu.cu.cuMemcpyDtoH(got, b->a, sizeof(got)), 0);
    assert_memory_equal(got, ((float[]) { 2.5f, 2.5f, 2.5f, 2.5f, 2.5f, 2.5f }), sizeof(got));
}

static float half_value(uint16_t h)
{
    int e = (h >> 10) & 31, m = h & 1023;
    float v = e ? ldexpf((float)(1024 + m), e - 25) : ldexpf((float)m, -24);
    return h & 0x8000 ? -v : v;
}

/* The narrow types hold the same numbers, rounded to nearest. */
static void test_types_agree(void **state)
{
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 3001, 3001, 0);
    float *f = fill(*state, &t, GATE_MODE_OWN, 7);
    t.dtype = DTYPE_F16;
    uint16_t *h = fill(*state, &t, GATE_MODE_OWN, 7);
    t.dtype = DTYPE_BF16;
    uint16_t *b = fill(*state, &t, GATE_MODE_OWN, 7);
    t.dtype = DTYPE_F64;
    double *d = fill(*state, &t, GATE_MODE_OWN, 7);
    t.dtype = DTYPE_F8E4M3;
    uint8_t *e = fill(*state, &t, GATE_MODE_OWN, 7);
    t.dtype = DTYPE_F8E5M2;
    uint8_t *g = fill(*state, &t, GATE_MODE_OWN, 7);
    for (int i = 0; i < 3001; i++) {
        float a = fabsf(f[i]);
        uint32_t bits = (uint32_t)b[i] << 16;
        float back;
        memcpy(&back, &bits, 4);
        assert_true(fabsf(half_value(h[i]) - f[i]) <= a * 0x1p-11f + 0x1p-25f);
        assert_true(fabsf(back - f[i]) <= a * 0x1p-8f);
        assert_true((float)d[i] == f[i]);
        int exponent = (e[i] >> 3) & 15, mantissa = e[i] & 7;
        float small = exponent ? ldexpf((float)(8 + mantissa), exponent - 10)
                               : ldexpf((float)mantissa, -9);
        assert_true(fabsf((e[i] & 0x80 ? -small : small) - f[i]) <= a * 0x1p-4f + 0x1p-10f);
        assert_true(fabsf(half_value((uint16_t)(g[i] << 8)) - f[i]) <= a * 0x1.1p-3f + 0x1p-17f);
    }
    free(f), free(h), free(b), free(d), free(e), free(g);
}

static void test_domains_keep_their_promises(void **state)
{
    for (int mode = 0; mode < GATE_MODE_COUNT; mode++) {
        struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_POSITIVE, 2000, 100, 0);
        float *v = fill(*state, &t, (enum gate_mode)mode, 1);
        for (int i = 0; i < 2000; i++) {
            assert_true(v[i] > 0 && isfinite(v[i]));
        }
        free(v);
        t.domain = DOMAIN_KIND_UNIT;
        v = fill(*state, &t, (enum gate_mode)mode, 1);
        for (int i = 0; i < 2000; i++) {
            assert_true(v[i] >= 0 && v[i] < 1);
        }
        free(v);
        t.domain = DOMAIN_KIND_PROBABILITY;
        v = fill(*state, &t, (enum gate_mode)mode, 1);
        for (int row = 0; row < 20; row++) {
            double sum = 0;
            for (int i = 0; i < 100; i++) {
                assert_true(v[row * 100 + i] >= 0);
                sum += v[row * 100 + i];
            }
            assert_true(fabs(sum - 1) < 1e-5);
        }
        free(v);
    }
}

static void test_indices_cover_their_range(void **state)
{
    for (int mode = 0; mode < GATE_MODE_COUNT; mode++) {
        struct bound_buffer t = buffer(DTYPE_I64, DOMAIN_KIND_INDEX, 3001, 3001, 10);
        int64_t *v = fill(*state, &t, (enum gate_mode)mode, 2);
        int count[10] = { 0 };
        for (int i = 0; i < 3001; i++) {
            assert_in_range(v[i], 0, 9);
            count[v[i]]++;
        }
        for (int i = 0; i < 10; i++) {
            assert_true(count[i] > 150);
        }
        free(v);
    }
    struct bound_buffer wide = buffer(DTYPE_I64, DOMAIN_KIND_INDEX, 4000, 4000, 1ll << 40);
    int64_t *w = fill(*state, &wide, GATE_MODE_OWN, 2), most = 0;
    for (int i = 0; i < 4000; i++) {
        assert_true(w[i] >= 0 && w[i] < 1ll << 40);
        most = MAX(most, w[i]);
    }
    assert_true(most > 1ll << 39);
    free(w);
    struct bound_buffer narrow = buffer(DTYPE_U8, DOMAIN_KIND_EXACT, 1003, 1003, 0);
    uint8_t *u = fill(*state, &narrow, GATE_MODE_OWN, 2);
    for (int i = 0; i < 1003; i++) {
        assert_true(u[i] <= 16);
    }
    free(u);
    narrow.dtype = DTYPE_BOOL;
    u = fill(*state, &narrow, GATE_MODE_OWN, 2);
    int ones = 0;
    for (int i = 0; i < 1003; i++) {
        assert_true(u[i] <= 1);
        ones += u[i];
    }
    assert_in_range(ones, 400, 600);
    free(u);
}

static struct gate_comparison compare(struct bench *b, enum dtype dtype, const void *expected,
                                      const void *got, int64_t n, double atol, double rtol)
{
    struct err err = { 0 };
    struct gate_comparison result;
    struct bound_buffer t = buffer(dtype, DOMAIN_KIND_REAL, n, n, 0);
    size_t bytes = (size_t)n * dtype_size(dtype);
    assert_int_equal(b->gpu.cu.cuMemcpyHtoD(b->a, expected, bytes), 0);
    assert_int_equal(b->gpu.cu.cuMemcpyHtoD(b->b, got, bytes), 0);
    ok(gate_clear(&b->gate, &err), &err);
    ok(gate_compare(&b->gate, b->a, b->b, &t, atol, rtol, 0, &err), &err);
    ok(gate_read(&b->gate, 1, &result, &err), &err);
    return result;
}

static void test_comparison(void **state)
{
    const struct {
        float expected, got;
        bool right;
    } cases[] = {
        { 1, 1, true },           { 1, 1.0005f, true },      { 1, 1.003f, false },
        { 0, 0.0005f, true },     { 0, 0.002f, false },      { 0, -0.0f, true },
        { 1, NAN, false },        { NAN, 1, false },         { NAN, NAN, true },
        { INFINITY, INFINITY, true },   { INFINITY, -INFINITY, false },
        { INFINITY, 3e38f, false },     { 1, INFINITY, false }, { -INFINITY, NAN, false },
        { 3e38f, INFINITY, false },     { NAN, INFINITY, false }, { 1000, 1000.9f, true },
        { -1000, -1002, false },  { 1e-30f, 0, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        float expected[300], got[300];
        for (int k = 0; k < 300; k++) {
            expected[k] = got[k] = (float)k;
        }
        expected[137] = cases[i].expected;
        got[137] = cases[i].got;
        struct gate_comparison c = compare(*state, DTYPE_F32, expected, got, 300, 1e-3, 1e-3);
        if ((c.wrong == 0) != cases[i].right || (c.wrong && c.first != 137)) {
            fail_msg("expected %g, got %g: %llu wrong, first %llu", cases[i].expected,
                     cases[i].got, (unsigned long long)c.wrong, (unsigned long long)c.first);
        }
    }
}

static void test_comparison_counts(void **state)
{
    static float expected[100000], got[100000];
    for (int i = 0; i < 100000; i++) {
        expected[i] = 1;
        got[i] = i % 1000 == 999 ? 1.5f : 1;
    }
    got[4000] = 3;
    struct gate_comparison c = compare(*state, DTYPE_F32, expected, got, 100000, 0.1, 0);
    assert_int_equal(c.wrong, 101);
    assert_int_equal(c.first, 999);
    assert_true(gate_max_error(&c) == 2);
    assert_true(fabs(c.error2 - (100 * 0.25 + 4)) < 1e-9);
    int64_t want[2] = { (1ll << 60) + 1, 5 }, has[2] = { 1ll << 60, 5 };
    c = compare(*state, DTYPE_I64, want, has, 2, 0, 0);
    assert_int_equal(c.wrong, 1); /* a double doesn't see the difference */
}

static void test_norm(void **state)
{
    struct bench *b = *state;
    struct err err = { 0 };
    float v[1000] = { 0 };
    for (int i = 0; i < 1000; i++) {
        v[i] = i < 100 ? 2 : 0;
    }
    v[500] = NAN;
    v[501] = -INFINITY;
    struct bound_buffer t = buffer(DTYPE_F32, DOMAIN_KIND_REAL, 1000, 1000, 0);
    struct gate_comparison c;
    assert_int_equal(b->gpu.cu.cuMemcpyHtoD(b->a, v, sizeof(v)), 0);
    ok(gate_clear(&b->gate, &err), &err);
    ok(gate_norm(&b->gate, b->a, &t, 0.5, 0, &err), &err);
    ok(gate_read(&b->gate, 1, &c, &err), &err);
    assert_true(c.expected2 == 400 && c.expected1 == 200);
    assert_int_equal(c.not_finite, 2);
    assert_int_equal(c.significant, 102);
}

static void test_same_and_zones(void **state)
{
    struct bench *b = *state;
    struct err err = { 0 };
    unsigned char v[1003] = { 0 };
    struct gate_comparison c[2];
    struct gate_zone zone = { b->a + 16, 987 };
    assert_int_equal(b->gpu.cu.cuMemsetD32Async(b->b, 0x11223344, 300, b->gpu.stream), 0);
    assert_int_equal(b->gpu.cu.cuMemsetD32Async(b->a, 0x11223344, 300, b->gpu.stream), 0);
    ok(gpu_finish(&b->gpu, "fill", &err), &err);
    ok(gate_zones_set(&b->gate, &zone, 1, &err), &err);
    for (int changed = 0; changed < 2; changed++) {
        if (changed) {
            assert_int_equal(b->gpu.cu.cuMemcpyHtoD(b->a + 1002, v, 1), 0);
        }
        ok(gate_clear(&b->gate, &err), &err);
        ok(gate_same(&b->gate, b->a, b->b, 1003, 0, &err), &err);
        ok(gate_zones_check(&b->gate, 1, 0x11223344, 1, &err), &err);
        ok(gate_read(&b->gate, 2, c, &err), &err);
        assert_int_equal(c[0].wrong, changed);
        assert_int_equal(c[1].wrong, changed);
    }
    assert_int_equal(c[0].first, 250);
    assert_int_equal(c[1].first, b->a + 1002);
}

/* On the simulator nothing releases a hold that runs: it is released before, or gives up. */
static void test_hold_and_stamp(void **state)
{
    struct bench *b = *state;
    struct err err = { 0 };
    struct gate_held held;
    ok(gate_hold(&b->gate, 50000, &err), &err);
    ok(gpu_finish(&b->gpu, "holding", &err), &err);
    ok(gate_held(&b->gate, &held, &err), &err);
    assert_true(held.late && held.mhz > 0 && held.window_us == 0);
    assert_true(held.longest_us > 0 && held.longest_us < 50);
    for (int i = 0; i < 2; i++) {
        *b->gate.flag = b->gate.turn + 1;
        ok(gate_hold(&b->gate, 50000, &err), &err);
        ok(gate_stamp(&b->gate, &err), &err);
        ok(gpu_finish(&b->gpu, "holding", &err), &err);
        ok(gate_held(&b->gate, &held, &err), &err);
        assert_false(held.late);
        gate_release(&b->gate);
    }
}

/* Hidden memory can't be reached, keeps what it holds, and comes back when it is taken anew. */
static void test_hidden_memory(void **state)
{
    struct bench *b = *state;
    const struct cuda_api *cu = &b->gpu.cu;
    struct err err = { 0 };
    struct slabs slabs;
    struct slab *slab, *again;
    uint32_t word = 0;
    ok(slabs_init(&slabs, &b->gpu, false, &err), &err);
    assert_false(slabs.plain);
    ok(slab_take(&slabs, 1000, &slab, &err), &err);
    assert_int_equal(cu->cuMemsetD32Async(slab->base, 0x12345678, 250, b->gpu.stream), 0);
    ok(gpu_finish(&b->gpu, "fill", &err), &err);
    ok(slab_hide(&slabs, slab, true, &err), &err);
    assert_int_not_equal(cu->cuMemcpyDtoH(&word, slab->base + 40, 4), 0);
    ok(slab_hide(&slabs, slab, false, &err), &err);
    assert_int_equal(cu->cuMemcpyDtoH(&word, slab->base + 40, 4), 0);
    assert_int_equal(word, 0x12345678);
    ok(slab_hide(&slabs, slab, true, &err), &err);
    slab_give(slab);
    ok(slab_take(&slabs, 1000, &again, &err), &err);
    assert_int_equal(cu->cuMemcpyHtoD(again->base, &word, 4), 0);
    slab_give(again);
    slabs_done(&slabs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_has_the_right_moments),
        cmocka_unit_test(test_values_depend_on_key_and_index_alone),
        cmocka_unit_test(test_small_integers_are_exact_everywhere),
        cmocka_unit_test(test_outliers_and_row_scales),
        cmocka_unit_test(test_edges_carry_the_most),
        cmocka_unit_test(test_impulses_are_few),
        cmocka_unit_test(test_signs_and_far_values),
        cmocka_unit_test(test_short_rows_far_from_zero),
        cmocka_unit_test(test_outputs_of_trivial_candidates),
        cmocka_unit_test(test_types_agree),
        cmocka_unit_test(test_domains_keep_their_promises),
        cmocka_unit_test(test_indices_cover_their_range),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_comparison_counts),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_same_and_zones),
        cmocka_unit_test(test_hidden_memory),
        cmocka_unit_test(test_hold_and_stamp),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
