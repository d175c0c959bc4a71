/* SPDX-License-Identifier: MIT */
/* Depthwise-separable convolution 6: half of the warps make tiles, the other half multiply and store them.
   With every warp doing both, a row was a chain: wait for x, convolve, barrier, multiply, store; neither the arithmetic nor
   the shared memory was busy, and leaving either part out changed nothing. Here 4 warps run ahead with the depthwise part,
   into two tiles, and 4 warps take them from there; named barriers say when a tile is full and when it is empty.
   As before: a block has PX places of a row and slides down the rows of a segment; rows of x are AHEAD steps on their way
   by cp.async in slots that a thread alone reads; tiles are TF32 (rounded to nearest); a store of a warp is 128 bytes in
   each of four channels. FAST (stride 1, three taps a row, 16-byte rows): a thread has 4 neighbouring places of ITS
   channels, gets those beside them from its neighbours by shuffles, and keeps the sums of the KH-1 outputs that later
   rows still add to. Otherwise taps are loaded one by one. */

#define FAST (SH == 1 && SW == 1 && DH == 1 && DW == 1 && KW == 3 && PW == 1 && W % 4 == 0)
#define PX 64
#define LANES (PX / 4) /* threads that share a row */
#define MAKERS 128
#define THREADS 256
#define STEP (MAKERS / LANES) /* channels at a time */
#define MT 128
#define PITCH (PX + 8)             /* 8 mod 32: the four rows of a fragment fall into different banks */
#define CP ((C + 15) / 16 * 16)    
#define ITS (CP / STEP)
#define TAPS ((KH * KW + 3) / 4 * 4)
#define PART ((OH + SEGS - 1) / SEGS)
#define SLOT (ITS * (MAKERS * 4 + 2 * STEP)) /* what a block has of a row on its way */
#define FULL 1  /* and 2: barriers, one a tile */
#define EMPTY 3 /* and 4 */
#define LATER (KH > 1 ? KH - 1 : 1) /* outputs under way */

static __device__ __forceinline__ float tf32(float v)
{
  unsigned r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
  return __uint_as_float(r);
}

static __device__ __forceinline__ void mma(float *d, float a0, float a1, float a2, float a3, float b0, float b1)
{
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(a2)), "r"(__float_as_uint(a3)),
        "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
}

/* Where a thread's channels and places are: channel it*STEP + thread/LANES, places 4*(thread%LANES) .. +3. */
struct spot {
  const float *in; /* the image's first channel */
  int channel, col;
};

/* The pointwise weights in the order of fragments: each lane's four values of an 8x16 piece lie together. */
static __device__ __forceinline__ void load_weights(float *mat, float *taps, const float *depthwise, const float *pointwise,
                                                    int first)
{
  for (int e = threadIdx.x; e < MT * CP; e += THREADS) {
    const int lane = e / 4 % 32, k = e / 128 % (CP / 8) * 8 + lane % 4 + (e & 1) * 4;
    const int m = first + e / (16 * CP) * 16 + lane / 4 + (e & 2) * 4;
    mat[e] = m < M && k < C ? tf32(pointwise[m * C + k]) : 0.0f;
  }
  for (int e = threadIdx.x; e < CP * TAPS; e += THREADS)
    taps[e] = e / TAPS < C && e % TAPS < KH * KW ? depthwise[e / TAPS * (KH * KW) + e % TAPS] : 0.0f;
}

/* Four outputs beside each other; by name, as the compiler takes a plain store apart here. */
static __device__ __forceinline__ void put(float *at, int q, float a, float b, float c, float d)
{
#if OW % 4 == 0 && STREAM
  if (q < OW)
    __stcs((float4 *)at, make_float4(a, b, c, d));
#elif OW % 4 == 0
  if (q < OW)
    __stwb((float4 *)at, make_float4(a, b, c, d));
#else
  const float v[4] = {a, b, c, d};
#pragma unroll
  for (int p = 0; p < 4; p++)
    if (q + p < OW)
      at[p] = v[p];
#endif
}

/* Named barriers of both halves: one half waits, the other only says that it has come. */
static __device__ __forceinline__ void await(int barrier) { asm volatile("bar.sync %0, 256;" ::"r"(barrier) : "memory"); }
static __device__ __forceinline__ void arrive(int barrier) { asm volatile("bar.arrive %0, 256;" ::"r"(barrier) : "memory"); }

