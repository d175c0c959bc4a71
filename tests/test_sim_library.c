/* SPDX-License-Identifier: MIT */
/* Code that isn't ours to shape: block algorithms of CUB, and cooperative groups up to the barrier of
 * a whole grid, whose blocks take turns. */
#include "tests/sim_kit.h"

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

static uint32_t hash(uint32_t i)
{
    i = i * 2654435761u ^ 0x9e3779b9u;
    i ^= i >> 15;
    i *= 0x85ebca6bu;
    return i ^ i >> 13;
}

static const char cub_source[] =
    "#include <cub/block/block_reduce.cuh>\n#include <cub/block/block_scan.cuh>\n"
    "#include <cub/block/block_radix_sort.cuh>\n#include <cub/block/block_load.cuh>\n"
    "#define T threadIdx.x\n"
    "extern \"C\" __global__ void reduce(const int *x, int *y) {\n"
    "  typedef cub::BlockReduce<int, 128> R; __shared__ typename R::TempStorage t;\n"
    "  int v = R(t).Sum(x[blockIdx.x * 128 + T]); if (T == 0) y[blockIdx.x] = v; }\n"
    "extern \"C\" __global__ void scan(const int *x, int *y) {\n"
    "  typedef cub::BlockScan<int, 128> S; __shared__ typename S::TempStorage t; int v[4];\n"
    "  for (int k = 0; k < 4; k++) v[k] = x[T * 4 + k]; S(t).InclusiveSum(v, v);\n"
    "  for (int k = 0; k < 4; k++) y[T * 4 + k] = v[k]; }\n"
    "extern \"C\" __global__ void sort(const unsigned *x, unsigned *y) {\n"
    "  typedef cub::BlockRadixSort<unsigned, 128, 4> S;\n"
    "  typedef cub::BlockLoad<unsigned, 128, 4, cub::BLOCK_LOAD_TRANSPOSE> L;\n"
    "  __shared__ union { typename S::TempStorage s; typename L::TempStorage l; } t; unsigned v[4];\n"
    "  L(t.l).Load(x, v); __syncthreads(); S(t.s).Sort(v);\n"
    "  for (int k = 0; k < 4; k++) y[T * 4 + k] = v[k]; }\n";

static int order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void cub(void **state)
{
    struct sim_kit kit;
    uint32_t x[512], y[512];
    const char *const option[] = {"-default-device"};
    (void)state;
    for (uint32_t i = 0; i < 512; i++)
        x[i] = hash(i);
    char *ptx = kit_compile(cub_source, "sm_90a", option, 1);
    assert_non_null(ptx);
    kit_init(&kit);
    assert_int_equal(kit_load(&kit, ptx), 0);
    free(ptx);
    uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(y));
    RUN(&kit, "reduce", 4, 128, ((uint64_t[]){dx, dy}));
    kit_read(&kit, dy, y, 16);
    for (uint32_t b = 0; b < 4; b++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < 128; i++)
            sum += x[b * 128 + i];
        assert_int_equal(y[b], sum);
    }
    RUN(&kit, "scan", 1, 128, ((uint64_t[]){dx, dy}));
    kit_read(&kit, dy, y, sizeof(y));
    for (uint32_t i = 0, sum = 0; i < 512; i++)
        assert_int_equal(y[i], sum += x[i]);
    RUN(&kit, "sort", 1, 128, ((uint64_t[]){dx, dy}));
    kit_read(&kit, dy, y, sizeof(y));
    qsort(x, 512, 4, order);
    assert_memory_equal(x, y, sizeof(x));
    kit_done(&kit);
}

static const char groups_source[] =
    "#include <cooperative_groups.h>\n#include <cooperative_groups/reduce.h>\n"
    "namespace cg = cooperative_groups;\n"
    "extern \"C\" __global__ void tiles(const int *x, int *y) {\n"
    "  cg::thread_block b = cg::this_thread_block(); auto t = cg::tiled_partition<16>(b);\n"
    "  int i = b.thread_rank(), r = cg::reduce(t, x[i], cg::plus<int>()), n = 0, s = 0;\n"
    "  if (x[i] % 3) { auto c = cg::coalesced_threads(); n = c.size(); s = c.shfl(i, 0); }\n"
    "  y[4 * i] = r; y[4 * i + 1] = t.shfl_down(i, 2); y[4 * i + 2] = n; y[4 * i + 3] = s; }\n"
    "extern \"C\" __global__ void grid(int *a) {\n"
    "  cg::grid_group g = cg::this_grid(); int i = g.thread_rank(), n = g.size();\n"
    "  for (int r = 0; r < 3; r++) { int v = a[(i + 33) % n]; g.sync(); a[i] = v + 1; g.sync(); } }\n";

