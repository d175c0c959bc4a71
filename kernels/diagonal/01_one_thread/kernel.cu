/* SPDX-License-Identifier: MIT */
/* Row scaling 1: one thread an element, coalesced. The grid's y is the row, so nothing is divided. */

extern "C" __global__ void __launch_bounds__(BLOCK)
diagonal(const float *__restrict__ d, const float *__restrict__ b, float *__restrict__ y, long long rows, long long cols)
{
  long long c = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (c >= cols)
    return;
  for (long long r = blockIdx.y; r < rows; r += gridDim.y)
    y[r * cols + c] = d[r] * b[r * cols + c];
}
