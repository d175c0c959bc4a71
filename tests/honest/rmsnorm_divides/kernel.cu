/* SPDX-License-Identifier: MIT */
/* RMS normalisation that divides by the root, in contiguous chunks a thread, weights first. */
#include <cuda_bf16.h>

#define BLOCK 256

template <class T> static __device__ T over_block(T v)
{
  __shared__ T cell[BLOCK / 32];
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  __syncthreads();
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  v = 0;
  for (int w = 0; w < BLOCK / 32; w++)
    v += cell[w];
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
rmsnorm(const __nv_bfloat16 *x, const __nv_bfloat16 *weight, float eps, __nv_bfloat16 *y, int cols)
{
  const long long row = (long long)blockIdx.x * cols;
  int each = (cols + BLOCK - 1) / BLOCK, from = min((int)threadIdx.x * each, cols), to = min(from + each, cols);
  float sum = 0.0f;
  for (int c = to - 1; c >= from; c--)
    sum = fmaf(__bfloat162float(x[row + c]), __bfloat162float(x[row + c]), sum);
  float root = sqrtf(over_block(sum) / cols + eps);
  for (int c = from; c < to; c++)
    y[row + c] = __float2bfloat16(__bfloat162float(weight[c]) * (__bfloat162float(x[row + c]) / root));
}
