/* SPDX-License-Identifier: MIT */
/* Modelled times of whole kernels: the same whatever the host's threads, near the same from a
 * sample of blocks, in the order that any GPU would give, and within reach of what an H200
 * measured. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim_rig.h"

static const char *const source =
    "#include <cuda_fp16.h>\n"
    "#define K extern \"C\" __global__ void\n"
    "#define AT (blockIdx.x * blockDim.x + threadIdx.x)\n"
    "K copy1(const float *x, float *y, int n) { int i = AT; if (i < n) y[i] = x[i]; }\n"
    "K copy4(const float4 *x, float4 *y, int n) { int i = AT; if (i < n) y[i] = x[i]; }\n"
    "K strided(const float *x, float *y, int n) {\n"
    "  int i = AT; int j = (i % 8192) * (n / 8192) + i / 8192;\n"
    "  if (i < n) y[j] = x[j]; }\n"
    "K empty() { }\n"
    "K read(const float4 *x, float *y, int n) { float s = 0;\n"
    "  for (int i = AT; i < n; i += gridDim.x * blockDim.x) {\n"
    "    float4 v = x[i]; s += v.x + v.y + v.z + v.w; }\n"
    "  if (s == 12345.0f) *y = s; }\n"
    "K smem(float *y, int stride) { __shared__ float t[32 * 33];\n"
    "  for (int i = threadIdx.x; i < 32 * 33; i += blockDim.x) t[i] = i;\n"
    "  __syncthreads(); float s = 0; int l = threadIdx.x % 32;\n"
    "  for (int i = 0; i < 256; i++) s += t[l * stride + i % 32];\n"
    "  y[AT] = s; }\n"
    "K chase(const int *x, int *y, int n) { int i = threadIdx.x % 32;\n"
    "  for (int k = 0; k < n; k++) i = x[i]; y[AT] = i; }\n"
    "K math(float *y, int n) { float a = threadIdx.x, b = 1, c = 2, d = 3;\n"
    "  for (int i = 0; i < n; i++) { a = a * b + c; b = b * c + d; c = c * d + a; d = d * a + b; "
    "}\n"
    "  y[AT] = a + b + c + d; }\n"
    "K atoms(unsigned *y, int spread) { atomicAdd(&y[AT % spread], 1u); }\n";

static const int N = 1 << 22;

struct kernels {
    struct rig rig;
    CUmodule module;
    CUdeviceptr x, y;
};

static void open_kernels(struct kernels *k, const char *threads)
{
    rig_open(&k->rig, "h200", threads);
    k->module = rig_module(&k->rig, source);
    k->x = rig_floats(&k->rig, N);
    k->y = rig_alloc(&k->rig, 4u * N);
    RIG_OK(&k->rig, cuMemsetD32(k->y, 0, N));
}

static double run_shared(struct kernels *k, const char *name, unsigned grid, unsigned block,
                         unsigned shared, void **params)
{
    CUfunction f;
    RIG_OK(&k->rig, cuModuleGetFunction(&f, k->module, name));
    if (shared > 48 << 10)
        RIG_OK(&k->rig,
               cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)shared));
    return rig_time(&k->rig, f, grid, block, shared, params);
}

static double run(struct kernels *k, const char *name, unsigned grid, unsigned block, void **params)
{
    return run_shared(k, name, grid, block, 0, params);
}

static enum warpsim_bound bound_of(struct kernels *k)
{
    struct warpsim_counters c;
    RIG_CHECK(k->rig.warpsim_counters(&c) == 0);
    return c.bound;
}

#define EXPECT(x)                                                                                  \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static void orderings_body(void *arg)
{
    struct kernels k;
    int n = N, n4 = N / 4, failures = 0;
    (void)arg;
    open_kernels(&k, NULL);
    k.rig.warpsim_sample_blocks(64);
    void *copy[] = {&k.x, &k.y, &n}, *copy4[] = {&k.x, &k.y, &n4};
    double one = run(&k, "copy1", N / 256, 256, copy);
    double four = run(&k, "copy4", N / 4 / 256, 256, copy4);
    double bad = run(&k, "strided", N / 256, 256, copy);
    double small = run(&k, "copy1", N / 32, 32, copy);
    EXPECT(four < one && one < 2 * four);
    EXPECT(bad > 2 * one);
    EXPECT(small > one); /* half the resident warps, eight times the blocks */
    EXPECT(run_shared(&k, "copy1", N / 128, 128, 200 << 10, copy) >
           1.5 * one); /* one block an SM */

    double empty = run(&k, "empty", 1, 32, NULL);
    EXPECT(empty > 1 && empty < 5 && bound_of(&k) == WARPSIM_BOUND_LAUNCH);

    int free_of_conflicts = 33, conflicts = 32;
    double apart = run(&k, "smem", 1056, 256, (void *[]){&k.y, &free_of_conflicts});
    double together = run(&k, "smem", 1056, 256, (void *[]){&k.y, &conflicts});
    EXPECT(together > 4 * apart && bound_of(&k) == WARPSIM_BOUND_SHARED);

    int steps = 1000;
    double few = run(&k, "math", 132, 128, (void *[]){&k.y, &steps});
    EXPECT(bound_of(&k) == WARPSIM_BOUND_LATENCY);
    double many = run(&k, "math", 132 * 4, 512, (void *[]){&k.y, &steps});
    EXPECT(bound_of(&k) == WARPSIM_BOUND_FMA || bound_of(&k) == WARPSIM_BOUND_ISSUE);
    EXPECT(many > 2 * few && many < 12 * few); /* 16 times the work */

    int apart_atoms = 1 << 20, one_atom = 1;
    double spread = run(&k, "atoms", 4096, 256, (void *[]){&k.y, &apart_atoms});
    double hot = run(&k, "atoms", 4096, 256, (void *[]){&k.y, &one_atom});
    EXPECT(hot > spread);
    if (failures) {
        fprintf(stderr,
                "copy %.1f vector %.1f strided %.1f small blocks %.1f empty %.1f conflicts "
                "%.1f against %.1f math %.1f, %.1f atomics %.1f against %.1f\n",
                one, four, bad, small, empty, together, apart, few, many, hot, spread);
        _exit(1);
    }
}

