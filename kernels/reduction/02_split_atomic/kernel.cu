/* SPDX-License-Identifier: MIT */
/* Column sum 2: the rows are split over SPLIT blocks, which add their part to y with an atomic.
   One thread a column left the device almost empty. Splitting the long dimension makes SPLIT times as many threads; the
   price is a cleared output and cols * SPLIT atomic additions, few beside the loads.
   Loses: 4-byte loads, each waiting for the last; the order of the additions, and so the last bits, change from run to run. */

extern "C" __global__ void __launch_bounds__(BLOCK) column_sum(const float *__restrict__ x, float *__restrict__ y,
                                                               long long rows, int cols)
{
  int c = blockIdx.x * BLOCK + threadIdx.x;
  if (c >= cols)
    return;
  long long part = (rows + SPLIT - 1) / SPLIT;
  long long from = blockIdx.y * part, to = min(from + part, rows);
  if (from >= to)
    return;
  float sum = 0.0f;
  for (long long r = from; r < to; r++)
    sum += x[r * cols + c];
  atomicAdd(&y[c], sum);
}
