/* SPDX-License-Identifier: MIT */
/* One kernel for each thing that CUDA can do, through NVRTC for two architectures (their compilers
 * emit different PTX), held against C. */
#include "tests/sim_kit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RUN(kit, ...)                                                                              \
    do {                                                                                           \
        if (kit_run1(kit, __VA_ARGS__))                                                            \
            fail_msg("%s%s", (kit)->err.text, (kit)->fault.text);                                  \
    } while (0)

static const char *const archs[] = {"sm_80", "sm_90a", "sm_100a"};

/* Compiles `source` for each architecture and runs `body` with a kit. */
#define FOR_EACH_ARCH(source, kit)                                                                 \
    for (unsigned arch_ = 0; arch_ < 3; arch_++)                                                   \
        for (struct sim_kit kit, *once_ = (kit_init(&kit), kit_cuda(&kit, source, archs[arch_]),    \
                                           &kit);                                                  \
             once_; kit_done(&kit), once_ = NULL)

static uint32_t hash(uint32_t i)
{
    i = i * 2654435761u ^ 0x9e3779b9u;
    i ^= i >> 15;
    i *= 0x85ebca6bu;
    return i ^ i >> 13;
}

static void divergence(void **state)
{
    static const char source[] =
        "extern \"C\" __global__ void k(const int *x, int *y) {\n"
        "  int i = threadIdx.x, n = x[i], r = 0;\n"
        "  while (n != 1) { if (n & 1) n = 3 * n + 1; else n >>= 1; if (++r > 500) break; }\n"
        "  switch (x[i] % 9) { case 0: r += 1000; break; case 1: r *= 3; break; case 2: r -= 7;\n"
        "    case 3: r ^= 5; break; case 4: r += x[i]; break; case 5: r = -r; break;\n"
        "    case 6: if (r & 1) return; r = 77; break; case 7: r <<= 2; break; default: r |= 1; }\n"
        "  y[i] = r; }\n";
    int x[200], got[200];
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        for (int i = 0; i < 200; i++)
            x[i] = 1 + (int)(hash((uint32_t)i) % 1000), got[i] = -1;
        uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, got, sizeof(got));
        RUN(&kit, "k", 1, 200, ((uint64_t[]){dx, dy}));
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 200; i++) {
            int n = x[i], r = 0, want = 0;
            while (n != 1) {
                n = n & 1 ? 3 * n + 1 : n >> 1;
                if (++r > 500)
                    break;
            }
            switch (x[i] % 9) {
            case 0: want = r + 1000; break;
            case 1: want = r * 3; break;
            case 2: want = (r - 7) ^ 5; break;
            case 3: want = r ^ 5; break;
            case 4: want = r + x[i]; break;
            case 5: want = -r; break;
            case 6: want = r & 1 ? -1 : 77; break;
            case 7: want = r << 2; break;
            default: want = r | 1;
            }
            assert_int_equal(got[i], want);
        }
    }
}

static void calls_and_local_memory(void **state)
{
    static const char source[] =
        "struct P { float a; int b; double c; };\n"
        "__device__ __noinline__ int twice(int x) { return x * 2 + 1; }\n"
        "__device__ __noinline__ P make(P p, int *q) { *q += 5; p.a *= 2; p.c += p.b; return p; }\n"
        "__device__ __noinline__ int deep(int x, int y) { int a[16]; for (int i = 0; i < 16; i++)\n"
        "  a[i] = twice(x + i); int s = 0; for (int i = 0; i < y; i++) s += a[(i * 7) & 15];\n"
        "  return s; }\n"
        "extern \"C\" __global__ void k(const int *x, double *y) {\n"
        "  int i = threadIdx.x, q = i; P p = {1.5f + i, x[i], 0.25};\n"
        "  if (i % 3) p = make(p, &q); int s = deep(x[i], x[i] % 20);\n"
        "  y[i] = p.a + p.c + q + s; }\n";
    int x[96];
    double got[96];
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        for (int i = 0; i < 96; i++)
            x[i] = (int)(hash((uint32_t)i) % 100);
        uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(got));
        RUN(&kit, "k", 1, 96, ((uint64_t[]){dx, dy}));
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 96; i++) {
            float a = 1.5f + (float)i;
            double c = 0.25;
            int q = i, s = 0;
            if (i % 3)
                q += 5, a *= 2, c += x[i];
            for (int k = 0; k < x[i] % 20; k++)
                s += (x[i] + ((k * 7) & 15)) * 2 + 1;
            assert_true(got[i] == a + c + q + s);
        }
    }
}