/* PX x MT outputs of row o from a tile of CP x PX; a warp has 32 x 64. Place 4*r + 2*t + h of these is row r + 8*h of
   product t, so that a lane reads and ends up with four neighbouring places. */
static __device__ __forceinline__ void multiply(const float *mat, const float *tile, float *out, int first, int col,
                                                int empty)
{
  const int lane = threadIdx.x % 32, warp = (threadIdx.x - MAKERS) / 32, mw = warp % 2 * 4, q = warp / 2 * 32 + lane / 4 * 4;
  float d[2][8][4] = {};
#pragma unroll
  for (int k = 0; k < CP / 8; k++) {
    const float *a = tile + (k * 8 + lane % 4) * PITCH + q;
    const float4 low = *(const float4 *)a, high = *(const float4 *)(a + 4 * PITCH);
#pragma unroll
    for (int n = 0; n < 4; n++) {
      const float4 b = *(const float4 *)(mat + (((mw + n) * (CP / 8) + k) * 32 + lane) * 4);
      mma(d[0][2 * n], low.x, low.y, high.x, high.y, b.x, b.y);
      mma(d[1][2 * n], low.z, low.w, high.z, high.w, b.x, b.y);
      mma(d[0][2 * n + 1], low.x, low.y, high.x, high.y, b.z, b.w);
      mma(d[1][2 * n + 1], low.z, low.w, high.z, high.w, b.z, b.w);
    }
  }
  if (empty)
    arrive(empty);
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const int m = first + mw * 16 + n * 8 + lane % 4 * 2 + e;
      if (m < M)
        put(out + (long long)m * OH * OW + col + q, col + q, d[0][n][e], d[0][n][2 + e], d[1][n][e], d[1][n][2 + e]);
    }
}

#if FAST
/* Copies that bring zeros where `in` is false. */
static __device__ __forceinline__ void copy_four(float *to, const float *from, bool in)
{
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(in ? 16 : 0) : "memory");
}

static __device__ __forceinline__ void copy_one(float *to, const float *from, bool in)
{
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at), "l"(from), "r"(in ? 4 : 0) : "memory");
}

/* Starts copying a thread's part of row r: four values of each channel, and what lies beyond the strip for the outermost
   lanes. A slot holds ITS times MAKERS quads, then ITS times 2*STEP values from beyond. */
static __device__ __forceinline__ void fetch(const spot &own, int r, float *slot)
{
  const int place = threadIdx.x % LANES, side = place == 0 ? -1 : 4;
  const bool outer = place == 0 || place == LANES - 1, edge = (unsigned)(own.col + side) < W, inside = own.col < W;
  float *quad = slot + threadIdx.x * 4, *beyond = slot + ITS * MAKERS * 4 + threadIdx.x / LANES * 2 + (place != 0);
  const float *row = own.in + ((long long)own.channel * H + r) * W + own.col;
#pragma unroll
  for (int it = 0; it < ITS; it++) {
    const bool in = (unsigned)r < H && own.channel + it * STEP < C;
    const float *at = row + (long long)it * (STEP * H * W);
    copy_four(quad + it * MAKERS * 4, in && inside ? at : own.in, in && inside);
    if (outer)
      copy_one(beyond + it * (2 * STEP), in && edge ? at + side : own.in, in && edge);
  }
}

/* Adds a row to the sums under way; sum[] is the output that this row completes. */
static __device__ __forceinline__ void add_row(const float *tap, float4 v, float beyond, float (*later)[4], float *sum)
{
  const float before = __shfl_up_sync(0xffffffffu, v.w, 1, LANES), after = __shfl_down_sync(0xffffffffu, v.x, 1, LANES);
  const int place = threadIdx.x % LANES;
  const float x[6] = {place ? before : beyond, v.x, v.y, v.z, v.w, place != LANES - 1 ? after : beyond};
  float w[TAPS];
#pragma unroll
  for (int i = 0; i < TAPS; i += 4) {
    const float4 t = *(const float4 *)(tap + i);
    w[i] = t.x, w[i + 1] = t.y, w[i + 2] = t.z, w[i + 3] = t.w;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    sum[i] = KH > 1 ? later[0][i] : 0.0f;
#pragma unroll
    for (int b = 0; b < 3; b++)
      sum[i] = fmaf(w[(KH - 1) * 3 + b], x[i + b], sum[i]);
#pragma unroll
    for (int k = 0; k < KH - 1; k++) {
      later[k][i] = k + 1 < KH - 1 ? later[k + 1][i] : 0.0f;
#pragma unroll
      for (int b = 0; b < 3; b++)
        later[k][i] = fmaf(w[(KH - 2 - k) * 3 + b], x[i + b], later[k][i]);
    }
  }
}
#else
static __device__ __forceinline__ float convolve(const spot &own, const float *tap, int channel, int o, int q)
{
  float sum = 0.0f;
  for (int a = 0; a < KH; a++)
    for (int b = 0; b < KW; b++) {
      const int row = o * SH - PH + a * DH, col = q * SW - PW + b * DW;
      if (channel < C && (unsigned)row < H && (unsigned)col < W)
        sum = fmaf(tap[a * KW + b], __ldg(own.in + ((long long)channel * H + row) * W + col), sum);
    }
  return sum;
}
#endif

