/* SPDX-License-Identifier: MIT */
/* y = diag(d) b: row r of b times d[r], in double, one thread an element. */

extern "C" __global__ void diagonal_reference(const float *d, const float *b, float *y, long long count, long long cols)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    y[i] = (float)((double)d[i / cols] * (double)b[i]);
}
