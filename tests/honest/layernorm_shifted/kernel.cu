/* SPDX-License-Identifier: MIT */
/* Layer normalisation in one pass over data shifted by an estimate of its mean. */

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
  float guess = 0.0f;
  for (int c = 0; c < 16; c++)
    guess += x[row + (long long)c * (cols - 1) / 15] * 0.0625f;
  float sum = 0.0f, squares = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK) {
    float v = x[row + c] - guess;
    sum += v;
    squares += v * v;
  }
  float rest = over_block(sum) / cols;
  float scale = rsqrtf(over_block(squares) / cols - rest * rest + eps);
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    y[row + c] = ((x[row + c] - guess) - rest) * scale * weight[c] + bias[c];
}
