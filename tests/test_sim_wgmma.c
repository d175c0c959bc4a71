/* SPDX-License-Identifier: MIT */
/* wgmma and bulk copies. Inputs are small integers, so every sum is exact; the kernels lay their
 * operands out by formulas of their own, as the PTX manual draws them. */
#include "tests/sim_kit.h"
#include "evaluator/sim/ops.h"

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

enum { M = 64, N = 24, ROW = 32 /* bytes of k */ };

/* Each kernel: d = product with d switched off, then once more added to it. A tile of a swizzle that
 * is wider than one step of k is entered at its second step. */
static const char product_source[] =
    "typedef unsigned u; typedef unsigned long long ull;\n"
    "__device__ int width(int mode) { return mode == 1 ? 128 : mode == 2 ? 64 : 32; }\n"
    "__device__ int place(int mode, int r, int c) {\n"
    "  if (mode == 0) return r / 8 * 256 + c * 128 + r % 8 * 16;\n"
    "  int column = (mode < 3 ? 2 : 0) + c;\n"
    "  column ^= mode == 1 ? r % 8 : mode == 2 ? r / 2 % 4 : r / 4 % 2;\n"
    "  return r * width(mode) + column * 16; }\n"
    "__device__ ull desc(int mode, const void *at) {\n"
    "  ull start = (u)__cvta_generic_to_shared(at) + (mode == 1 || mode == 2 ? 32 : 0);\n"
    "  ull stride = mode ? 8 * width(mode) : 256;\n"
    "  return start >> 4 | (mode ? 1ull : 8ull) << 16 | stride >> 4 << 32 | (ull)mode << 62; }\n"
    "#define D \"{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11}\"\n"
    "#define V \"+f\"(v[0]), \"+f\"(v[1]), \"+f\"(v[2]), \"+f\"(v[3]), \"+f\"(v[4]), \"+f\"(v[5]), \"+f\"(v[6]), \"+f\"(v[7]),\\\n"
    "  \"+f\"(v[8]), \"+f\"(v[9]), \"+f\"(v[10]), \"+f\"(v[11])\n"
    "#define BEGIN __shared__ __align__(1024) unsigned char s[12288];\\\n"
    "  int i = threadIdx.x, w = i / 32, g = i % 32 / 4, t = i % 4;\\\n"
    "  float v[12] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};\n"
    "#define LAY(mode) *(uint4 *)(s + place(mode, i / 2, i % 2)) = a[i];\\\n"
    "  if (i < 48) *(uint4 *)(s + 8192 + place(mode, i / 2, i % 2)) = b[i]; __syncthreads();\\\n"
    "  ull da = desc(mode, s), db = desc(mode, s + 8192); (void)da;\n"
    "#define END asm volatile(\"wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\" ::: \"memory\");\\\n"
    "  for (int k = 0; k < 12; k++)\\\n"
    "    d[(16 * w + g + 8 * (k / 2 % 2)) * 24 + 2 * t + k % 2 + 8 * (k / 4)] = v[k];\n"
    "#define FENCE asm volatile(\"wgmma.fence.sync.aligned;\" ::: \"memory\")\n"
    "#define SHARED(name, mode, types, tail)\\\n"
    "extern \"C\" __global__ void name(const uint4 *a, const uint4 *b, float *d) { BEGIN LAY(mode) FENCE;\\\n"
    "  for (int on = 0; on < 2; on++) asm volatile(\"{.reg .pred p; setp.ne.b32 p, %14, 0;\"\\\n"
    "    \"wgmma.mma_async.sync.aligned.m64n24\" types \" \" D \", %12, %13, p, \" tail \";}\"\\\n"
    "    : V : \"l\"(da), \"l\"(db), \"r\"(on)); END }\n"
    "#define REGISTERS(name, mode, types, tail)\\\n"
    "extern \"C\" __global__ void name(const uint4 *a, const uint4 *b, float *d) { BEGIN LAY(mode) FENCE;\\\n"
    "  const u *r = (const u *)a + (16 * w + g) * 8 + t;\\\n"
    "  for (int on = 0; on < 2; on++) asm volatile(\"{.reg .pred p; setp.ne.b32 p, %17, 0;\"\\\n"
    "    \"wgmma.mma_async.sync.aligned.m64n24\" types \" \" D \", {%12,%13,%14,%15}, %16, p, \" tail \";}\"\\\n"
    "    : V : \"r\"(r[0]), \"r\"(r[64]), \"r\"(r[4]), \"r\"(r[68]), \"l\"(db), \"r\"(on)); END }\n"
    "SHARED(f16_0, 0, \"k16.f32.f16.f16\", \"1, 1, 0, 0\")\n"
    "SHARED(f16_1, 1, \"k16.f32.f16.f16\", \"1, 1, 0, 0\")\n"
    "SHARED(f16_2, 2, \"k16.f32.f16.f16\", \"1, 1, 0, 0\")\n"
    "SHARED(f16_3, 3, \"k16.f32.f16.f16\", \"1, 1, 0, 0\")\n"
    "SHARED(bf16_1, 1, \"k16.f32.bf16.bf16\", \"1, 1, 0, 0\")\n"
    "SHARED(tf32_1, 1, \"k8.f32.tf32.tf32\", \"1, 1\")\n"
    "SHARED(minus_a, 0, \"k16.f32.f16.f16\", \"-1, 1, 0, 0\")\n"
    "SHARED(minus_b, 2, \"k8.f32.tf32.tf32\", \"1, -1\")\n"
    "REGISTERS(f16_r, 1, \"k16.f32.f16.f16\", \"1, 1, 0\")\n"
    "REGISTERS(tf32_r, 3, \"k8.f32.tf32.tf32\", \"1, 1\")\n"
    "extern \"C\" __global__ void early(const uint4 *a, const uint4 *b, float *d, int wait) { BEGIN LAY(0) FENCE;\n"
    "  asm volatile(\"wgmma.mma_async.sync.aligned.m64n24k16.f32.f16.f16 \" D \", %12, %13, 1, 1, 1, 0, 0;\"\n"
    "    \"wgmma.commit_group.sync.aligned;\" : V : \"l\"(da), \"l\"(db) : \"memory\");\n"
    "  if (wait) asm volatile(\"wgmma.wait_group.sync.aligned 0;\" ::: \"memory\");\n"
    "  __syncthreads(); if (i == 0) *(u *)(s + 8192) ^= 1; __syncthreads(); END }\n"
    "extern \"C\" __global__ void blind(const uint4 *a, const uint4 *b, float *d) { BEGIN\n"
    "  *(uint4 *)(s + place(0, i / 2, i % 2)) = a[i]; ull da = desc(0, s), db = desc(0, s + 8192);\n"
    "  __syncthreads(); if (i < 40) *(uint4 *)(s + 8192 + place(0, i / 2, i % 2)) = b[i]; __syncthreads();\n"
    "  asm volatile(\"wgmma.mma_async.sync.aligned.m64n24k16.f32.f16.f16 \" D \", %12, %13, 1, 1, 1, 0, 0;\"\n"
    "    : V : \"l\"(da), \"l\"(db) : \"memory\"); END }\n";

