/* SPDX-License-Identifier: MIT */
/* Depthwise-separable convolution 3: the same in one kernel, with rows of x on their way for AHEAD steps.
   The fused form held one row under way, in registers it had none to spare of. Here a thread's part of a row comes by
   cp.async into slots of shared memory that it alone reads, so waiting for its own copies is enough and the one barrier a
   row stays the only one. A block has PX places of a row, PX/8 warps.
   A block slides down the rows of a segment: the depthwise part is made in registers, rounded to TF32 (nearest) into one
   of two tiles in shared memory, and multiplied there by the pointwise weights on tensor cores (mma.sync m16n8k8, TF32
   operands, f32 sums). FAST (stride 1, three taps a row, 16-byte rows): a thread has 4 neighbouring places of ITS
   channels, gets those beside them from its neighbours by shuffles, and keeps the sums of the KH-1 outputs that later
   rows still add to, so a value of x is loaded once. Otherwise taps are loaded one by one. */

#define FAST (SH == 1 && SW == 1 && DH == 1 && DW == 1 && KW == 3 && PW == 1 && W % 4 == 0)
#define WARPS (PX / 8)
#define THREADS (32 * WARPS)
#define LANES (PX / 4) /* threads that share a row: half a warp or a warp */
#define MT 128
#define PITCH (PX + 8)             /* 8 mod 32: the four rows of a fragment fall into different banks */
#define CP ((C + 15) / 16 * 16)    /* 16 channels at a time */
#define ITS (CP / 16)
#define TAPS ((KH * KW + 3) / 4 * 4)
#define PART ((OH + SEGS - 1) / SEGS)
#define SLOT (ITS * (THREADS * 4 + 32)) /* what a block has of a row on its way */
#define LATER (KH > 1 ? KH - 1 : 1) /* outputs under way */

static __device__ __forceinline__ float tf32(float v)
{
  unsigned r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
  return __uint_as_float(r);
}

static __device__ __forceinline__ void mma(float *d, const float4 &a, float b0, float b1)
{
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(__float_as_uint(a.x)), "r"(__float_as_uint(a.y)), "r"(__float_as_uint(a.z)), "r"(__float_as_uint(a.w)),
        "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
}

/* Where a thread's channels and places are: channel it*16 + thread/LANES, places 4*(thread%LANES) .. +3. */
struct spot {
  const float *in; /* the image's first channel */
  int channel, col;
};

/* The pointwise weights in the order of fragments: each lane's four values of a 16x8 piece lie together. */
static __device__ __forceinline__ void load_weights(float *mat, float *taps, const float *depthwise, const float *pointwise,
                                                    int first)
{
  for (int e = threadIdx.x; e < MT * CP; e += THREADS) {
    const int lane = e / 4 % 32, k = e / 128 % (CP / 8) * 8 + lane % 4 + (e & 2) * 2;
    const int m = first + e / (16 * CP) * 16 + lane / 4 + (e & 1) * 8;
    mat[e] = m < M && k < C ? tf32(pointwise[m * C + k]) : 0.0f;
  }
  for (int e = threadIdx.x; e < CP * TAPS; e += THREADS)
    taps[e] = e / TAPS < C && e % TAPS < KH * KW ? depthwise[e / TAPS * (KH * KW) + e % TAPS] : 0.0f;
}

/* MT x PX outputs of row o from a tile of CP x PX; a warp has 32 x 32. Tile columns are taken in pairs, so that a lane
   ends up with four neighbouring outputs. */
static __device__ __forceinline__ void multiply(const float *mat, const float *tile, float *out, int first, int col)
{
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, mw = warp % 4 * 2, pw = warp / 4 * 32;
  float d[2][4][4] = {};
#pragma unroll
  for (int k = 0; k < CP / 8; k++) {
    float4 a[2];
#pragma unroll
    for (int i = 0; i < 2; i++)
      a[i] = *(const float4 *)(mat + (((mw + i) * (CP / 8) + k) * 32 + lane) * 4);
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const float *b = tile + (k * 8 + lane % 4) * PITCH + pw + j * 16 + lane / 4 * 2;
      const float2 b0 = *(const float2 *)b, b1 = *(const float2 *)(b + 4 * PITCH);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        mma(d[i][2 * j], a[i], b0.x, b1.x);
        mma(d[i][2 * j + 1], a[i], b0.y, b1.y);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 2; j++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int m = first + (mw + i) * 16 + lane / 4 + 8 * h, q = col + pw + j * 16 + lane % 4 * 4;
        const float v[4] = {d[i][2 * j][2 * h], d[i][2 * j + 1][2 * h], d[i][2 * j][2 * h + 1], d[i][2 * j + 1][2 * h + 1]};
        float *at = out + (long long)m * OH * OW + q;
        if (m >= M)
          continue;
#if OW % 4 == 0
        if (q < OW)
          __stcs((float4 *)at, make_float4(v[0], v[1], v[2], v[3])); /* a plain store is taken apart here */
#else
        for (int p = 0; p < 4; p++)
          if (q + p < OW)
            at[p] = v[p];
#endif
      }
}

