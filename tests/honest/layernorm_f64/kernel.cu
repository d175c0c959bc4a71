/* SPDX-License-Identifier: MIT */
/* Layer normalisation with its statistics in double precision, in one pass. */

#define BLOCK 256

template <class T> static __device__ T over_block(T v)
{
  __shared__ T cell[BLOCK / 32];
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  __syncthreads();
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  v = 0;
  for (int w = 0; w < BLOCK / 32; w++)
    v += cell[w];
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
layernorm(const float *x, const float *weight, const float *bias, float eps, float *y, int cols)
{
  const long long row = (long long)blockIdx.x * cols;
  double sum = 0, squares = 0;
  for (int c = threadIdx.x; c < cols; c += BLOCK) {
    double v = x[row + c];
    sum += v;
    squares += v * v;
  }
  double mean = over_block(sum) / cols;
  double scale = rsqrt(over_block(squares) / cols - mean * mean + eps);
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    y[row + c] = (float)((x[row + c] - mean) * scale) * weight[c] + bias[c];
}
