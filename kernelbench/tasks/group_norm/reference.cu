/* SPDX-License-Identifier: MIT */
/* y[s, g, c, :] = (x - mean) / sqrt(variance + eps) * weight[g, c] + bias[g, c], mean and variance over a group g of
   channels of a sample s, in double, one block a group.
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

extern "C" __global__ void group_norm_reference(const float *x, const float *weight, const float *bias, float eps, float *y,
                                                long long groups, long long channels, long long hw)
{
  const long long cols = channels * hw, first = blockIdx.x % groups * channels;
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
    y[blockIdx.x * cols + c] = (float)(((double)in[c] - mean) * scale * (double)weight[first + c / hw] + (double)bias[first + c / hw]);
}