/* The makers' half: rows from .. to-1 into tiles in turn. */
static __device__ __forceinline__ void make(const spot &own, const float *taps, float *tiles, float *slots, int from, int to)
{
  const int place = threadIdx.x % LANES * 4;
#if FAST
  float *slot = slots, later[ITS][LATER][4] = {};
  for (int k = 0; k < AHEAD; k++) {
    if (from - KH + 1 + k < to)
      fetch(own, from - PH + k, slots + k * SLOT);
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
#endif
#pragma unroll 1
  for (int o = FAST ? from - KH + 1 : from; o < to; o++) {
    float *tile = tiles + ((o - from) & 1) * (CP * PITCH) + place;
    if (o >= from + 2)
      await(EMPTY + ((o - from) & 1));
#if FAST
    asm volatile("cp.async.wait_group %0;" ::"n"(AHEAD - 1) : "memory");
    const float *beyond = slot + ITS * MAKERS * 4 + threadIdx.x / LANES * 2 + (place != 0);
#endif
#pragma unroll
    for (int it = 0; it < ITS; it++) {
      const int channel = own.channel + it * STEP;
      float sum[4];
#if FAST
      const float4 v = *(const float4 *)(slot + (it * MAKERS + threadIdx.x) * 4);
      add_row(taps + channel * TAPS, v, place == 0 || place == PX - 4 ? beyond[it * (2 * STEP)] : 0.0f, later[it], sum);
#else
      for (int i = 0; i < 4; i++)
        sum[i] = convolve(own, taps + channel * TAPS, channel, o, own.col + i);
#endif
      if (o >= from)
        *(float4 *)(tile + channel * PITCH) = make_float4(tf32(sum[0]), tf32(sum[1]), tf32(sum[2]), tf32(sum[3]));
    }
#if FAST
    if (o + AHEAD < to)
      fetch(own, o + KH - 1 - PH + AHEAD, slot);
    asm volatile("cp.async.commit_group;" ::: "memory");
    slot = slot == slots + (AHEAD - 1) * SLOT ? slots : slot + SLOT;
#endif
    if (o >= from)
      arrive(FULL + ((o - from) & 1));
  }
}

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
separable(const float *__restrict__ x, const float *__restrict__ depthwise, const float *__restrict__ pointwise,
          float *__restrict__ y)
{
  extern __shared__ __align__(16) float shared[];
  float *mat = shared, *taps = mat + MT * CP, *tiles = taps + CP * TAPS;
  const int strips = (OW + PX - 1) / PX, groups = (M + MT - 1) / MT;
  const int col = blockIdx.x % strips * PX, first = blockIdx.x / strips % groups * MT;
  const int seg = blockIdx.x / (strips * groups) % SEGS;
  const long long image = blockIdx.x / (strips * groups * SEGS);
  const int from = seg * PART, to = min(from + PART, OH);
  float *out = y + image * M * OH * OW;

  load_weights(mat, taps, depthwise, pointwise, first);
  __syncthreads();
  if (from >= to)
    return;
  if (threadIdx.x < MAKERS) {
    const spot own = {x + image * C * H * W, (int)threadIdx.x / LANES, col + (int)threadIdx.x % LANES * 4};
    make(own, taps, tiles, tiles + 2 * CP * PITCH, from, to);
    return;
  }
#pragma unroll 1
  for (int o = from; o < to; o++) {
    const int side = (o - from) & 1;
    await(FULL + side);
    multiply(mat, tiles + side * (CP * PITCH), out + (long long)o * OW, first, col, o + 2 < to ? EMPTY + side : 0);
  }
}
