/* SPDX-License-Identifier: MIT */
/* Row softmax 1: what one writes first. One block a row walks it three times, coalesced, 4 bytes a load: maximum, sum of
   exponentials, result (OP 1: softmax, OP 2: its logarithm).
   Loses: a row of 1.5 MB has left the caches before the next walk gets to it, so x is read three times from DRAM. */

static __device__ __forceinline__ float tree(float *cell, float v, bool want_max)
{
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

extern "C" __global__ void __launch_bounds__(BLOCK) row_softmax(const float *x, float *y, long long cols)
{
  __shared__ float cell[BLOCK];
  const float *in = x + blockIdx.x * cols;
  float *out = y + blockIdx.x * cols;

  float peak = -3.402823466e38f;
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    peak = fmaxf(peak, in[c]);
  peak = tree(cell, peak, true);

  float sum = 0.0f;
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    sum += expf(in[c] - peak);
  sum = tree(cell, sum, false);

  const float norm = OP == 1 ? 1.0f / sum : logf(sum);
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = OP == 1 ? expf(in[c] - peak) * norm : in[c] - peak - norm;
}
