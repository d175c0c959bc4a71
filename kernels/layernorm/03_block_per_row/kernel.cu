/* SPDX-License-Identifier: MIT */
/* LayerNorm 3: one block a row, on a plain grid.
   Persistent warps were too few to cover their own waits. Here every row is a small block; the hardware keeps a
   multiprocessor full of them. The second and third reads of a row come from the cache beside it.
   Loses: 4-byte loads, three passes over the row, two barriers a sum. */

static __device__ __forceinline__ float block_sum(float *cell, float v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  v = 0.0f;
#pragma unroll
  for (int w = 0; w < BLOCK / 32; w++)
    v += cell[w];
  __syncthreads();
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
layernorm(const float *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ bias, float eps,
          float *__restrict__ y, int cols)
{
  __shared__ float cell[BLOCK / 32];
  const float *in = x + (long long)blockIdx.x * cols;
  float *out = y + (long long)blockIdx.x * cols;

  float sum = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    sum += in[c];
  float mean = block_sum(cell, sum) / cols;

  float squares = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK) {
    float d = in[c] - mean;
    squares += d * d;
  }
  float scale = rsqrtf(block_sum(cell, squares) / cols + eps);

  for (int c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = (in[c] - mean) * scale * weight[c] + bias[c];
}
