/* SPDX-License-Identifier: MIT */
/* How fast libwarpsim executes: lane instructions a second and core, for a softmax of 64 rows with
 * all checks on, for the same sampled, and for a tiled matrix product. Times are the host's. */
#include "tests/sim_rig.h"

static const char *const softmax =
    "extern \"C\" __global__ void softmax(const float *x, float *y, int cols) {\n"
    "  __shared__ float part[32];\n"
    "  const float *row = x + (size_t)blockIdx.x * cols;\n"
    "  float top = -3e38f, sum = 0;\n"
    "  for (int i = threadIdx.x; i < cols; i += blockDim.x) top = fmaxf(top, row[i]);\n"
    "  for (int d = 16; d; d >>= 1) top = fmaxf(top, __shfl_xor_sync(~0u, top, d));\n"
    "  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = top;\n"
    "  __syncthreads();\n"
    "  for (int w = 0; w < blockDim.x / 32; w++) top = fmaxf(top, part[w]);\n"
    "  __syncthreads();\n"
    "  for (int i = threadIdx.x; i < cols; i += blockDim.x) sum += __expf(row[i] - top);\n"
    "  for (int d = 16; d; d >>= 1) sum += __shfl_xor_sync(~0u, sum, d);\n"
    "  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;\n"
    "  __syncthreads();\n"
    "  sum = 0;\n"
    "  for (int w = 0; w < blockDim.x / 32; w++) sum += part[w];\n"
    "  float *out = y + (size_t)blockIdx.x * cols;\n"
    "  for (int i = threadIdx.x; i < cols; i += blockDim.x) out[i] = __expf(row[i] - top) / sum;\n"
    "}\n";

static const char *const product =
    "#define T 32\n"
    "extern \"C\" __global__ void product(const float *a, const float *b, float *c, int n) {\n"
    "  __shared__ float as[T][T], bs[T][T];\n"
    "  int x = blockIdx.x * T + threadIdx.x, y = blockIdx.y * T + threadIdx.y;\n"
    "  float sum = 0;\n"
    "  for (int k = 0; k < n; k += T) {\n"
    "    as[threadIdx.y][threadIdx.x] = a[(size_t)y * n + k + threadIdx.x];\n"
    "    bs[threadIdx.y][threadIdx.x] = b[(size_t)(k + threadIdx.y) * n + x];\n"
    "    __syncthreads();\n"
    "    for (int i = 0; i < T; i++) sum += as[threadIdx.y][i] * bs[i][threadIdx.x];\n"
    "    __syncthreads();\n"
    "  }\n"
    "  c[(size_t)y * n + x] = sum;\n"
    "}\n";

static void report(const struct rig *rig, const char *name, unsigned threads)
{
    struct warpsim_counters c;
    RIG_CHECK(rig->warpsim_counters(&c) == 0);
    printf("%-24s %8.1f M lane instructions/s/core  (%.2f s, modelled %.1f us, bound by %s)\n",
           name, c.host_lane_insts / c.host_seconds / threads * 1e-6, c.host_seconds,
           c.time_ns * 1e-3, rig->warpsim_bound_name(c.bound));
}

int main(void)
{
    struct rig rig;
    int cols = 8192, n = 512;
    unsigned threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    rig_open(&rig, "h200", NULL);
    CUfunction f = rig_function(&rig, softmax, "softmax");
    CUdeviceptr x = rig_floats(&rig, 512u * 8192), y = rig_alloc(&rig, 4u * 512 * 8192);
    rig_time(&rig, f, 512, 256, 0, (void *[]){&x, &y, &cols});
    report(&rig, "softmax", threads);
    rig.warpsim_sample_blocks(64);
    rig_time(&rig, f, 512, 256, 0, (void *[]){&x, &y, &cols});
    report(&rig, "softmax, sampled", threads);
    rig.warpsim_sample_blocks(0);
    f = rig_function(&rig, product, "product");
    const unsigned grid[3] = {16, 16, 1}, block[3] = {32, 32, 1};
    y = rig_alloc(&rig, 4u * 512 * 512);
    rig_time3(&rig, f, grid, block, 0, (void *[]){&x, &x, &y, &n});
    report(&rig, "tiled product", threads);
    return 0;
}
