/* SPDX-License-Identifier: MIT */
/* Place of the maximum or minimum over an axis 1: what one writes first. One thread an output walks down the axis and
   keeps the best value and where it was; neighbouring threads read neighbouring columns.
   Loses: one load in flight a thread, and few threads where outputs are few. */

/* Does v come before `best`, which was seen earlier? A NaN comes before any number, the first of equals stays. */
static __device__ __forceinline__ bool beats(float v, float best)
{
  return best == best && !(OP == 0 ? v <= best : v >= best);
}

extern "C" __global__ void __launch_bounds__(BLOCK) axis_arg(const float *__restrict__ x, long long *__restrict__ y,
                                                             long long count, int rows, long long inner)
{
  const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (i >= count)
    return;
  const float *in = x + i / inner * rows * inner + i % inner;
  float best = *in;
  int at = 0;
#pragma unroll 1
  for (int r = 1; r < rows; r++) {
    const float v = in[r * inner];
    if (beats(v, best))
      best = v, at = r;
  }
  y[i] = at;
}
