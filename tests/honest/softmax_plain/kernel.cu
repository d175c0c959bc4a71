/* SPDX-License-Identifier: MIT */
/* Softmax as plain as it gets, a block a row: the honest twin of exploits that pretend to be it. */

#define BLOCK 256

static __device__ float over_block(float v, bool want_max)
{
  __shared__ float cell[BLOCK / 32];
  for (int step = 16; step > 0; step /= 2) {
    float other = __shfl_xor_sync(0xffffffffu, v, step);
    v = want_max ? fmaxf(v, other) : v + other;
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  v = cell[0];
  for (int w = 1; w < BLOCK / 32; w++)
    v = want_max ? fmaxf(v, cell[w]) : v + cell[w];
  return v;
}

static __device__ void softmax_row(const float *in, float *out, int cols)
{
  float peak = -3.402823466e38f, sum = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    peak = fmaxf(peak, in[c]);
  peak = over_block(peak, true);
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    sum += expf(in[c] - peak);
  float norm = 1.0f / over_block(sum, false);
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = expf(in[c] - peak) * norm;
}

extern "C" __global__ void __launch_bounds__(BLOCK) softmax(const float *x, float *y, int cols)
{
  const float *in = x + (long long)blockIdx.x * cols;
  float *out = y + (long long)blockIdx.x * cols;
  softmax_row(in, out, cols);
}