static void shuffles_and_votes(void **state)
{
    static const char source[] =
        "extern \"C\" __global__ void k(const int *x, int *y) {\n"
        "  int i = threadIdx.x, v = x[i], *o = y + i * 12;\n"
        "  o[0] = __shfl_sync(~0u, v, i * 5); o[1] = __shfl_up_sync(~0u, v, 3);\n"
        "  o[2] = __shfl_down_sync(~0u, v, 7, 16); o[3] = __shfl_xor_sync(~0u, v, 9, 16);\n"
        "  o[4] = __shfl_sync(~0u, v, 3, 8); o[5] = __ballot_sync(~0u, v & 1);\n"
        "  o[6] = __any_sync(~0u, v == 3) * 2 + __all_sync(~0u, v >= 0);\n"
        "  o[7] = __reduce_add_sync(~0u, v) + __reduce_max_sync(~0u, v) * 3;\n"
        "  o[8] = __match_any_sync(~0u, v & 3); int p; o[9] = __match_all_sync(~0u, v > 1000, &p) + p;\n"
        "  unsigned half = (i & 31) < 16 ? 0xffffu : 0xffff0000u;\n"
        "  o[10] = __shfl_xor_sync(half, v, 1) + __popc(__ballot_sync(half, v & 2));\n"
        "  if (i % 2) o[11] = __popc(__activemask()); else o[11] = -1; }\n";
    int x[64], got[64][12];
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        for (int i = 0; i < 64; i++)
            x[i] = (int)(hash((uint32_t)i) % 100);
        uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(got));
        RUN(&kit, "k", 1, 64, ((uint64_t[]){dx, dy}));
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 64; i++) {
            int w = i & ~31, l = i & 31, sum = 0, max = 0;
            uint32_t ballot = 0, same = 0, two = 0;
            for (int k = 0; k < 32; k++) {
                int v = x[w + k];
                sum += v;
                max = v > max ? v : max;
                ballot |= (uint32_t)(v & 1) << k;
                two += (v & 2) && k / 16 == l / 16;
                same |= (uint32_t)((v & 3) == (x[i] & 3)) << k;
            }
            assert_int_equal(got[i][0], x[w + (i * 5 & 31)]);
            assert_int_equal(got[i][1], x[l < 3 ? i : i - 3]);
            assert_int_equal(got[i][2], x[(l & 15) + 7 > 15 ? i : i + 7]);
            assert_int_equal(got[i][3], x[w + (l ^ 9)]);
            assert_int_equal(got[i][4], x[w + (l & ~7) + 3]);
            assert_int_equal((uint32_t)got[i][5], ballot);
            assert_int_equal(got[i][7], sum + 3 * max);
            assert_int_equal((uint32_t)got[i][8], same);
            assert_int_equal(got[i][9], -1 + 1);
            assert_int_equal(got[i][10], x[i ^ 1] + (int)two);
            assert_int_equal(got[i][11], i % 2 ? 16 : -1);
        }
    }
}

