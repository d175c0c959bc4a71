/* SPDX-License-Identifier: MIT */
/* Softmax in one pass over the input for maximum and sum together, merged in a tree of pairs. */

#define BLOCK 128

static __device__ void merge(float &peak, float &sum, float other_peak, float other_sum)
{
  float top = fmaxf(peak, other_peak);
  sum = sum * expf(peak - top) + other_sum * expf(other_peak - top);
  peak = top;
}

extern "C" __global__ void __launch_bounds__(BLOCK) softmax(const float *x, float *y, int cols)
{
  __shared__ float peaks[BLOCK], sums[BLOCK];
  const float *in = x + (long long)blockIdx.x * cols;
  float *out = y + (long long)blockIdx.x * cols;
  float peak = -1.0e38f, sum = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    merge(peak, sum, in[c], 1.0f);
  peaks[threadIdx.x] = peak;
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      merge(peak, sum, peaks[threadIdx.x + step], sums[threadIdx.x + step]);
      peaks[threadIdx.x] = peak;
      sums[threadIdx.x] = sum;
    }
    __syncthreads();
  }
  peak = peaks[0], sum = sums[0];
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = expf(in[c] - peak) / sum;
}
