/* SPDX-License-Identifier: MIT */
/* Kernels through NVRTC and the block executor, held against the same computation in C. */
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

static float noise(uint32_t i)
{
    i = i * 2654435761u ^ 0x9e3779b9u;
    i ^= i >> 15;
    i *= 0x85ebca6bu;
    i ^= i >> 13;
    return (float)(i & 0xffff) / 32768.0f - 1.0f;
}

static float *noise_array(size_t n)
{
    float *a = malloc(n * sizeof(*a));
    for (size_t i = 0; i < n; i++)
        a[i] = noise((uint32_t)i);
    return a;
}

static void axpy(void **state)
{
    static const char source[] =
        "extern \"C\" __global__ void axpy(const float *x, float *y, float a, int n) {\n"
        "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
        "  if (i < n) y[i] = a * x[i] + y[i];\n}\n";
    struct sim_kit kit;
    enum { N = 1000 };
    float *x = noise_array(N), y[N], got[N];
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, source, "sm_90a");
    for (int i = 0; i < N; i++)
        y[i] = (float)i;
    uint64_t dx = kit_buffer(&kit, x, sizeof(y)), dy = kit_buffer(&kit, y, sizeof(y));
    RUN(&kit, "axpy", 4, 256, ((uint64_t[]){dx, dy, kit_float(3.0f), N}));
    kit_read(&kit, dy, got, sizeof(got));
    for (int i = 0; i < N; i++)
        assert_true(got[i] == fmaf(3.0f, x[i], y[i]));
    assert_int_equal(kit.counts.blocks, 4);
    assert_int_equal(kit.counts.global_load.sectors, 2 * N / 8);
    assert_int_equal(kit.counts.global_store.sectors, N / 8);
    free(x);
    kit_done(&kit);
}

static const char softmax_source[] =
    "extern \"C\" __global__ void softmax(const float *x, float *y, int cols) {\n"
    "  __shared__ float red[32];\n"
    "  const float *r = x + (size_t)blockIdx.x * cols; float *o = y + (size_t)blockIdx.x * cols;\n"
    "  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;\n"
    "  float m = -1e38f;\n"
    "  for (int i = threadIdx.x; i < cols; i += blockDim.x) m = fmaxf(m, r[i]);\n"
    "  for (int s = 16; s; s >>= 1) m = fmaxf(m, __shfl_xor_sync(~0u, m, s));\n"
    "  if (lane == 0) red[warp] = m;\n"
    "  __syncthreads();\n"
    "  m = lane < warps ? red[lane] : -1e38f;\n"
    "  for (int s = 16; s; s >>= 1) m = fmaxf(m, __shfl_xor_sync(~0u, m, s));\n"
    "  float t = 0;\n"
    "  for (int i = threadIdx.x; i < cols; i += blockDim.x) t += expf(r[i] - m);\n"
    "  for (int s = 16; s; s >>= 1) t += __shfl_xor_sync(~0u, t, s);\n"
    "  __syncthreads();\n"
    "  if (lane == 0) red[warp] = t;\n"
    "  __syncthreads();\n"
    "  t = lane < warps ? red[lane] : 0;\n"
    "  for (int s = 16; s; s >>= 1) t += __shfl_xor_sync(~0u, t, s);\n"
    "  for (int i = threadIdx.x; i < cols; i += blockDim.x) o[i] = expf(r[i] - m) / t;\n}\n";

static void softmax(void **state)
{
    struct sim_kit kit;
    enum { ROWS = 3, COLS = 1000 };
    float *x = noise_array(ROWS * COLS), got[ROWS * COLS];
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, softmax_source, "sm_100a");
    uint64_t dx = kit_buffer(&kit, x, sizeof(got)), dy = kit_buffer(&kit, NULL, sizeof(got));
    RUN(&kit, "softmax", ROWS, 256, ((uint64_t[]){dx, dy, COLS}));
    kit_read(&kit, dy, got, sizeof(got));
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int c = 0; c < COLS; c++)
            sum += exp((double)x[r * COLS + c]);
        for (int c = 0; c < COLS; c++) {
            double want = exp((double)x[r * COLS + c]) / sum;
            assert_true(fabs(got[r * COLS + c] - want) <= 2e-6 * want);
        }
    }
    free(x);
    kit_done(&kit);
}

/* Blocks that run in turns hand a token from the last to the first. Whoever sleeps between its questions
 * gives way at once; who only asks uses up its turns. */
static void sleep_gives_way(void **state)
{
    static const char source[] =
        "extern \"C\" __global__ void relay(volatile int *token, int nap) {\n"
        "  int me = blockIdx.x;\n"
        "  if (threadIdx.x == 0 && me < gridDim.x - 1)\n"
        "    while (token[me + 1] == 0)\n"
        "      if (nap) __nanosleep(20);\n"
        "  __syncthreads();\n"
        "  if (threadIdx.x == 0) token[me] = 1;\n}\n";
    enum { BLOCKS = 8 };
    struct sim_kit kit;
    int token[BLOCKS] = {0};
    uint64_t insts[2];
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, source, "sm_90a");
    kit.in_turns = true;
    for (uint64_t nap = 0; nap < 2; nap++) {
        memset(token, 0, sizeof(token));
        uint64_t d = kit_buffer(&kit, token, sizeof(token));
        RUN(&kit, "relay", BLOCKS, 64, ((uint64_t[]){d, nap}));
        kit_read(&kit, d, token, sizeof(token));
        for (int i = 0; i < BLOCKS; i++)
            assert_int_equal(token[i], 1);
        insts[nap] = kit.counts.warp_insts;
    }
    assert_true(insts[0] > 10000);
    assert_true(insts[1] < 2000);
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axpy),
        cmocka_unit_test(softmax),
        cmocka_unit_test(sleep_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
