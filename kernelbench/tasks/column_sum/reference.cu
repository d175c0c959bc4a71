/* SPDX-License-Identifier: MIT */
/* y[c] = sum over r of x[r, c], in double, one block a column. Simple and slow on purpose. */

extern "C" __global__ void column_sum_reference(const float *x, float *y, long long rows, long long cols)
{
  __shared__ double cell[256];
  double sum = 0;
  for (long long r = threadIdx.x; r < rows; r += 256)
    sum += (double)x[r * cols + blockIdx.x];
  cell[threadIdx.x] = sum;
  __syncthreads();
  for (int step = 128; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0)
    y[blockIdx.x] = (float)cell[0];
}