static void cooperative_tiles(void **state)
{
    struct sim_kit kit;
    int x[64], y[64][4];
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, groups_source, "sm_90a");
    for (int i = 0; i < 64; i++)
        x[i] = (int)(hash((uint32_t)i) % 1000);
    uint64_t dx = kit_buffer(&kit, x, sizeof(x)), dy = kit_buffer(&kit, NULL, sizeof(y));
    RUN(&kit, "tiles", 1, 64, ((uint64_t[]){dx, dy}));
    kit_read(&kit, dy, y, sizeof(y));
    for (int i = 0; i < 64; i++) {
        int sum = 0, n = 0, first = -1;
        for (int k = 0; k < 32; k++) {
            int j = (i & ~31) + k;
            sum += j / 16 == i / 16 ? x[j] : 0;
            n += x[j] % 3 != 0;
            first = first < 0 && x[j] % 3 ? j : first;
        }
        assert_int_equal(y[i][0], sum);
        assert_int_equal(y[i][1], i % 16 < 14 ? i + 2 : i);
        assert_int_equal(y[i][2], x[i] % 3 ? n : 0);
        assert_int_equal(y[i][3], x[i] % 3 ? first : 0);
    }
    kit_done(&kit);
}

/* Blocks of a grid that waits for itself, one step after the other. */
static void grid_barrier(void **state)
{
    enum { BLOCKS = 5, THREADS = 64, N = BLOCKS * THREADS };
    struct sim_kit kit;
    struct exec_program *program;
    struct exec_program_info info;
    struct exec_scratch *x[BLOCKS];
    struct exec_counts counts = {0};
    int a[N], got[N], left = BLOCKS, rc;
    bool done[BLOCKS] = {false};
    uint64_t zero = 0;
    (void)state;
    kit_init(&kit);
    kit_cuda(&kit, groups_source, "sm_90a");
    for (int i = 0; i < N; i++)
        a[i] = i;
    uint64_t param = kit_buffer(&kit, a, sizeof(a));
    assert_int_equal(
        exec_program_new(kit.module, ptx_module_kernel(kit.module, "grid"), &program, &kit.err), 0);
    exec_program_info(program, &info);
    assert_true(info.uses_grid_sync);
    struct exec_launch l = {.program = program, .mem = kit.mem, .grid = {BLOCKS, 1, 1},
                            .block = {THREADS, 1, 1}, .params = (uint8_t *)&param,
                            .checks = kit.checks, .sm_count = 132,
                            .grid_workspace = kit_buffer(&kit, &zero, 8)};
    for (uint32_t b = 0; b < BLOCKS; b++) {
        exec_scratch_new(&x[b]);
        assert_int_equal(exec_scratch_prepare(x[b], &l), 0);
        exec_block_start(x[b], (const uint32_t[3]){b, 0, 0});
    }
    for (int turn = 0; left; turn++) {
        assert_true(turn < 10000);
        for (int b = 0; b < BLOCKS; b++)
            if (!done[b]) {
                rc = exec_block_step(x[b], 1000, &counts, &kit.fault);
                if (rc < 0)
                    fail_msg("%s", kit.fault.text);
                done[b] = rc == 0;
                left -= rc == 0;
            }
    }
    kit_read(&kit, param, got, sizeof(got));
    for (int i = 0; i < N; i++)
        assert_int_equal(got[i], (i + 99) % N + 3);
    assert_int_equal(counts.blocks, BLOCKS);
    for (int b = 0; b < BLOCKS; b++)
        exec_scratch_free(x[b]);
    exec_program_free(program);
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cub),
        cmocka_unit_test(cooperative_tiles),
        cmocka_unit_test(grid_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
