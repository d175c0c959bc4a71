/* SPDX-License-Identifier: MIT */
/* Column sums with Kahan's compensation, a thread a column. */

extern "C" __global__ void column_sum(const float *x, float *y, int rows, int cols)
{
  int c = blockIdx.x * 64 + threadIdx.x;
  if (c >= cols)
    return;
  float sum = 0.0f, lost = 0.0f;
  for (long long r = 0; r < rows; r++) {
    float term = x[r * cols + c] - lost;
    float next = sum + term;
    lost = (next - sum) - term;
    sum = next;
  }
  y[c] = sum;
}
