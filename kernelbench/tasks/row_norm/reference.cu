/* SPDX-License-Identifier: MIT */
/* y[r, :] = x[r, :] / norm(x[r, :]), in double, one block a row. op 1: the norm is the mean of |x|, op 2: the square root
   of the sum of squares. One row of everything is the Frobenius norm. */

__device__ double block_sum(double v)
{
  __shared__ double cell[256];
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = 128; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  double result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void row_norm_reference(const float *x, float *y, long long cols, int op)
{
  const float *in = x + blockIdx.x * cols;
  float *out = y + blockIdx.x * cols;
  double sum = 0;
  for (long long c = threadIdx.x; c < cols; c += 256) {
    double v = (double)in[c];
    sum += op == 1 ? fabs(v) : v * v;
  }
  sum = block_sum(sum);
  double norm = op == 1 ? sum / (double)cols : sqrt(sum);
  for (long long c = threadIdx.x; c < cols; c += 256)
    out[c] = (float)((double)in[c] / norm);
}
