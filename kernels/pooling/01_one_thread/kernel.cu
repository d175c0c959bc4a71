/* SPDX-License-Identifier: MIT */
/* Pooling 1: what one writes first. One thread an output walks its window; neighbouring threads have neighbouring
   outputs, so the loads of a warp lie together, and the overlap of windows is left to the caches.
   Loses: every tap is a load and a test against the edges; a window of 3x3x3 reads each value of x several times. */

/* NaN wins in a maximum, as in PyTorch. */
static __device__ __forceinline__ float join(float a, float v)
{
#if OP == 0
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(v));
  return r;
#else
  return a + v;
#endif
}

#define NEUTRAL (OP == 0 ? __int_as_float(0xff800000) : 0.0f)

extern "C" __global__ void __launch_bounds__(BLOCK) pool(const float *__restrict__ x, float *__restrict__ y, long long count)
{
  const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (i >= count)
    return;
  const int ow = i % OW, oh = i / OW % OH, od = i / ((long long)OW * OH) % OD;
  const float *in = x + i / ((long long)OW * OH * OD) * D * H * W;
  float v = NEUTRAL;
  for (int a = 0; a < KD; a++)
    for (int b = 0; b < KH; b++)
      for (int c = 0; c < KW; c++) {
        const int z = od * SD - PD + a * DD, r = oh * SH - PH + b * DH, q = ow * SW - PW + c * DW;
        if (z >= 0 && z < D && r >= 0 && r < H && q >= 0 && q < W)
          v = join(v, in[((long long)z * H + r) * W + q]);
      }
  y[i] = OP == 0 ? v : v * (1.0f / (KD * KH * KW));
}
