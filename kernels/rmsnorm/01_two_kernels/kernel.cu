/* SPDX-License-Identifier: MIT */
/* RMSNorm 1: what one writes first. One thread a row sums the squares; a second kernel runs one thread an output,
   coalesced.
   Loses: a row is walked by a single thread, neighbouring lanes read a whole row apart, only `rows` threads are alive in
   the first kernel, and x is read twice, two bytes at a time. */
#include <cuda_bf16.h>

extern "C" __global__ void row_norm(const __nv_bfloat16 *x, float eps, float *norm, int rows, int cols)
{
  int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows)
    return;
  const __nv_bfloat16 *in = x + (long long)row * cols;
  float sum = 0.0f;
  for (int c = 0; c < cols; c++) {
    float v = __bfloat162float(in[c]);
    sum += v * v;
  }
  norm[row] = rsqrtf(sum / cols + eps);
}

extern "C" __global__ void scale(const __nv_bfloat16 *x, const __nv_bfloat16 *weight, const float *norm, __nv_bfloat16 *y,
                                 long long count, int cols)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  long long row = i / cols;
  int c = (int)(i - row * cols);
  y[i] = __float2bfloat16(__bfloat162float(x[i]) * norm[row] * __bfloat162float(weight[c]));
}
