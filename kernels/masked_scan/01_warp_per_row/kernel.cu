/* SPDX-License-Identifier: MIT */
/* Masked scan 1: one warp a row, 32 neighbouring elements a step, five shuffles, and the carry to the next step. */

#define NEUTRAL 0.0f
static __device__ __forceinline__ float join(float a, float b) { return a + b; }

/* Joins of lanes 0..lane. */
static __device__ __forceinline__ float warp_scan(float v, int lane)
{
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    float left = __shfl_up_sync(0xffffffffu, v, step);
    v = lane >= step ? join(left, v) : v;
  }
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
masked_scan(const float *__restrict__ x, const unsigned char *__restrict__ mask, float *__restrict__ y,
            long long rows, long long cols)
{
  const int lane = threadIdx.x % 32;
  const long long row = (long long)blockIdx.x * (BLOCK / 32) + threadIdx.x / 32;
  if (row >= rows)
    return;
  float carry = NEUTRAL;
  for (long long first = 0; first < cols; first += 32) {
    long long p = first + lane, at = row * cols + p;
    float v = p < cols && mask[at] ? x[at] : NEUTRAL;
    v = join(carry, warp_scan(v, lane));
    if (p < cols)
      y[at] = v;
    carry = __shfl_sync(0xffffffffu, v, 31);
  }
}