static void atomics(void **state)
{
    static const char source[] =
        "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n"
        "extern \"C\" __global__ void k(int *a, float *f, double *d, unsigned long long *u,\n"
        "                              __half2 *h, __nv_bfloat162 *b) {\n"
        "  __shared__ int s[4]; int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
        "  if (threadIdx.x < 4) s[threadIdx.x] = 0; __syncthreads();\n"
        "  atomicAdd(&s[i & 3], i); atomicAdd(a, 1); atomicMax(a + 1, i * 7 % 101);\n"
        "  atomicMin(a + 2, -i); atomicOr(a + 3, 1 << (i & 15)); atomicXor(a + 4, i);\n"
        "  atomicInc((unsigned *)a + 5, 6); atomicExch(a + 6, 5); atomicCAS(a + 7, 0, 42);\n"
        "  atomicAdd(f, 0.5f); atomicAdd(d, 0.25); atomicAdd(u, 1ull << 33);\n"
        "  atomicMax(u + 1, (unsigned long long)i << 40); atomicAdd(h, __floats2half2_rn(1, 0.5));\n"
        "  atomicAdd(b, __floats2bfloat162_rn(1, 2)); int old = atomicAdd(a + 9, 2); a[20 + i] = old;\n"
        "  __syncthreads(); if (threadIdx.x < 4) atomicAdd(a + 10 + threadIdx.x, s[threadIdx.x]); }\n";
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        int a[20 + 256] = {0};
        float f = 1, *half = NULL;
        double d = 0;
        unsigned long long u[2] = {0};
        uint32_t h = 0, b = 0;
        (void)half;
        uint64_t da = kit_buffer(&kit, a, sizeof(a)), df = kit_buffer(&kit, &f, 4),
                 dd = kit_buffer(&kit, &d, 8), du = kit_buffer(&kit, u, 16),
                 dh = kit_buffer(&kit, &h, 4), db = kit_buffer(&kit, &b, 4);
        RUN(&kit, "k", 2, 128, ((uint64_t[]){da, df, dd, du, dh, db}));
        kit_read(&kit, da, a, sizeof(a));
        kit_read(&kit, df, &f, 4);
        kit_read(&kit, dd, &d, 8);
        kit_read(&kit, du, u, 16);
        kit_read(&kit, dh, &h, 4);
        kit_read(&kit, db, &b, 4);
        int x = 0, seen[256] = {0};
        for (int i = 0; i < 256; i++)
            x ^= i, seen[a[20 + i] / 2]++;
        assert_int_equal(a[0], 256);
        assert_int_equal(a[1], 100);
        assert_int_equal(a[2], -255);
        assert_int_equal(a[3], 0xffff);
        assert_int_equal(a[4], x);
        assert_int_equal(a[5], 256 % 7);
        assert_int_equal(a[6], 5);
        assert_int_equal(a[7], 42);
        for (int i = 0; i < 256; i++)
            assert_int_equal(seen[i], 1);
        for (int k = 0; k < 4; k++)
            assert_int_equal(a[10 + k], 64 * k + 4 * 63 * 64 / 2);
        assert_true(f == 129.0f && d == 64.0);
        assert_true(u[0] == 256ull << 33 && u[1] == 255ull << 40);
        assert_int_equal(h, 0x5c00 | 0x5800 << 16 ? (0x5800u << 16 | 0x5c00) : 0);
        assert_int_equal(b, 0x4400u << 16 | 0x4380);
    }
}

static void double_functions(void **state)
{
    static const char source[] =
        "extern \"C\" __global__ void k(const double *x, double *y, float *z) {\n"
        "  int i = threadIdx.x; double v = x[i]; double *o = y + 10 * i; float *p = z + 12 * i;\n"
        "  float f = (float)v;\n"
        "  o[0] = exp(v); o[1] = log(fabs(v) + 1e-3); o[2] = sin(v * 1e6); o[3] = sqrt(fabs(v));\n"
        "  o[4] = 1 / v; o[5] = pow(fabs(v), 1.7); o[6] = tanh(v); o[7] = erf(v); o[8] = v / 3;\n"
        "  o[9] = rsqrt(fabs(v) + 1);\n"
        "  p[0] = expf(f); p[1] = logf(fabsf(f) + 1e-3f); p[2] = sinf(f * 1e5f); p[3] = sqrtf(fabsf(f));\n"
        "  p[4] = 1 / f; p[5] = powf(fabsf(f), 1.7f); p[6] = tanhf(f); p[7] = erff(f); p[8] = f / 3;\n"
        "  p[9] = rsqrtf(fabsf(f) + 1); p[10] = __expf(f); p[11] = __logf(fabsf(f) + 1e-3f); }\n";
    enum { N = 128 };
    static double x[N], y[N][10];
    static float z[N][12];
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        for (int i = 0; i < N; i++)
            x[i] = ((double)(hash((uint32_t)i) & 0xffff) / 8192 - 4) + 1e-4;
        uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(y)),
                 dz = kit_buffer(&kit, NULL, sizeof(z));
        RUN(&kit, "k", 1, N, ((uint64_t[]){dx, dy, dz}));
        kit_read(&kit, dy, y, sizeof(y));
        kit_read(&kit, dz, z, sizeof(z));
        for (int i = 0; i < N; i++) {
            double v = x[i], w = (float)v;
            double want[] = {exp(v), log(fabs(v) + 1e-3), sin(v * 1e6), sqrt(fabs(v)), 1 / v,
                             pow(fabs(v), 1.7), tanh(v), erf(v), v / 3, 1 / sqrt(fabs(v) + 1)};
            double want32[] = {exp(w), log(fabs(w) + 1e-3), sin((double)((float)w * 1e5f)),
                               sqrt(fabs(w)), 1 / w, pow(fabs(w), (double)1.7f), tanh(w), erf(w),
                               w / 3, 1 / sqrt(fabs(w) + 1), exp(w), log(fabs(w) + 1e-3)};
            for (int k = 0; k < 10; k++)
                if (!(fabs(y[i][k] - want[k]) <= 4e-15 * fabs(want[k]) + 1e-300))
                    fail_msg("f64 %d of %g: %.17g, not %.17g", k, v, y[i][k], want[k]);
            for (int k = 0; k < 12; k++)
                if (!(fabs(z[i][k] - want32[k]) <= 2e-6 * fabs(want32[k]) + 3e-7))
                    fail_msg("f32 %d of %g: %.9g, not %.9g", k, v, z[i][k], want32[k]);
        }
    }
}

