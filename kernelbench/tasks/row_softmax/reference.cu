/* SPDX-License-Identifier: MIT */
/* op 1: y[r, :] = exp(x[r, :] - max) / sum(exp(x[r, :] - max)); op 2: its logarithm. In double, one block a row. */

__device__ double block_reduce(double v, bool want_max)
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

extern "C" __global__ void row_softmax_reference(const float *x, float *y, long long cols, int op)
{
  const float *in = x + blockIdx.x * cols;
  float *out = y + blockIdx.x * cols;

  double peak = -1e300;
  for (long long c = threadIdx.x; c < cols; c += 256)
    peak = fmax(peak, (double)in[c]);
  peak = block_reduce(peak, true);

  double sum = 0;
  for (long long c = threadIdx.x; c < cols; c += 256)
    sum += exp((double)in[c] - peak);
  sum = block_reduce(sum, false);

  for (long long c = threadIdx.x; c < cols; c += 256)
    out[c] = (float)(op == 1 ? exp((double)in[c] - peak) / sum : (double)in[c] - peak - log(sum));
}