enum kind { F16, BF16, TF32 };

static const struct product {
    const char *kernel;
    enum kind kind;
    int sign;
} products[] = {{"f16_0", F16, 1},    {"f16_1", F16, 1},    {"f16_2", F16, 1},   {"f16_3", F16, 1},
                {"bf16_1", BF16, 1},  {"tf32_1", TF32, 1},  {"f16_r", F16, 1},   {"tf32_r", TF32, 1},
                {"minus_a", F16, -1}, {"minus_b", TF32, -1}};

static int small(unsigned i)
{
    return (int)(i * 2654435761u >> 28) - 8;
}

/* Rows of 32 bytes. */
static void fill(uint8_t *rows, enum kind kind, unsigned n, unsigned salt)
{
    unsigned k = kind == TF32 ? 8 : 16;
    for (unsigned i = 0; i < n * k; i++) {
        float f = (float)small(i + salt);
        uint16_t h = kind == F16 ? ops_f2h(f) : ops_f2bf(f);
        memcpy(rows + i * (ROW / k), kind == TF32 ? (const void *)&f : (const void *)&h, ROW / k);
    }
}

static void inputs(struct sim_kit *kit, enum kind kind, uint64_t ret[3])
{
    uint8_t a[M * ROW], b[N * ROW];
    fill(a, kind, M, 0);
    fill(b, kind, N, 7777);
    ret[0] = kit_buffer(kit, a, sizeof(a));
    ret[1] = kit_buffer(kit, b, sizeof(b));
    ret[2] = kit_buffer(kit, NULL, M * N * 4);
}

static void test_products(void **state)
{
    struct sim_kit kit;
    float d[M * N];
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, product_source, "sm_90a");
    for (size_t p = 0; p < sizeof(products) / sizeof(products[0]); p++) {
        uint64_t args[3];
        unsigned k = products[p].kind == TF32 ? 8 : 16;
        inputs(&kit, products[p].kind, args);
        memset(&kit.counts, 0, sizeof(kit.counts));
        RUN(&kit, products[p].kernel, 1, 128, args);
        assert_true(kit.counts.tensor_flops[k == 8 ? EXEC_TENSOR_WG_TF32 : EXEC_TENSOR_WG_F16] ==
                    2ull * 2 * M * N * k);
        kit_read(&kit, args[2], d, sizeof(d));
        for (unsigned i = 0; i < M; i++)
            for (unsigned j = 0; j < N; j++) {
                int want = 0;
                for (unsigned t = 0; t < k; t++)
                    want += 2 * products[p].sign * small(i * k + t) * small(j * k + t + 7777);
                if (d[i * N + j] != (float)want)
                    fail_msg("%s: [%u][%u] is %g, not %d", products[p].kernel, i, j,
                             (double)d[i * N + j], want);
            }
    }
    kit_done(&kit);
}

