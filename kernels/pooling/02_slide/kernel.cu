/* SPDX-License-Identifier: MIT */
/* Pooling 2: threads slide down the first pooled dimension with the last slices' results in registers.
   One thread an output read each window whole. Here a thread owns a column of outputs: of every slice of x it takes the
   KH x KW part of the window once, keeps the last RING of those in registers, and an output joins KD of them. A
   segment starts LEAD steps early to fill the ring. UNROLL steps together put their loads in flight at once.
   Loses: taps within a slice still come through the first-level cache, one load and one test each. */

#define RING (DD * (KD - 1) + 1)
#define NEW (SD < RING ? SD : RING)        /* slices that each step adds to the ring */
#define LEAD ((RING - NEW + SD - 1) / SD)  /* steps before a segment's first output */
#define PART ((OD + SEGS - 1) / SEGS)
#define NEUTRAL (OP == 0 ? __int_as_float(0xff800000) : 0.0f)

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

static __device__ __forceinline__ float slice(const float *in, int z, int row, int col)
{
  float v = NEUTRAL;
  if (z < 0 || z >= D)
    return v;
  in += (long long)z * H * W;
#pragma unroll
  for (int b = 0; b < KH; b++)
#pragma unroll
    for (int c = 0; c < KW; c++) {
      const int r = row + b * DH, q = col + c * DW;
      if ((unsigned)r < H && (unsigned)q < W)
        v = join(v, __ldg(in + (long long)r * W + q));
    }
  return v;
}

extern "C" __global__ void __launch_bounds__(BX * BY) pool(const float *__restrict__ x, float *__restrict__ y)
{
  const int tiles_w = (OW + BX - 1) / BX, tiles_h = (OH + BY - 1) / BY;
  const int ow = blockIdx.x % tiles_w * BX + threadIdx.x;
  const int oh = blockIdx.x / tiles_w % tiles_h * BY + threadIdx.y;
  const int seg = blockIdx.x / (tiles_w * tiles_h) % SEGS;
  const long long plane = blockIdx.x / (tiles_w * tiles_h * SEGS);
  if (ow >= OW || oh >= OH)
    return;
  const float *in = x + plane * D * H * W;
  float *out = y + plane * OD * OH * OW + (long long)oh * OW + ow;
  const int row = oh * SH - PH, col = ow * SW - PW;
  const int from = seg * PART, to = min(from + PART, OD);

  float ring[RING];
#pragma unroll
  for (int i = 0; i < RING; i++)
    ring[i] = NEUTRAL;
#pragma unroll UNROLL
  for (int o = from - LEAD; o < to; o++) {
#pragma unroll
    for (int i = 0; i + NEW < RING; i++)
      ring[i] = ring[i + NEW];
#pragma unroll
    for (int s = 0; s < NEW; s++)
      ring[RING - NEW + s] = slice(in, o * SD - PD + RING - NEW + s, row, col);
    float v = ring[0];
#pragma unroll
    for (int a = 1; a < KD; a++)
      v = join(v, ring[a * DD]);
    if (o >= from)
      out[(long long)o * OH * OW] = OP == 0 ? v : v * (1.0f / (KD * KH * KW));
  }
}
