/* SPDX-License-Identifier: MIT */
/* A depthwise convolution, then a pointwise one: mid[n, c, o, q] = sum over a, b of depthwise[c, a, b] *
   x[n, c, o*SH - PH + a*DH, q*SW - PW + b*DW], zero outside of x; y[n, m] = sum over c of pointwise[m, c] * mid[n, c].
   All in double, one thread an output. Simple and slow on purpose. */

extern "C" __global__ void depthwise_reference(const float *x, const float *depthwise, double *mid, long long count)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const int q = i % OW, o = i / OW % OH;
  const long long plane = i / OW / OH;
  const float *in = x + plane * H * W, *taps = depthwise + plane % C * KH * KW;
  double sum = 0;
  for (int a = 0; a < KH; a++)
    for (int b = 0; b < KW; b++) {
      int row = o * SH - PH + a * DH, col = q * SW - PW + b * DW;
      if (row >= 0 && row < H && col >= 0 && col < W)
        sum += (double)taps[a * KW + b] * in[(long long)row * W + col];
    }
  mid[i] = sum;
}

extern "C" __global__ void pointwise_reference(const double *mid, const float *pointwise, float *y, long long count)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const long long area = (long long)OH * OW, image = i / area / M;
  const double *in = mid + image * C * area + i % area;
  const float *row = pointwise + i / area % M * C;
  double sum = 0;
  for (int c = 0; c < C; c++)
    sum += row[c] * in[c * area];
  y[i] = (float)sum;
}