#if FAST
static __device__ __forceinline__ void copy_async(float *to, const float *from, bool four)
{
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
  if (four)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
}

/* Starts copying a thread's part of row r: four values of each channel, and what lies beyond the strip for the outermost
   lanes. A slot holds ITS times THREADS quads, then ITS times 32 values from beyond. */
static __device__ __forceinline__ void fetch(const spot &own, int r, float *slot)
{
  const int place = threadIdx.x % LANES, side = place == 0 ? -1 : 4;
  const bool edge = (place == 0 || place == LANES - 1) && (unsigned)(own.col + side) < W;
  float *quad = slot + threadIdx.x * 4, *beyond = slot + ITS * THREADS * 4 + threadIdx.x / LANES * 2 + (place != 0);
#pragma unroll
  for (int it = 0; it < ITS; it++) {
    const bool in = (unsigned)r < H && own.channel + it * 16 < C;
    const float *at = own.in + ((long long)(own.channel + it * 16) * H + r) * W + own.col;
    if (in && own.col < W)
      copy_async(quad + it * THREADS * 4, at, true);
    else
      *(float4 *)(quad + it * THREADS * 4) = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (in && edge)
      copy_async(beyond + it * 32, at + side, false);
    else if (place == 0 || place == LANES - 1)
      beyond[it * 32] = 0.0f;
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
  const int place = threadIdx.x % LANES * 4;
  const spot own = {x + image * C * H * W, (int)threadIdx.x / LANES, col + place};
  float *out = y + image * M * OH * OW;

  load_weights(mat, taps, depthwise, pointwise, first);
  __syncthreads();
  if (from >= to)
    return;

#if FAST
  float *slots = tiles + 2 * CP * PITCH, *slot = slots, later[ITS][LATER][4] = {};
  for (int k = 0; k < AHEAD; k++) {
    if (from - KH + 1 + k < to)
      fetch(own, from - PH + k, slots + k * SLOT);
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
#endif
  float *tile = tiles;
#pragma unroll 1
  for (int o = FAST ? from - KH + 1 : from; o < to; o++) {
#if FAST
    asm volatile("cp.async.wait_group %0;" ::"n"(AHEAD - 1) : "memory");
    const float *beyond = slot + ITS * THREADS * 4 + threadIdx.x / LANES * 2 + (place != 0);
#endif
#pragma unroll
    for (int it = 0; it < ITS; it++) {
      const int channel = own.channel + it * 16;
      float sum[4];
#if FAST
      const float4 v = *(const float4 *)(slot + (it * THREADS + threadIdx.x) * 4);
      add_row(taps + channel * TAPS, v, place == 0 || place == PX - 4 ? beyond[it * 32] : 0.0f, later[it], sum);
#else
      for (int i = 0; i < 4; i++)
        sum[i] = convolve(own, taps + channel * TAPS, channel, o, own.col + i);
#endif
      *(float4 *)(tile + channel * PITCH + place) = make_float4(tf32(sum[0]), tf32(sum[1]), tf32(sum[2]), tf32(sum[3]));
    }
#if FAST
    if (o + AHEAD < to)
      fetch(own, o + KH - 1 - PH + AHEAD, slot);
    asm volatile("cp.async.commit_group;" ::: "memory");
    slot = slot == slots + (AHEAD - 1) * SLOT ? slots : slot + SLOT;
#endif
    if (o < from)
      continue;
    __syncthreads();
    multiply(mat, tile, out + (long long)o * OW, first, col);
    tile = tile == tiles ? tiles + CP * PITCH : tiles; /* the next row's tile: one barrier a row is enough */
  }
}
