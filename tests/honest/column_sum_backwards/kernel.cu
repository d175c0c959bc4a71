/* SPDX-License-Identifier: MIT */
/* Column sums from the last row to the first, in eight interleaved chains. */

extern "C" __global__ void column_sum(const float *x, float *y, int rows, int cols)
{
  int c = blockIdx.x * 64 + threadIdx.x;
  if (c >= cols)
    return;
  float chain[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  int r = rows - 1;
  for (; r >= 7; r -= 8)
#pragma unroll
    for (int i = 0; i < 8; i++)
      chain[i] += x[(long long)(r - i) * cols + c];
  for (; r >= 0; r--)
    chain[0] += x[(long long)r * cols + c];
  y[c] = ((chain[0] + chain[7]) + (chain[1] + chain[6])) + ((chain[2] + chain[5]) + (chain[3] + chain[4]));
}
