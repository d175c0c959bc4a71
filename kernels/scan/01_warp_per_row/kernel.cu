/* SPDX-License-Identifier: MIT */
/* Scan 1: one warp a row, 32 neighbouring elements a step, five shuffles, and the carry to the next step.
   OP: 1 sum, 2 product, 3 sum from the right, 4 sum without the element itself. */

#if OP == 2
#define NEUTRAL 1.0f
/* Once a running product is 0 it stays so, though what follows may overflow on its own. */
static __device__ __forceinline__ float join(float a, float b) { return a == 0.0f ? 0.0f : a * b; }
#else
#define NEUTRAL 0.0f
static __device__ __forceinline__ float join(float a, float b) { return a + b; }
#endif

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
scan(const float *__restrict__ x, float *__restrict__ y, long long rows, long long cols)
{
  const int lane = threadIdx.x % 32;
  const long long row = (long long)blockIdx.x * (BLOCK / 32) + threadIdx.x / 32;
  if (row >= rows)
    return;
  float carry = NEUTRAL;
  for (long long first = 0; first < cols; first += 32) {
    long long p = first + lane, at = row * cols + (OP == 3 ? cols - 1 - p : p);
    float v = p < cols ? x[at] : NEUTRAL;
    v = join(carry, warp_scan(v, lane));
    float before = __shfl_up_sync(0xffffffffu, v, 1);
    if (p < cols)
      y[at] = OP != 4 ? v : lane ? before : carry;
    carry = __shfl_sync(0xffffffffu, v, 31);
  }
}
