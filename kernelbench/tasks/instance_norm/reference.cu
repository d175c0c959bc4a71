/* SPDX-License-Identifier: MIT */
/* y[r, :] = (x[r, :] - mean) / sqrt(variance + eps), in double, one block a row: a row is a channel of a sample.
   The variance is the biased one (divided by cols), from the centred values. */

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

extern "C" __global__ void instance_norm_reference(const float *x, float eps, float *y, long long cols)
{
  const float *in = x + blockIdx.x * cols;
  double sum = 0;
  for (long long c = threadIdx.x; c < cols; c += 256)
    sum += (double)in[c];
  double mean = block_sum(sum) / (double)cols;

  double squares = 0;
  for (long long c = threadIdx.x; c < cols; c += 256) {
    double d = (double)in[c] - mean;
    squares += d * d;
  }
  double scale = 1.0 / sqrt(block_sum(squares) / (double)cols + (double)eps);

  for (long long c = threadIdx.x; c < cols; c += 256)
    y[blockIdx.x * cols + c] = (float)(((double)in[c] - mean) * scale);
}
