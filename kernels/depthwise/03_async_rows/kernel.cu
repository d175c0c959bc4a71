/* SPDX-License-Identifier: MIT */
/* Depthwise convolution 3: rows arrive in shared memory by cp.async, STAGES groups ahead; threads slide over them.
   Taps that came through the first-level cache needed a test each, and registers for every load in flight. Here a block
   copies what its strip of BX*V columns needs of each row, 16 bytes a copy, padding written as zeros, so taps need no
   test. A thread has V columns beside each other, which share taps: they come as vectors of up to 4 and leave as one
   store. G steps of the slide share a stage and a barrier. The window and the weights stay in registers, as before. */

#define RING (DH * (KH - 1) + 1)
#define LEAD ((RING - NEW + SH - 1) / SH) /* steps before a segment's first output */
#define PART ((OH + SEGS - 1) / SEGS)
#define STAGE (G * NEW * COLS)
#define STRIP (BX * V)
#define ACROSS (COLS / VEC < BX ? COLS / VEC : BX) /* threads that copy a row */
#define DOWN (BX / ACROSS)                         /* rows at a time */
/* Words beside each other in a row that the V outputs of a thread read: SPAN of them, SKEW after an aligned place. */
#define WIDTH (V * SW % 4 == 0 && VEC == 4 ? 4 : V * SW % 2 == 0 && VEC == 4 ? 2 : 1)
#define SHIFT (((-PW) % VEC + VEC) % VEC) /* from where a copied row begins to the first tap; STRIP*SW is a multiple of 4 */
#define SKEW (SHIFT % WIDTH)
#define SPAN ((V - 1) * SW + DW * (KW - 1) + 1)
#define WORDS ((SKEW + SPAN + WIDTH - 1) / WIDTH * WIDTH)

static __device__ __forceinline__ void copy_async(float *to, const float *from)
{
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
#if VEC == 4
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
#endif
}

static __device__ __forceinline__ void put_zero(float *to)
{
#if VEC == 4
  *(float4 *)to = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#else
  *to = 0.0f;
#endif
}

/* Starts copying the rows that steps o .. o+G-1 add, from column `col` of x on. A thread keeps to its place across. */
static __device__ __forceinline__ void fill(float *stage, const float *in, int o, int col)
{
  const int top = threadIdx.x / ACROSS;
  if (BX % ACROSS && top >= DOWN)
    return;
  for (int q = threadIdx.x % ACROSS; q < COLS / VEC; q += ACROSS) {
    const bool inside = (unsigned)(col + q * VEC) < W;
#pragma unroll
    for (int s = 0; s < G * NEW; s += DOWN) {
      const int row = (o + (s + top) / NEW) * SH - PH + RING - NEW + (s + top) % NEW;
      float *to = stage + (s + top) * COLS + q * VEC;
      if (G * NEW % DOWN && s + top >= G * NEW)
        break;
      if (inside && (unsigned)row < H)
        copy_async(to, in + (long long)row * W + col + q * VEC);
      else
        put_zero(to);
    }
  }
}

static __device__ __forceinline__ void take(const float *at, float *v)
{
#pragma unroll
  for (int i = 0; i < WORDS; i += WIDTH) {
#if V * SW % 4 == 0 && VEC == 4
    const float4 t = *(const float4 *)(at + i);
    v[i] = t.x, v[i + 1] = t.y, v[i + 2] = t.z, v[i + 3] = t.w;
#elif V * SW % 2 == 0 && VEC == 4
    const float2 t = *(const float2 *)(at + i);
    v[i] = t.x, v[i + 1] = t.y;
#else
    v[i] = at[i];
#endif
  }
}

/* By name, as the compiler takes plain vector stores apart in places. */
static __device__ __forceinline__ void put(float *to, const float *v)
{
#if V == 4
  __stcs((float4 *)to, make_float4(v[0], v[1], v[2], v[3]));
#elif V == 2
  __stcs((float2 *)to, make_float2(v[0], v[1]));
#else
  __stcs(to, v[0]);
#endif
}

extern "C" __global__ void __launch_bounds__(BX) depthwise(const float *__restrict__ x, const float *__restrict__ weight,
                                                           float *__restrict__ y)
{
  extern __shared__ __align__(16) float stages[];
  const int tiles = (OW + STRIP - 1) / STRIP;
  const int q = blockIdx.x % tiles * STRIP, seg = blockIdx.x / tiles % SEGS;
  const long long plane = blockIdx.x / (tiles * SEGS);
  const int col = q * SW - PW - SHIFT, own = q + threadIdx.x * V;
  const float *in = x + plane * H * W;
  float *out = y + plane * OH * OW + own;
  const int from = seg * PART, to = min(from + PART, OH), begin = from - LEAD;

  float tap[KH][KW], ring[RING][WORDS];
#pragma unroll
  for (int a = 0; a < KH; a++)
#pragma unroll
    for (int b = 0; b < KW; b++)
      tap[a][b] = __ldg(weight + (plane % C * KH + a) * KW + b);
#pragma unroll
  for (int k = 0; k < RING; k++)
#pragma unroll
    for (int i = 0; i < WORDS; i++)
      ring[k][i] = 0.0f;

  for (int k = 0; k < STAGES - 1; k++) {
    if (begin + k * G < to)
      fill(stages + k * STAGE, in, begin + k * G, col);
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  int slot = 0, next = STAGES - 1;
  for (int step = begin; step < to; step += G) {
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
    __syncthreads();
    if (step + (STAGES - 1) * G < to)
      fill(stages + next * STAGE, in, step + (STAGES - 1) * G, col);
    asm volatile("cp.async.commit_group;" ::: "memory");
    next = slot;

    const float *stage = stages + slot * STAGE + threadIdx.x * V * SW + SHIFT - SKEW;
#pragma unroll
    for (int u = 0; u < G; u++) {
#pragma unroll
      for (int k = 0; k + NEW < RING; k++)
#pragma unroll
        for (int i = 0; i < WORDS; i++)
          ring[k][i] = ring[k + NEW][i];
#pragma unroll
      for (int s = 0; s < NEW; s++)
        take(stage + (u * NEW + s) * COLS, ring[RING - NEW + s]);
      float sum[V];
#pragma unroll
      for (int i = 0; i < V; i++) {
        sum[i] = 0.0f;
#pragma unroll
        for (int a = 0; a < KH; a++)
#pragma unroll
          for (int b = 0; b < KW; b++)
            sum[i] = fmaf(tap[a][b], ring[a * DH][SKEW + i * SW + b * DW], sum[i]);
      }
      if (step + u >= from && step + u < to && own < OW)
        put(out + (long long)(step + u) * OW, sum);
    }
    slot = slot + 1 == STAGES ? 0 : slot + 1;
  }
}
