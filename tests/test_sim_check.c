/* SPDX-License-Identifier: MIT */
/* What the executor says of kernels that are wrong: the kind of fault, the place, and no fault where
 * the same kernel is right. */
#include "tests/sim_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char source[] =
    "extern \"C\" __global__ void oob(float *y, int n) {\n"                        /* 1 */
    "  y[threadIdx.x + blockIdx.x * blockDim.x] = n; }\n"                         /* 2 */
    "extern \"C\" __global__ void odd(char *y) {\n"                                /* 3 */
    "  *(int *)(y + threadIdx.x * 4 + (threadIdx.x == 5)) = 1; }\n"               /* 4 */
    "extern \"C\" __global__ void unwritten(const float *x, float *y) {\n"         /* 5 */
    "  y[threadIdx.x] = x[threadIdx.x] + 1; }\n"                                  /* 6 */
    "extern \"C\" __global__ void unwritten_shared(float *y, int n) {\n"           /* 7 */
    "  __shared__ float s[64]; if (threadIdx.x < n) s[threadIdx.x] = 1;\n"        /* 8 */
    "  __syncthreads();\n"                                                        /* 9 */
    "  y[threadIdx.x] = s[63 - threadIdx.x]; }\n"                                 /* 10 */
    "extern \"C\" __global__ void race(float *y, int sync) {\n"                    /* 11 */
    "  __shared__ float s[64]; s[threadIdx.x] = threadIdx.x;\n"                   /* 12 */
    "  if (sync) __syncthreads();\n"                                              /* 13 */
    "  y[threadIdx.x] = s[63 - threadIdx.x]; }\n"                                 /* 14 */
    "extern \"C\" __global__ void race_after(float *y, int sync) {\n"              /* 15 */
    "  __shared__ float s[64]; s[threadIdx.x] = threadIdx.x; __syncthreads();\n"  /* 16 */
    "  float v = s[63 - threadIdx.x]; if (sync) __syncthreads();\n"               /* 17 */
    "  s[threadIdx.x] = v; __syncthreads(); y[threadIdx.x] = s[threadIdx.x]; }\n" /* 18 */
    "extern \"C\" __global__ void stuck(float *y) {\n"                             /* 19 */
    "  if (threadIdx.x < 32) asm volatile(\"bar.sync 1, 64;\");\n"                /* 20 */
    "  else asm volatile(\"bar.sync 2, 64;\"); y[threadIdx.x] = 1; }\n"           /* 21 */
    "extern \"C\" __global__ void diverged(float *y) {\n"                          /* 22 */
    "  if (threadIdx.x & 1) { y[threadIdx.x] = 1; asm volatile(\"barrier.sync 0;\"); }\n" /* 23 */
    "  else { asm volatile(\"barrier.sync 0;\"); y[threadIdx.x] = 2; } }\n"       /* 24 */
    "extern \"C\" __global__ void early_exit(float *y, int n) {\n"                 /* 25 */
    "  if (threadIdx.x >= n) return; __syncthreads(); y[threadIdx.x] = 1; }\n"    /* 26 */
    "extern \"C\" __global__ void forever(volatile int *y) { while (*y == 0); }\n" /* 27 */
    "extern \"C\" __global__ void asserts(int n) { if (n == 3) __trap();\n"        /* 28 */
    "  asm volatile(\"\" ::: \"memory\"); }\n"                                    /* 29 */
    "extern \"C\" __global__ void null(int *p) { *p = 1; }\n"                      /* 30 */
    "extern \"C\" __global__ void shared_oob(float *y, int i) {\n"                 /* 31 */
    "  __shared__ float s[8]; s[i] = 1; y[0] = s[0] + s[i]; }\n"                  /* 32 */
    "extern \"C\" __global__ void halves(unsigned short *y) {\n"                   /* 33 */
    "  __shared__ unsigned short s[64]; int i = threadIdx.x;\n"                   /* 34 */
    "  s[(i % 32) * 2 + i / 32] = i; __syncthreads(); y[i] = s[i]; }\n"           /* 35 */
    "extern \"C\" __global__ void half_warp(int *y) {\n"                           /* 36 */
    "  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(~0u, threadIdx.x, 1);\n"    /* 37 */
    "  else { __syncwarp(~0u); y[threadIdx.x] = 2; } }\n"                                 /* 38 */
    "extern \"C\" __global__ void handed_on(int *y) {\n"                           /* 39 */
    "  __shared__ int s[32]; volatile __shared__ int flag; int i = threadIdx.x;\n" /* 40 */
    "  if (i == 0) flag = 0; __syncthreads();\n"                                  /* 41 */
    "  if (i < 32) { s[i] = i; __threadfence_block(); __syncwarp(); if (i == 0) flag = 1; }\n"  /* 42 */
    "  else { while (!flag); __threadfence_block(); y[i] = s[i - 32]; } }\n"      /* 43 */
    "extern \"C\" __global__ void read_then_write(int *y) {\n"                     /* 44 */
    "  __shared__ int s[64]; int i = threadIdx.x; s[i] = i; __syncthreads();\n"   /* 45 */
    "  if (i >= 32) y[i] = s[i - 32];\n"                                         /* 46 */
    "  else s[i] = 2; __syncthreads(); y[i] = s[i]; }\n";                        /* 47 */

