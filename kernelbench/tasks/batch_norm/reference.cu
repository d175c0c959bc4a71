/* SPDX-License-Identifier: MIT */
/* y[s, c, :] = (x - mean) / sqrt(variance + eps) * weight[c] + bias[c], mean and variance of the channel over the batch, in
   double, one block a channel. The running statistics move towards those of the batch (the unbiased variance), and the
   batch is counted. */

__device__ double block_sum(double v)
{
  __shared__ double cell[1024];
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = 512; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  double result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void batch_norm_reference(const float *x, const float *weight, const float *bias, float *running_mean,
                                                float *running_var, long long *batches, float eps, float momentum, float *y,
                                                long long samples, long long hw)
{
  const long long c = blockIdx.x, channels = gridDim.x, count = samples * hw;
  double sum = 0;
  for (long long s = 0; s < samples; s++)
    for (long long i = threadIdx.x; i < hw; i += 1024)
      sum += (double)x[(s * channels + c) * hw + i];
  double mean = block_sum(sum) / (double)count;

  double squares = 0;
  for (long long s = 0; s < samples; s++)
    for (long long i = threadIdx.x; i < hw; i += 1024) {
      double d = (double)x[(s * channels + c) * hw + i] - mean;
      squares += d * d;
    }
  squares = block_sum(squares);
  double scale = 1.0 / sqrt(squares / (double)count + (double)eps);

  for (long long s = 0; s < samples; s++)
    for (long long i = threadIdx.x; i < hw; i += 1024) {
      long long at = (s * channels + c) * hw + i;
      y[at] = (float)(((double)x[at] - mean) * scale * (double)weight[c] + (double)bias[c]);
    }
  if (threadIdx.x == 0) {
    double m = (double)momentum;
    running_mean[c] = (float)((1.0 - m) * (double)running_mean[c] + m * mean);
    running_var[c] = (float)((1.0 - m) * (double)running_var[c] + m * squares / (double)(count - 1));
    if (c == 0)
      *batches += 1;
  }
}
