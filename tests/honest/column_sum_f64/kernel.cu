/* SPDX-License-Identifier: MIT */
/* Column sums in double precision. */

extern "C" __global__ void column_sum(const float *x, float *y, int rows, int cols)
{
  int c = blockIdx.x * 64 + threadIdx.x;
  if (c >= cols)
    return;
  double sum = 0;
  for (long long r = 0; r < rows; r++)
    sum += x[r * cols + c];
  y[c] = (float)sum;
}