static void orderings(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(orderings_body, NULL), 0);
}

/* Loads that depend on each other cost the latency of where the data is. */
static void latency_body(void *arg)
{
    struct kernels k;
    int steps = 200, next[32];
    (void)arg;
    open_kernels(&k, NULL);
    for (int i = 0; i < 32; i++)
        next[i] = (i + 8) % 32;
    RIG_OK(&k.rig, cuMemcpyHtoD(k.x, next, sizeof(next)));
    double us = run(&k, "chase", 1, 32, (void *[]){&k.x, &k.y, &steps});
    /* 200 loads that hit L1 take some 40 cycles each */
    RIG_CHECK(us > 200 * 25 / 1980.0 && us < 200 * 80 / 1980.0 + 5);
    RIG_CHECK(bound_of(&k) == WARPSIM_BOUND_LATENCY);
}

static void latency(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(latency_body, NULL), 0);
}

/* What measurements on an H200 say (an untimed cold cache), with room for the model's error. */
static void measured_body(void *arg)
{
    struct kernels k;
    (void)arg;
    open_kernels(&k, NULL);
    k.rig.warpsim_sample_blocks(64);
    int n = 5000000 / 4; /* 20 MB in float4 */
    CUdeviceptr big = rig_alloc(&k.rig, 20000000), wide = rig_alloc(&k.rig, 128 << 20),
                to = rig_alloc(&k.rig, 128 << 20);
    double cold = run(&k, "read", 132 * 8, 256, (void *[]){&big, &k.y, &n});
    int vectors = (128 << 20) / 16;
    double copy = run(&k, "copy4", (unsigned)vectors / 256, 256, (void *[]){&wide, &to, &vectors});
    double rate = 2.0 * (128 << 20) / copy * 1e-6; /* TB/s */
    fprintf(stderr,
            "20 MB read cold in %.1f us (measured 11.0), 128 MiB copied at %.2f TB/s (3.97)\n",
            cold, rate);
    RIG_CHECK(cold > 8 && cold < 14);
    RIG_CHECK(rate > 3.4 && rate < 4.3);
}

static void measured(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(measured_body, NULL), 0);
}

/* Prints figures for comparison between processes. */
static void figures_body(void *arg)
{
    int n = N, n4 = N / 4, stride = 32, out = ((int *)arg)[1];
    unsigned samples = (unsigned)((int *)arg)[2];
    char threads[16];
    struct kernels k;
    struct warpsim_counters c;
    snprintf(threads, sizeof(threads), "%d", ((int *)arg)[0]);
    open_kernels(&k, threads);
    k.rig.warpsim_sample_blocks(samples);
    double t[8] = {0};
    t[0] = run(&k, "copy1", N / 256, 256, (void *[]){&k.x, &k.y, &n});
    t[1] = run(&k, "copy4", N / 4 / 256, 256, (void *[]){&k.x, &k.y, &n4});
    t[2] = run(&k, "strided", N / 256, 256, (void *[]){&k.x, &k.y, &n});
    t[3] = run(&k, "smem", 1056, 256, (void *[]){&k.y, &stride});
    RIG_CHECK(k.rig.warpsim_counters(&c) == 0);
    t[4] = c.warp_insts;
    t[5] = c.shared_wavefronts;
    t[6] = c.dram_read_bytes + c.dram_write_bytes;
    RIG_CHECK(write(out, t, sizeof(t)) == sizeof(t));
}

static void figures(int threads, int samples, double ret[8])
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(rig_in_child(figures_body, (int[]){threads, fds[1], samples}), 0);
    assert_int_equal(read(fds[0], ret, 8 * sizeof(double)), 8 * sizeof(double));
    close(fds[0]);
    close(fds[1]);
}

static void same_on_any_host(void **state)
{
    double one[8], many[8];
    (void)state;
    for (int samples = 0; samples <= 64; samples += 64) {
        figures(1, samples, one);
        figures(7, samples, many);
        assert_memory_equal(one, many, sizeof(one));
    }
}

static void sample_is_near_the_whole(void **state)
{
    double whole[8], sample[8];
    (void)state;
    figures(2, 0, whole);
    figures(2, 64, sample);
    for (int i = 0; i < 7; i++)
        if (!(fabs(sample[i] - whole[i]) <= 0.02 * whole[i]))
            fail_msg("figure %d: %g sampled, %g whole", i, sample[i], whole[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orderings),
        cmocka_unit_test(latency),
        cmocka_unit_test(measured),
        cmocka_unit_test(same_on_any_host),
        cmocka_unit_test(sample_is_near_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