static void load(struct sim_kit *kit)
{
    kit_init(kit);
    kit_cuda(kit, source, "sm_90a");
}

#define EXPECT_FAULT(kit, want, at_line, tid)                                                      \
    do {                                                                                           \
        if ((kit).fault.kind != (want) || (kit).fault.cuda_line != (at_line) ||                    \
            (kit).fault.thread[0] != (tid))                                                        \
            fail_msg("%d at %u, thread %u: %s", (kit).fault.kind, (kit).fault.cuda_line,           \
                     (kit).fault.thread[0], (kit).fault.text);                                     \
        assert_true((kit).fault.ptx_line > 0);                                                     \
    } while (0)
#define HAS(kit, words) assert_non_null(strstr((kit).fault.text, words))

static void bounds(void **state)
{
    struct sim_kit kit;
    (void)state;
    load(&kit);
    uint64_t y = kit_buffer(&kit, NULL, 4 * 100), x = kit_buffer(&kit, NULL, 64);
    assert_int_equal(kit_run1(&kit, "oob", 2, 64, (uint64_t[]){y, 1}), ERR_DEVICE);
    EXPECT_FAULT(kit, EXEC_FAULT_ADDRESS, 2, 36);
    assert_int_equal(kit.fault.block[0], 1);
    assert_true(kit.fault.address == y + 400);
    HAS(kit, "past the end of an allocation of 400 bytes");
    HAS(kit, "kernel oob");
    HAS(kit, "kernel.cu:2");
    assert_int_equal(kit_run1(&kit, "oob", 1, 100, (uint64_t[]){y, 1}), 0);
    assert_int_equal(kit_run1(&kit, "null", 1, 1, (uint64_t[]){0}), ERR_DEVICE);
    EXPECT_FAULT(kit, EXEC_FAULT_ADDRESS, 30, 0);
    HAS(kit, "nothing is mapped");
    assert_int_equal(kit_run1(&kit, "odd", 1, 16, (uint64_t[]){x}), ERR_DEVICE);
    EXPECT_FAULT(kit, EXEC_FAULT_MISALIGNED, 4, 5);
    assert_int_equal(kit_run1(&kit, "shared_oob", 1, 1, (uint64_t[]){y, 8}), ERR_DEVICE);
    EXPECT_FAULT(kit, EXEC_FAULT_ADDRESS, 32, 0);
    HAS(kit, "the block has 32 bytes");
    kit_done(&kit);
}