static void named_barriers(void **state)
{
    static const char source[] =
        "extern \"C\" __global__ void k(int *y) { __shared__ int s[2][64]; __shared__ int t[128];\n"
        "  int w = threadIdx.x / 64, i = threadIdx.x % 64; s[w][i] = i * (w + 1);\n"
        "  if (w == 0) asm volatile(\"bar.sync 1, 64;\" ::: \"memory\");\n"
        "  else asm volatile(\"barrier.sync 2, 64;\" ::: \"memory\");\n"
        "  t[threadIdx.x] = s[w][63 - i]; int n = __syncthreads_count(i & 1);\n"
        "  int a = __syncthreads_and(i >= 0), o = __syncthreads_or(i == 5);\n"
        "  y[threadIdx.x] = t[127 - threadIdx.x] + 1000 * n + 100000 * (a + o); }\n";
    int got[128];
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        uint64_t dy = kit_buffer(&kit, NULL, sizeof(got));
        RUN(&kit, "k", 1, 128, ((uint64_t[]){dy}));
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 128; i++) {
            int j = 127 - i;
            assert_int_equal(got[i], (63 - j % 64) * (j / 64 + 1) + 64000 + 200000);
        }
    }
}

/* Lanes of one warp that wait for each other through a lock: needs fair groups. */
static void spinning(void **state)
{
    static const char source[] =
        "extern \"C\" __global__ void k(int *lock, int *n) {\n"
        "  bool done = false;\n"
        "  while (!done) { if (atomicCAS(lock, 0, 1) == 0) { __threadfence(); *(volatile int *)n += 1;\n"
        "    __threadfence(); atomicExch(lock, 0); done = true; } } }\n";
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        int zero = 0, got;
        uint64_t lock = kit_buffer(&kit, &zero, 4), n = kit_buffer(&kit, &zero, 4);
        RUN(&kit, "k", 2, 64, ((uint64_t[]){lock, n}));
        kit_read(&kit, n, &got, 4);
        assert_int_equal(got, 128);
    }
}

static void generic_and_const(void **state)
{
    static const char source[] =
        "__constant__ float c[4] = {1, 2, 3, 4}; __device__ float g[4] = {5, 6, 7, 8};\n"
        "__device__ float *table[2] = {g + 1, g + 2};\n"
        "struct big { int v[40]; };\n"
        "extern \"C\" __global__ void k(const __grid_constant__ big b, const float *x, float *y) {\n"
        "  __shared__ float s[64]; float l[4]; int i = threadIdx.x; s[i] = x[i];\n"
        "  for (int k = 0; k < 4; k++) l[k] = x[i] * k; __syncthreads();\n"
        "  const float *p = i % 4 == 0 ? s + (63 - i) : i % 4 == 1 ? l + (i & 3) : i % 4 == 2 ? c + (i & 3) : table[i & 1];\n"
        "  y[i] = *p + b.v[i % 40]; }\n";
    float x[64], got[64];
    (void)state;
    FOR_EACH_ARCH(source, kit)
    {
        for (int i = 0; i < 64; i++)
            x[i] = (float)i * 1.5f;
        uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(got));
        struct {
            int v[40];
            uint64_t x, y;
        } params;
        for (int i = 0; i < 40; i++)
            params.v[i] = i * 10;
        params.x = dx;
        params.y = dy;
        if (kit_run_raw(&kit, "k", (uint32_t[3]){1, 1, 1}, (uint32_t[3]){64, 1, 1}, &params,
                        sizeof(params)))
            fail_msg("%s%s", kit.err.text, kit.fault.text);
        kit_read(&kit, dy, got, sizeof(got));
        for (int i = 0; i < 64; i++) {
            float want = i % 4 == 0 ? x[63 - i] : i % 4 == 1 ? x[i] : i % 4 == 2 ? 3.0f : 7.0f;
            assert_true(got[i] == want + (float)(i % 40 * 10));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divergence),         cmocka_unit_test(calls_and_local_memory),
        cmocka_unit_test(shuffles_and_votes), cmocka_unit_test(atomics),
        cmocka_unit_test(double_functions),   cmocka_unit_test(named_barriers),
        cmocka_unit_test(spinning),           cmocka_unit_test(generic_and_const),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
