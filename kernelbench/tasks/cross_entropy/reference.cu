/* SPDX-License-Identifier: MIT */
/* The mean over rows of log(sum(exp(x[r, :]))) - x[r, target[r]], in double: one block a row, then one block over rows. */

static __device__ double block_reduce(double v, bool want_max)
{
  __shared__ double cell[256];
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = 128; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      double other = cell[threadIdx.x + step];
      cell[threadIdx.x] = want_max ? fmax(cell[threadIdx.x], other) : cell[threadIdx.x] + other;
    }
    __syncthreads();
  }
  double result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void cross_entropy_reference(const float *x, const long long *target, double *loss, long long cols)
{
  const float *in = x + blockIdx.x * cols;
  double peak = -1e300, sum = 0;
  for (long long c = threadIdx.x; c < cols; c += 256)
    peak = fmax(peak, (double)in[c]);
  peak = block_reduce(peak, true);
  for (long long c = threadIdx.x; c < cols; c += 256)
    sum += exp((double)in[c] - peak);
  sum = block_reduce(sum, false);
  if (threadIdx.x == 0)
    loss[blockIdx.x] = log(sum) + peak - (double)in[target[blockIdx.x]];
}

extern "C" __global__ void cross_entropy_finish(const double *loss, float *y, long long rows)
{
  double sum = 0;
  for (long long r = threadIdx.x; r < rows; r += 256)
    sum += loss[r];
  sum = block_reduce(sum, false);
  if (threadIdx.x == 0)
    y[0] = (float)(sum / (double)rows);
}