static void unwritten(void **state)
{
    struct sim_kit kit;
    float half[64] = {0};
    (void)state;
    load(&kit);
    uint64_t x = kit_buffer(&kit, NULL, 256), y = kit_buffer(&kit, NULL, 256);
    vmem_write(kit.mem, x, half, 40 * 4);
    assert_int_equal(kit_run1(&kit, "unwritten", 1, 40, (uint64_t[]){x, y}), 0);
    assert_int_equal(kit_run1(&kit, "unwritten", 1, 64, (uint64_t[]){x, y}), ERR_DEVICE);
    EXPECT_FAULT(kit, EXEC_FAULT_UNWRITTEN, 6, 40);
    assert_int_equal(kit_run1(&kit, "unwritten_shared", 1, 64, (uint64_t[]){y, 64}), 0);
    assert_int_equal(kit_run1(&kit, "unwritten_shared", 1, 64, (uint64_t[]){y, 60}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_UNWRITTEN);
    assert_int_equal(kit.fault.cuda_line, 10);
    kit.checks = EXEC_CHECK_RACES;
    assert_int_equal(kit_run1(&kit, "unwritten", 1, 64, (uint64_t[]){x, y}), 0);
    kit_done(&kit);
}

static void races(void **state)
{
    struct sim_kit kit;
    (void)state;
    load(&kit);
    uint64_t y = kit_buffer(&kit, NULL, 256);
    assert_int_equal(kit_run1(&kit, "race", 3, 64, (uint64_t[]){y, 1}), 0);
    assert_int_equal(kit_run1(&kit, "race_after", 3, 64, (uint64_t[]){y, 1}), 0);
    assert_int_equal(kit_run1(&kit, "halves", 3, 64, (uint64_t[]){y}), 0);
    assert_int_equal(kit_run1(&kit, "handed_on", 2, 64, (uint64_t[]){y}), 0);
    assert_int_equal(kit_run1(&kit, "race_after", 1, 64, (uint64_t[]){y, 0}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_RACE);
    assert_int_equal(kit.fault.cuda_line, 17);
    HAS(kit, "warp 0 reads what warp 1 wrote");
    assert_int_equal(kit_run1(&kit, "read_then_write", 1, 64, (uint64_t[]){y}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_RACE);
    assert_int_equal(kit.fault.cuda_line, 47);
    HAS(kit, "warp 0 writes what warp 1 read");
    kit.checks = EXEC_CHECK_RACES;
    assert_int_equal(kit_run1(&kit, "race", 1, 64, (uint64_t[]){y, 0}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_RACE);
    kit.checks = 0;
    assert_int_equal(kit_run1(&kit, "race", 1, 64, (uint64_t[]){y, 0}), 0);
    kit_done(&kit);
}

static void barriers(void **state)
{
    struct sim_kit kit;
    (void)state;
    load(&kit);
    uint64_t y = kit_buffer(&kit, NULL, 512);
    assert_int_equal(kit_run1(&kit, "stuck", 1, 64, (uint64_t[]){y}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_BARRIER);
    HAS(kit, "deadlock: 2 of 2 warps wait");
    assert_int_equal(kit_run1(&kit, "diverged", 1, 64, (uint64_t[]){y}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_BARRIER);
    HAS(kit, "lanes of one warp wait at different barriers");
    kit.checks = 0;
    assert_int_equal(kit_run1(&kit, "diverged", 1, 64, (uint64_t[]){y}), 0);
    /* threads that have left count as arrived, as on the hardware */
    kit.checks = EXEC_CHECK_DIVERGENCE;
    for (uint32_t n = 0; n <= 96; n += 7)
        assert_int_equal(kit_run1(&kit, "early_exit", 1, 96, (uint64_t[]){y, n}), 0);
    assert_int_equal(kit_run1(&kit, "half_warp", 1, 32, (uint64_t[]){y}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_BARRIER);
    HAS(kit, "the others wait elsewhere");
    kit_done(&kit);
}

static void endings(void **state)
{
    struct sim_kit kit;
    int zero = 0;
    (void)state;
    load(&kit);
    uint64_t y = kit_buffer(&kit, &zero, 4);
    kit.budget = 100000;
    assert_int_equal(kit_run1(&kit, "forever", 1, 64, (uint64_t[]){y}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_TIMEOUT);
    assert_int_equal(kit_run1(&kit, "asserts", 1, 1, (uint64_t[]){2}), 0);
    assert_int_equal(kit_run1(&kit, "asserts", 1, 1, (uint64_t[]){3}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_TRAP);
    kit_done(&kit);
}

static void assertion(void **state)
{
    struct sim_kit kit;
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit,
             "extern \"C\" __device__ void __assertfail(const char *, const char *, unsigned,\n"
             "  const char *, size_t);\n"
             "#define assert(e) ((e) ? (void)0 : __assertfail(#e, __FILE__, __LINE__, \"k\", 1))\n"
             "extern \"C\" __global__ void k(int n) { printf(\"%d\\n\", n);\n"
             "  assert(threadIdx.x + n != 40 && \"too much\"); }\n", "sm_90a");
    assert_int_equal(kit_run1(&kit, "k", 1, 32, (uint64_t[]){3}), 0);
    assert_int_equal(kit_run1(&kit, "k", 1, 32, (uint64_t[]){35}), ERR_DEVICE);
    assert_int_equal(kit.fault.kind, EXEC_FAULT_ASSERT);
    HAS(kit, "threadIdx.x + n != 40");
    HAS(kit, "thread (5,0,0)");
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds),   cmocka_unit_test(unwritten), cmocka_unit_test(races),
        cmocka_unit_test(barriers), cmocka_unit_test(endings),   cmocka_unit_test(assertion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
