/* SPDX-License-Identifier: MIT */
/* Depthwise convolution: y[n, c, o, q] = sum over a, b of weight[c, a, b] * x[n, c, o*SH - PH + a*DH, q*SW - PW + b*DW],
   zero outside of x, in double, one thread an output. Simple and slow on purpose. */

extern "C" __global__ void depthwise_reference(const float *x, const float *weight, float *y, long long count)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const int q = i % OW, o = i / OW % OH;
  const long long plane = i / OW / OH;
  const float *in = x + plane * H * W, *taps = weight + plane % C * KH * KW;
  double sum = 0;
  for (int a = 0; a < KH; a++)
    for (int b = 0; b < KW; b++) {
      int row = o * SH - PH + a * DH, col = q * SW - PW + b * DW;
      if (row >= 0 && row < H && col >= 0 && col < W)
        sum += (double)taps[a * KW + b] * in[(long long)row * W + col];
    }
  y[i] = (float)sum;
}
