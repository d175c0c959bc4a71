/* SPDX-License-Identifier: MIT */
/* RMSNorm 2: one block a row, in one kernel.
   Two kernels walked rows by single threads and paid for a second launch and a trip of the norms through memory. Here
   the block's threads share a row, loads are coalesced, and a shared-memory tree adds the squares.
   Loses: two bytes a load, a barrier for each level of the tree, and x read twice. */
#include <cuda_bf16.h>

extern "C" __global__ void __launch_bounds__(BLOCK)
rmsnorm(const __nv_bfloat16 *x, const __nv_bfloat16 *weight, float eps, __nv_bfloat16 *y, int cols)
{
  __shared__ float cell[BLOCK];
  const __nv_bfloat16 *in = x + (long long)blockIdx.x * cols;
  __nv_bfloat16 *out = y + (long long)blockIdx.x * cols;

  float sum = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK) {
    float v = __bfloat162float(in[c]);
    sum += v * v;
  }
  cell[threadIdx.x] = sum;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  float norm = rsqrtf(cell[0] / cols + eps);

  for (int c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = __float2bfloat16(__bfloat162float(in[c]) * norm * __bfloat162float(weight[c]));
}
