/* SPDX-License-Identifier: MIT */
/* Batch norm (training) 1: what one writes first. One block a channel takes mean and variance of the whole batch, moves the
   running statistics and counts the batch; a second kernel runs one thread an output. All coalesced, 4 bytes a load.
   Loses: only as many blocks as channels walk x, twice, before it is read a third time. */

static __device__ __forceinline__ double tree(double *cell, double v)
{
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = STAT_BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  double result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void __launch_bounds__(STAT_BLOCK)
channel_stats(const float *x, float *running_mean, float *running_var, long long *batches, float eps, float momentum,
              float *mean, float *scale, int samples, int channels, int hw)
{
  __shared__ double cell[STAT_BLOCK];
  const int c = blockIdx.x;
  const double count = (double)samples * hw;

  double sum = 0.0;
  for (int s = 0; s < samples; s++) {
    const float *in = x + ((long long)s * channels + c) * hw;
    for (int i = threadIdx.x; i < hw; i += STAT_BLOCK)
      sum += in[i];
  }
  const float m = (float)(tree(cell, sum) / count);

  double squares = 0.0;
  for (int s = 0; s < samples; s++) {
    const float *in = x + ((long long)s * channels + c) * hw;
    for (int i = threadIdx.x; i < hw; i += STAT_BLOCK)
      squares += (in[i] - m) * (in[i] - m);
  }
  squares = tree(cell, squares);

  if (threadIdx.x > 0)
    return;
  mean[c] = m;
  scale[c] = rsqrtf((float)(squares / count) + eps);
  running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * m;
  running_var[c] = (1.0f - momentum) * running_var[c] + momentum * (float)(squares / (count - 1.0));
  if (c == 0)
    *batches += 1;
}

extern "C" __global__ void apply(const float *x, const float *weight, const float *bias, const float *mean,
                                 const float *scale, float *y, long long count, int channels, int hw)
{
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const int c = (int)(i / hw % channels);
  y[i] = (x[i] - mean[c]) * scale[c] * weight[c] + bias[c];
}
