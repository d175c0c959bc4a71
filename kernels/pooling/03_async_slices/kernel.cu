/* SPDX-License-Identifier: MIT */
/* Pooling 3: slices of x arrive in shared memory by cp.async, STAGES groups ahead; threads slide over them.
   Taps that came through the first-level cache needed a test each, and registers for every load in flight. Here a block
   copies the part of each slice that its tile of TH x TW outputs needs, 16 bytes a copy, padding written as the neutral
   value, so taps need no test. G steps of the slide share a stage and a barrier. The ring of the last RING slices'
   results stays in registers, as before.
   Loses: a stride in the last dimension means bank conflicts; each tap is still one load from shared memory. */

#define RING (DD * (KD - 1) + 1)
#define LEAD ((RING - NEW + SD - 1) / SD) /* steps before a segment's first output */
#define PART ((OD + SEGS - 1) / SEGS)
#define SLICE (ROWS * COLS)
#define STAGE (G * NEW * SLICE)
#define CX ((TW + BX - 1) / BX) /* outputs of a thread */
#define CY ((TH + BY - 1) / BY)
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

static __device__ __forceinline__ void copy_async(float *to, const float *from)
{
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
#if VEC == 4
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
#endif
}

static __device__ __forceinline__ void put_neutral(float *to)
{
#if VEC == 4
  *(float4 *)to = make_float4(NEUTRAL, NEUTRAL, NEUTRAL, NEUTRAL);
#else
  *to = NEUTRAL;
#endif
}

/* Starts copying the slices that steps o .. o+G-1 add; `row` and `col` are where the tile begins in x. */
static __device__ __forceinline__ void fill(float *stage, const float *in, int o, int row, int col)
{
  const int first = o * SD - PD + RING - NEW;
#pragma unroll 4
  for (int e = threadIdx.y * BX + threadIdx.x; e < STAGE / VEC; e += BX * BY) {
    const int q = col + e % (COLS / VEC) * VEC, r = row + e / (COLS / VEC) % ROWS, s = e / (SLICE / VEC);
    const int z = first + s / NEW * SD + s % NEW;
    if ((unsigned)q < W && (unsigned)r < H && (unsigned)z < D)
      copy_async(stage + e * VEC, in + ((long long)z * H + r) * W + q);
    else
      put_neutral(stage + e * VEC);
  }
}

static __device__ __forceinline__ float window(const float *at)
{
  float v = *at;
#pragma unroll
  for (int b = 0; b < KH; b++)
#pragma unroll
    for (int c = 0; c < KW; c++)
      if (b || c)
        v = join(v, at[b * DH * COLS + c * DW]);
  return v;
}

extern "C" __global__ void __launch_bounds__(BX * BY) pool(const float *__restrict__ x, float *__restrict__ y)
{
  extern __shared__ __align__(16) float stages[];
  const int tiles_w = (OW + TW - 1) / TW, tiles_h = (OH + TH - 1) / TH;
  const int ow = blockIdx.x % tiles_w * TW, oh = blockIdx.x / tiles_w % tiles_h * TH;
  const int seg = blockIdx.x / (tiles_w * tiles_h) % SEGS;
  const long long plane = blockIdx.x / (tiles_w * tiles_h * SEGS);
  const float *in = x + plane * D * H * W;
  float *out = y + plane * OD * OH * OW;
  const int row = oh * SH - PH, col = (ow * SW - PW) & -VEC, skew = ow * SW - PW - col;
  const int from = seg * PART, to = min(from + PART, OD);
  const int begin = from - LEAD;

  float ring[CY][CX][RING];
#pragma unroll
  for (int j = 0; j < CY; j++)
#pragma unroll
    for (int i = 0; i < CX; i++)
#pragma unroll
      for (int k = 0; k < RING; k++)
        ring[j][i][k] = NEUTRAL;

  for (int k = 0; k < STAGES - 1; k++) {
    if (begin + k * G < to)
      fill(stages + k * STAGE, in, begin + k * G, row, col);
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  int slot = 0, next = STAGES - 1;
  for (int step = begin; step < to; step += G) {
#if STAGES == 1
    fill(stages, in, step, row, col);
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
    __syncthreads();
    if (step + (STAGES - 1) * G < to)
      fill(stages + next * STAGE, in, step + (STAGES - 1) * G, row, col);
    asm volatile("cp.async.commit_group;" ::: "memory");
    next = slot;
#endif
    const float *stage = stages + slot * STAGE + skew;
#pragma unroll
    for (int u = 0; u < G; u++)
#pragma unroll
      for (int j = 0; j < CY; j++)
#pragma unroll
        for (int i = 0; i < CX; i++) {
          const int r = threadIdx.y + j * BY, c = threadIdx.x + i * BX;
          if ((TH % BY && r >= TH) || (TW % BX && c >= TW))
            continue;
          float *last = ring[j][i];
#pragma unroll
          for (int k = 0; k + NEW < RING; k++)
            last[k] = last[k + NEW];
#pragma unroll
          for (int s = 0; s < NEW; s++)
            last[RING - NEW + s] = window(stage + (u * NEW + s) * SLICE + r * SH * COLS + c * SW);
          float v = last[0];
#pragma unroll
          for (int a = 1; a < KD; a++)
            v = join(v, last[a * DD]);
          if (step + u >= from && step + u < to && oh + r < OH && ow + c < OW)
            out[((long long)(step + u) * OH + oh + r) * OW + ow + c] = OP == 0 ? v : v * (1.0f / (KD * KH * KW));
        }
#if STAGES == 1
    __syncthreads();
#else
    slot = slot + 1 == STAGES ? 0 : slot + 1;
#endif
  }
}