static void expect_fault(struct sim_kit *kit, const char *kernel, unsigned threads,
                         const uint64_t *args, const char *words)
{
    assert_int_equal(kit_run1(kit, kernel, 1, threads, args), ERR_DEVICE);
    if (!strstr(kit->fault.text, words))
        fail_msg("%s: \"%s\" doesn't speak of \"%s\"", kernel, kit->fault.text, words);
}

static void test_product_faults(void **state)
{
    struct sim_kit kit;
    uint64_t args[4] = {0};
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, product_source, "sm_90a");
    inputs(&kit, F16, args);
    expect_fault(&kit, "early", 128, args, "overwritten before the wgmma");
    args[3] = 1;
    RUN(&kit, "early", 1, 128, args);
    expect_fault(&kit, "blind", 128, args, "nobody has written");
    expect_fault(&kit, "f16_0", 96, args, "warpgroup");
    kit_done(&kit);
}

static const char bulk_source[] =
    "typedef unsigned u;\n"
    "#define BEGIN __shared__ __align__(128) float s[512]; __shared__ unsigned long long bar; int i = threadIdx.x;\\\n"
    "  u at = (u)__cvta_generic_to_shared(s), b = (u)__cvta_generic_to_shared(&bar);\\\n"
    "  if (i == 0) asm volatile(\"mbarrier.init.shared::cta.b64 [%0], 1; fence.mbarrier_init.release.cluster;\" :: \"r\"(b) : \"memory\");\\\n"
    "  __syncthreads();\n"
    "#define LOAD(expect, n) if (i == 0) { asm volatile(\"mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\" :: \"r\"(b), \"r\"(expect) : \"memory\");\\\n"
    "  asm volatile(\"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];\"\\\n"
    "    :: \"r\"(at), \"l\"(x), \"r\"(n), \"r\"(b) : \"memory\"); }\n"
    "#define WAIT { u ok; do asm volatile(\"{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p;}\"\\\n"
    "    : \"=r\"(ok) : \"r\"(b) : \"memory\"); while (!ok); }\n"
    "extern \"C\" __global__ void there_and_back(const float *x, float *y) { BEGIN LOAD(2048, 2048) WAIT\n"
    "  for (int k = i; k < 512; k += 64) s[k] += 1; asm volatile(\"fence.proxy.async.shared::cta;\" ::: \"memory\");\n"
    "  __syncthreads(); if (i == 0) asm volatile(\"cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 2048;\"\n"
    "    \"cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0;\" :: \"l\"(y), \"r\"(at) : \"memory\"); }\n"
    "extern \"C\" __global__ void hasty(const float *x, float *y) { BEGIN s[i] = 0; __syncthreads(); LOAD(2048, 2048) y[i] = s[i]; }\n"
    "extern \"C\" __global__ void odd(const float *x, float *y) { BEGIN LOAD(24, 24) WAIT y[i] = s[i]; }\n"
    "extern \"C\" __global__ void far(const float *x, float *y) { BEGIN LOAD(2064, 2064) WAIT y[i] = s[i]; }\n"
    "extern \"C\" __global__ void stuck(const float *x, float *y) { BEGIN LOAD(2048, 1024) WAIT y[i] = s[i]; }\n";

static void test_bulk(void **state)
{
    struct sim_kit kit;
    float x[512], y[512];
    (void)state;
    for (int i = 0; i < 512; i++)
        x[i] = (float)i;
    kit_init(&kit);
    kit_cuda(&kit, bulk_source, "sm_90a");
    uint64_t args[] = {kit_buffer(&kit, x, sizeof(x)), kit_buffer(&kit, NULL, sizeof(y))};
    RUN(&kit, "there_and_back", 1, 64, args);
    kit_read(&kit, args[1], y, sizeof(y));
    for (int i = 0; i < 512; i++)
        assert_true(y[i] == x[i] + 1);
    expect_fault(&kit, "hasty", 64, args, "race");
    expect_fault(&kit, "odd", 64, args, "multiples of 16");
    expect_fault(&kit, "far", 64, args, "global");
    expect_fault(&kit, "stuck", 64, args, "waits for an mbarrier");
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_product_faults),
        cmocka_unit_test(test_bulk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
