/* SPDX-License-Identifier: MIT */
/* Instance norm 1: what one writes first. One block a row (a channel of a sample) walks it three times, coalesced, 4
   bytes a load: mean, squared deviations, result.
   Loses: a row of 1 MB has left the caches before the next walk gets to it, so x is read up to three times from DRAM. */

static __device__ __forceinline__ float tree(float *cell, float v)
{
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  float result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void __launch_bounds__(BLOCK) instance_norm(const float *x, float eps, float *y, long long cols)
{
  __shared__ float cell[BLOCK];
  const float *in = x + blockIdx.x * cols;
  float *out = y + blockIdx.x * cols;

  float sum = 0.0f;
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    sum += in[c];
  const float mean = tree(cell, sum) / cols;

  float squares = 0.0f;
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    squares += (in[c] - mean) * (in[c] - mean);
  const float scale = rsqrtf(tree(cell, squares) / cols + eps);

  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = (in[c] - mean) * scale;
}
