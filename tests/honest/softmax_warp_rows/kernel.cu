/* SPDX-License-Identifier: MIT */
/* Softmax with a warp a row, the row read from its end. */

extern "C" __global__ void softmax(const float *x, float *y, int rows, int cols)
{
  int row = blockIdx.x * 4 + threadIdx.y;
  if (row >= rows)
    return;
  const float *in = x + (long long)row * cols;
  float *out = y + (long long)row * cols;
  float peak = -3.402823466e38f, sum = 0.0f;
  for (int c = cols - 1 - threadIdx.x; c >= 0; c -= 32)
    peak = fmaxf(peak, in[c]);
  for (int step = 1; step < 32; step *= 2)
    peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, step));
  for (int c = cols - 1 - threadIdx.x; c >= 0; c -= 32)
    sum += __expf(in[c] - peak);
  for (int step = 1; step < 32; step *= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
  for (int c = threadIdx.x; c < cols; c += 32)
    out[c] = __fdividef(__expf(in[c] - peak), sum);
}
