/* SPDX-License-Identifier: MIT */
/* y[r, :] = x[r, :] / norm(x[r, :]), in double. op 1: the norm is the mean of |x|, op 2: the square root of the sum of
   squares. One row of everything is the Frobenius norm. Long rows have several blocks. */

extern "C" __global__ void row_parts(const float *x, double *partial, long long cols, int op)
{
  __shared__ double cell[256];
  const float *in = x + blockIdx.x * cols;
  double sum = 0;
  for (long long c = blockIdx.y * 256 + threadIdx.x; c < cols; c += gridDim.y * 256LL) {
    double v = (double)in[c];
    sum += op == 1 ? fabs(v) : v * v;
  }
  cell[threadIdx.x] = sum;
  __syncthreads();
  for (int step = 128; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0)
    partial[blockIdx.x * gridDim.y + blockIdx.y] = cell[0];
}

extern "C" __global__ void row_divide(const float *x, const double *partial, float *y, long long cols, int op)
{
  double sum = 0;
  for (int p = 0; p < gridDim.y; p++)
    sum += partial[blockIdx.x * gridDim.y + p];
  double norm = op == 1 ? sum / (double)cols : sqrt(sum);
  for (long long c = blockIdx.y * 256 + threadIdx.x; c < cols; c += gridDim.y * 256LL)
    y[blockIdx.x * cols + c] = (float)((double)x[blockIdx.x * cols + c] / norm);
}
