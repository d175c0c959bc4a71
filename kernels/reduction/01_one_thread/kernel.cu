/* SPDX-License-Identifier: MIT */
/* Column sum 1: what one writes first. One thread a column walks down the rows; neighbouring threads read neighbouring
   columns, so every load is coalesced.
   Loses: only `cols` threads are alive, a handful of warps a multiprocessor, each a chain of dependent additions. */

extern "C" __global__ void column_sum(const float *x, float *y, long long rows, int cols)
{
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= cols)
    return;
  float sum = 0.0f;
  for (long long r = 0; r < rows; r++)
    sum += x[r * cols + c];
  y[c] = sum;
}
