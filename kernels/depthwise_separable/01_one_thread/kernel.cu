/* SPDX-License-Identifier: MIT */
/* Depthwise-separable convolution 1: what one writes first. Two kernels, one thread an output each: the depthwise result
   goes to scratch, then every output walks over the channels at its place. Neighbouring threads have neighbouring places.
   Loses: the scratch is written once and read M times, from the caches at best; no tensor cores. */

extern "C" __global__ void __launch_bounds__(BLOCK) depthwise(const float *__restrict__ x, const float *__restrict__ weight,
                                                              float *__restrict__ mid, long long count)
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
  mid[i] = sum;
}

extern "C" __global__ void __launch_bounds__(BLOCK) pointwise(const float *__restrict__ mid, const float *__restrict__ weight,
                                                              float *__restrict__ y, long long count)
{
  const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (i >= count)
    return;
  const long long area = (long long)OH * OW, image = i / area / M;
  const float *in = mid + image * C * area + i % area, *row = weight + i / area % M * C;
  float sum = 0.0f;
  for (int c = 0; c < C; c++)
    sum = fmaf(row[c], in[c * area], sum);
  y[i] = sum;
}
