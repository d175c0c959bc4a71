/* SPDX-License-Identifier: MIT */
/* Cross entropy 1: one block a row, first its maximum, then the sum of exponentials; a second launch averages the rows.
   Trees in shared memory join the threads. */

static __device__ float block_reduce(float v, bool want_max)
{
  __shared__ float cell[BLOCK];
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      float other = cell[threadIdx.x + step];
      cell[threadIdx.x] = want_max ? fmaxf(cell[threadIdx.x], other) : cell[threadIdx.x] + other;
    }
    __syncthreads();
  }
  float result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
cross_entropy_rows(const float *__restrict__ x, const long long *__restrict__ target, float *__restrict__ loss,
                   long long cols)
{
  const float *in = x + blockIdx.x * cols;
  float peak = -3.4e38f, sum = 0.0f;
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    peak = fmaxf(peak, in[c]);
  peak = block_reduce(peak, true);
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    sum += expf(in[c] - peak);
  sum = block_reduce(sum, false);
  if (threadIdx.x == 0)
    loss[blockIdx.x] = logf(sum) + (peak - in[target[blockIdx.x]]);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
cross_entropy_mean(const float *__restrict__ loss, float *__restrict__ y, long long rows)
{
  float sum = 0.0f;
  for (long long r = threadIdx.x; r < rows; r += BLOCK)
    sum += loss[r];
  sum = block_reduce(sum, false);
  if (threadIdx.x == 0)
    y[0] = sum / (float)rows;
}
