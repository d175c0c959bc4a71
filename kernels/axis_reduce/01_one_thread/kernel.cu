/* SPDX-License-Identifier: MIT */
/* Reduction over an axis 1: what one writes first. One thread an output walks down the reduced axis; neighbouring
   threads read neighbouring columns, so every load is coalesced.
   Loses: one load in flight a thread, and few threads where outputs are few. */

/* NaN wins in a maximum or minimum, as in PyTorch. */
static __device__ __forceinline__ float join(float a, float v)
{
  float r = a + v;
#if OP == 2
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(v));
#elif OP == 3
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(v));
#endif
  return r;
}

extern "C" __global__ void __launch_bounds__(BLOCK) axis_reduce(const float *__restrict__ x, float *__restrict__ y,
                                                                long long count, long long rows, long long inner)
{
  const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (i >= count)
    return;
  const float *in = x + i / inner * rows * inner + i % inner;
  float v = *in;
#pragma unroll 1
  for (long long r = 1; r < rows; r++)
    v = join(v, in[r * inner]);
  y[i] = OP == 1 ? v / rows : v;
}
