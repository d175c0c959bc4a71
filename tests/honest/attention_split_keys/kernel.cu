/* SPDX-License-Identifier: MIT */
/* Attention with a warp for a query and the keys split in two halves, merged by their maxima and sums. */
#include <cuda_fp16.h>

extern "C" __global__ void __launch_bounds__(128)
attention(const __half *q, const __half *k, const __half *v, __half *o, int s, int d)
{
  __shared__ float peaks[4], sums[4], outs[4][128];
  int lane = threadIdx.x, query = blockIdx.x * 2 + threadIdx.y / 2, half = threadIdx.y % 2;
  const long long head = (long long)blockIdx.y * s * d;
  int from = half ? (s + 1) / 2 : 0, to = half ? s : (s + 1) / 2;
  float scale = rsqrtf((float)d), mine[4], out[4] = {0, 0, 0, 0}, peak = -1.0e38f, sum = 0.0f;
  bool here = query < s;
  for (int i = 0; i < 4; i++) {
    int c = i * 32 + lane;
    mine[i] = here && c < d ? __half2float(q[head + (long long)query * d + c]) * scale : 0.0f;
  }
  for (int key = from; here && key < to; key++) {
    float dot = 0.0f;
    for (int i = 0; i < 4; i++)
      if (i * 32 + lane < d)
        dot += mine[i] * __half2float(k[head + (long long)key * d + i * 32 + lane]);
    for (int step = 16; step > 0; step /= 2)
      dot += __shfl_xor_sync(0xffffffffu, dot, step);
    float top = fmaxf(peak, dot), shrink = expf(peak - top), p = expf(dot - top);
    sum = sum * shrink + p;
    for (int i = 0; i < 4; i++)
      if (i * 32 + lane < d)
        out[i] = out[i] * shrink + p * __half2float(v[head + (long long)key * d + i * 32 + lane]);
    peak = top;
  }
  peaks[threadIdx.y] = peak, sums[threadIdx.y] = sum;
  for (int i = 0; i < 4; i++)
    outs[threadIdx.y][i * 32 + lane] = out[i];
  __syncthreads();
  if (half || !here)
    return;
  float other_peak = peaks[threadIdx.y + 1], top = fmaxf(peak, other_peak);
  float left = expf(peak - top), right = expf(other_peak - top);
  float total = sum * left + sums[threadIdx.y + 1] * right;
  for (int i = 0; i < 4; i++)
    if (i * 32 + lane < d)
      o[head + (long long)query * d + i * 32 + lane] =
          __float2half((out[i] * left + outs[threadIdx.y + 1][i * 32 + lane] * right) / total);
}
