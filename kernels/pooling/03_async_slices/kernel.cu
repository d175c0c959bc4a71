/* SPDX-License-Identifier: MIT */
/* Pooling 3: slices of x arrive in shared memory by cp.async, STAGES groups ahead; threads slide over them.
   Taps that came through the first-level cache needed a test each, and registers for every load in flight. Here a block
   copies the part of each slice that its tile of TH x TW outputs needs, 16 bytes a copy, padding written as the neutral
   value, so taps need no test. G steps of the slide share a stage and a barrier. The ring of the last RING slices'
   results stays in registers, as before.
   Loses: a stride in the last dimension means bank conflicts; taps beside each other are still a load each. */

#define RING (DD * (KD - 1) + 1)
#define LEAD ((RING - NEW + SD - 1) / SD) /* steps before a segment's first output */
#define PART ((OD + SEGS - 1) / SEGS)
#define SLICE (ROWS * COLS)
#define STAGE (G * NEW * SLICE)
#define CX ((TW + BX - 1) / BX) /* outputs of a thread: BX apart in a row, neighbouring rows */
#define CY (TH / BY)
#define SKEW (((-PW) % VEC + VEC) % VEC) /* of the first tap in a copied row, where every tile begins at a multiple of VEC */
#define PAIRS (SW % 2 == 0 && VEC == 4 && TW * SW % VEC == 0)
#define ACROSS (COLS / VEC < BX * BY ? COLS / VEC : BX * BY) /* threads that copy a row */
#define DOWN (BX * BY / ACROSS)                              /* rows at a time */
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

/* Starts copying the slices that steps o .. o+G-1 add; `row` and `col` are where the tile begins in x. A thread keeps to
   its place across and goes down the rows, so that an address is one addition from the last. */
static __device__ __forceinline__ void fill(float *stage, const float *in, int o, int row, int col)
{
  const int thread = threadIdx.y * BX + threadIdx.x, top = thread / ACROSS;
  if (BX * BY % ACROSS && top >= DOWN)
    return;
  for (int q = thread % ACROSS; q < COLS / VEC; q += ACROSS) {
    const bool inside = (unsigned)(col + q * VEC) < W;
#pragma unroll
    for (int s = 0; s < G * NEW; s++) {
      const int z = (o + s / NEW) * SD - PD + RING - NEW + s % NEW;
      const bool any = inside && (unsigned)z < D;
      const float *from = in + ((long long)z * H + row + top) * W + col + q * VEC;
      float *to = stage + (s * ROWS + top) * COLS + q * VEC;
#pragma unroll 8
      for (int r = top; r < ROWS; r += DOWN, from += DOWN * W, to += DOWN * COLS)
        if (any && (unsigned)(row + r) < H)
          copy_async(to, from);
        else
          put_neutral(to);
    }
  }
}

/* The KW taps of a row from `at` on. With an even stride two words come in one load, which halves the bank conflicts and
   serves two taps where these are neighbours. By name, as the compiler drops the half of a pair that isn't used. */
static __device__ __forceinline__ float across(const float *at)
{
  float v = NEUTRAL;
#if PAIRS
  const unsigned pairs = (unsigned)__cvta_generic_to_shared(at - SKEW % 2);
  float even = 0.0f, odd = 0.0f;
#endif
#pragma unroll
  for (int c = 0; c < KW; c++) {
#if PAIRS
    const int word = SKEW % 2 + c * DW;
    if (c == 0 || word / 2 != (word - DW) / 2)
      asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(even), "=f"(odd) : "r"(pairs + word / 2 * 8));
    const float tap = word % 2 ? odd : even;
#else
    const float tap = at[c * DW];
#endif
    v = c ? join(v, tap) : tap;
  }
  return v;
}

/* Does any output of a thread need row r of its part of a slice? */
static constexpr __device__ bool needed(int r)
{
  for (int j = 0; j < CY; j++)
    for (int b = 0; b < KH; b++)
      if (j * SH + b * DH == r)
        return true;
  return false;
}

/* The windows of CY outputs below each other; rows that they share are read once. */
static __device__ __forceinline__ void windows(const float *at, float (&v)[CY])
{
  float row[(CY - 1) * SH + (KH - 1) * DH + 1];
#pragma unroll
  for (int r = 0; r <= (CY - 1) * SH + (KH - 1) * DH; r++)
    row[r] = needed(r) ? across(at + r * COLS) : 0.0f;
#pragma unroll
  for (int j = 0; j < CY; j++) {
    v[j] = row[j * SH];
#pragma unroll
    for (int b = 1; b < KH; b++)
      v[j] = join(v[j], row[j * SH + b * DH]);
  }
}

/* Moves output j's ring on by the slices that are new; the output. */
static __device__ __forceinline__ float slide(float (&last)[RING], const float (&part)[NEW][CY], int j)
{
#pragma unroll
  for (int k = 0; k + NEW < RING; k++)
    last[k] = last[k + NEW];
#pragma unroll
  for (int s = 0; s < NEW; s++)
    last[RING - NEW + s] = part[s][j];
  float v = last[0];
#pragma unroll
  for (int a = 1; a < KD; a++)
    v = join(v, last[a * DD]);
  return OP == 0 ? v : v * (1.0f / (KD * KH * KW));
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
      for (int i = 0; i < CX; i++) {
        const int r = threadIdx.y * CY, c = threadIdx.x + i * BX;
        if (TW % BX && c >= TW)
          continue;
        float part[NEW][CY];
#pragma unroll
        for (int s = 0; s < NEW; s++)
          windows(stage + (u * NEW + s) * SLICE + r * SH * COLS + c * SW, part[s]);
#pragma unroll
        for (int j = 0; j < CY; j++) {
          const float v = slide(ring[j][i], part, j);
          if (step + u >= from && step + u < to && oh + r + j < OH && ow + c < OW)
            out[((long long)(step + u) * OH + oh + r + j) * OW + ow + c] = v;
        }
      }
#if STAGES == 1
    __syncthreads();
#else
    slot = slot + 1 == STAGES ? 0 : slot + 1;
#endif
  }
}
