/* SPDX-License-Identifier: MIT */
/* Depthwise convolution 1: what one writes first. One thread an output walks its window; neighbouring threads have
   neighbouring outputs, so the loads of a warp lie together, and reuse is left to the caches.
   Loses: every tap is a load of x, one of the weight, and a test against the edges. */

extern "C" __global__ void __launch_bounds__(BLOCK) depthwise(const float *__restrict__ x, const float *__restrict__ weight,
                                                              float *__restrict__ y, long long count)
{
  const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (i >= count)
    return;
  const int q = i % OW, o = i / OW % OH;
  const long long plane = i / ((long long)OW * OH);
  const float *in = x + plane * H * W, *taps = weight + plane % C * KH * KW;
  float sum = 0.0f;
  for (int a = 0; a < KH; a++)
    for (int b = 0; b < KW; b++) {
      const int row = o * SH - PH + a * DH, col = q * SW - PW + b * DW;
      if (row >= 0 && row < H && col >= 0 && col < W)
        sum = fmaf(taps[a * KW + b], in[(long long)row * W + col], sum);
    }
  y[i] = sum;
}
