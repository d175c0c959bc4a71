/* SPDX-License-Identifier: MIT */
/* Softmax with its sum in double precision. */

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

static __device__ float peak_over_block(float v)
{
  __shared__ float cell[BLOCK];
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] = fmaxf(cell[threadIdx.x], cell[threadIdx.x + step]);
    __syncthreads();
  }
  return cell[0];
}

extern "C" __global__ void __launch_bounds__(BLOCK) softmax(const float *x, float *y, int cols)
{
  const float *in = x + (long long)blockIdx.x * cols;
  float *out = y + (long long)blockIdx.x * cols;
  float peak = -3.402823466e38f;
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    peak = fmaxf(peak, in[c]);
  peak = peak_over_block(peak);
  double sum = 0;
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    sum += expf(in[c] - peak);
  double norm = 1 / over_block(sum);
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = (float)(expf(in[c] - peak) * norm);
}
