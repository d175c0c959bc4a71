/* SPDX-License-Identifier: MIT */
/* Depthwise convolution 2: threads slide down the rows with the window in registers.
   One thread an output loaded KH*KW values for each. Here a thread owns a column of outputs and a segment of its rows:
   a step loads the KW taps of the rows that are new and keeps those of the last RING rows; the weights of the channel
   are in registers. UNROLL steps together put their loads in flight at once.
   Loses: taps beside each other still come through the first-level cache, one load and one test each. */

#define RING (DH * (KH - 1) + 1)
#define NEW (SH < RING ? SH : RING)       /* rows that each step adds to the window */
#define LEAD ((RING - NEW + SH - 1) / SH) /* steps before a segment's first output */
#define PART ((OH + SEGS - 1) / SEGS)

extern "C" __global__ void __launch_bounds__(BX) depthwise(const float *__restrict__ x, const float *__restrict__ weight,
                                                           float *__restrict__ y)
{
  const int tiles = (OW + BX - 1) / BX;
  const int q = blockIdx.x % tiles * BX + threadIdx.x, seg = blockIdx.x / tiles % SEGS;
  const long long plane = blockIdx.x / (tiles * SEGS);
  if (q >= OW)
    return;
  const float *in = x + plane * H * W;
  float *out = y + plane * OH * OW + q;
  const int col = q * SW - PW, from = seg * PART, to = min(from + PART, OH);

  float tap[KH][KW], ring[RING][KW];
#pragma unroll
  for (int a = 0; a < KH; a++)
#pragma unroll
    for (int b = 0; b < KW; b++)
      tap[a][b] = __ldg(weight + (plane % C * KH + a) * KW + b);
#pragma unroll
  for (int k = 0; k < RING; k++)
#pragma unroll
    for (int b = 0; b < KW; b++)
      ring[k][b] = 0.0f;

#pragma unroll UNROLL
  for (int o = from - LEAD; o < to; o++) {
#pragma unroll
    for (int k = 0; k + NEW < RING; k++)
#pragma unroll
      for (int b = 0; b < KW; b++)
        ring[k][b] = ring[k + NEW][b];
#pragma unroll
    for (int s = 0; s < NEW; s++) {
      const int row = o * SH - PH + RING - NEW + s;
#pragma unroll
      for (int b = 0; b < KW; b++)
        ring[RING - NEW + s][b] = (unsigned)row < H && (unsigned)(col + b * DW) < W ? __ldg(in + (long long)row * W + col + b * DW) : 0.0f;
    }
    float sum = 0.0f;
#pragma unroll
    for (int a = 0; a < KH; a++)
#pragma unroll
      for (int b = 0; b < KW; b++)
        sum = fmaf(tap[a][b], ring[a * DH][b], sum);
    if (o >= from)
      out[(long long)o * OW] = sum;
  }
}
