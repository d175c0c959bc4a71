/* SPDX-License-Identifier: MIT */
/* Column sum 5: as many small blocks as the device likes, and atomics.
   One exact wave ends unevenly, and tickets and fences cost a tail. Here the rows are split over SPLIT small blocks, far
   more than fit at once: the hardware deals them out as others finish. Each thread sums one column of its part in the
   simplest loop there is, which the compiler unrolls, and adds it to y.
   Loses: cols * SPLIT atomics, and 4-byte loads, which need many warps; again not the same to the last bit. */

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
