/* SPDX-License-Identifier: MIT */
/* Depthwise-separable convolution 4: the products with f16 operands that are scaled by powers of two.
   TF32 fragments are 4 bytes a value, and the traffic of shared memory is mostly fragments. f16 has TF32's ten bits of
   mantissa in half the bytes, but not its range: so a tile's values are multiplied by the power of two that brings their
   largest to 2^14, and each row of the pointwise weights by one of its own; both are taken back from the f32 sums, exactly.
   What is lost is below 2^-38 of a tile's largest. Tiles hold the even and the odd places of each 16 apart, so that
   ldmatrix gives a lane four neighbouring outputs.
   The rest is as before: a block has PX places of a row and PX/8 warps and slides down the rows of a segment; rows of x are
   AHEAD steps on their way by cp.async in slots that a thread alone reads; the depthwise part is made in registers.
   FAST (stride 1, three taps a row, 16-byte rows): a thread has 4 neighbouring places of ITS channels, gets those beside
   them from its neighbours by shuffles, and keeps the sums of the KH-1 outputs that later rows still add to. */

#define FAST (SH == 1 && SW == 1 && DH == 1 && DW == 1 && KW == 3 && PW == 1 && W % 4 == 0)
#define WARPS (PX / 8)
#define THREADS (32 * WARPS)
#define LANES (PX / 4) /* threads that share a row: half a warp or a warp */
#define MT 128
#define PITCH (PX / 2 + 4)         /* words; 4 mod 32: the eight rows of an 8x8 piece fall into different banks */
#define CP ((C + 15) / 16 * 16)    /* 16 channels at a time */
#define ITS (CP / 16)
#define TAPS ((KH * KW + 3) / 4 * 4)
#define PART ((OH + SEGS - 1) / SEGS)
#define SLOT (ITS * (THREADS * 4 + 32)) /* what a block has of a row on its way */
#define LATER (KH > 1 ? KH - 1 : 1) /* outputs under way */

static __device__ __forceinline__ unsigned pack_f16(float low, float high)
{
  unsigned r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

/* The power of two that brings a value with these bits to 2^14 .. 2^15, and what takes it back. */
static __device__ __forceinline__ int scale_exponent(unsigned bits) { return min(268 - (int)(bits >> 23), 254); }
static __device__ __forceinline__ float scale_of(unsigned bits) { return __int_as_float(scale_exponent(bits) << 23); }
static __device__ __forceinline__ float unscale_of(unsigned bits) { return __int_as_float(max(254 - scale_exponent(bits), 1) << 23); }

static __device__ __forceinline__ void mma(float *d, const uint4 &a, unsigned b0, unsigned b1)
{
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

/* Where a thread's channels and places are: channel it*16 + thread/LANES, places 4*(thread%LANES) .. +3. */
struct spot {
  const float *in; /* the image's first channel */
  int channel, col;
};

/* The pointwise weights, scaled by rows, in the order of fragments: each lane's four words of a 16x16 piece lie together.
   A warp takes a row at a time. */
static __device__ __forceinline__ void load_weights(unsigned *mat, float *unscale, float *taps, const float *depthwise,
                                                    const float *pointwise, int first)
{
  const int lane = threadIdx.x % 32;
  for (int m = threadIdx.x / 32; m < MT; m += WARPS) {
    unsigned peak = 0;
    for (int k = lane; k < C; k += 32)
      peak = max(peak, first + m < M ? __float_as_uint(fabsf(pointwise[(first + m) * C + k])) : 0u);
    peak = __reduce_max_sync(0xffffffffu, peak);
    for (int k = lane * 2; k < CP; k += 64) {
      const float *at = pointwise + (long long)(first + m) * C + k;
      const float low = first + m < M && k < C ? at[0] : 0.0f, high = first + m < M && k + 1 < C ? at[1] : 0.0f;
      const int holder = m % 8 * 4 + k / 2 % 4, word = m / 8 % 2 + k / 8 % 2 * 2;
      mat[((m / 16 * (CP / 16) + k / 16) * 32 + holder) * 4 + word] = pack_f16(low * scale_of(peak), high * scale_of(peak));
    }
    if (lane == 0)
      unscale[m] = unscale_of(peak);
  }
  for (int e = threadIdx.x; e < CP * TAPS; e += THREADS)
    taps[e] = e / TAPS < C && e % TAPS < KH * KW ? depthwise[e / TAPS * (KH * KW) + e % TAPS] : 0.0f;
}

/* MT x PX outputs of row o from a tile of CP x PX; a warp has 32 x 32. */
static __device__ __forceinline__ void multiply(const unsigned *mat, const float *unscale, const unsigned *tile, float tile_unscale,
                                                float *out, int first, int col)
{
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, mw = warp % 4 * 2, pw = warp / 4 * 32;
  const unsigned piece = (unsigned)__cvta_generic_to_shared(tile) + (lane % 16 * PITCH + (pw + lane / 16 * 8) / 2) * 4;
  float d[2][4][4] = {};
#pragma unroll
  for (int k = 0; k < CP / 16; k++) {
    uint4 a[2];
#pragma unroll
    for (int i = 0; i < 2; i++)
      a[i] = *(const uint4 *)(mat + (((mw + i) * (CP / 16) + k) * 32 + lane) * 4);
#pragma unroll
    for (int j = 0; j < 2; j++) {
      unsigned b[4];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
                   : "r"(piece + (k * 16 * PITCH + j * 8) * 4)
                   : "memory");
#pragma unroll
      for (int i = 0; i < 2; i++) {
        mma(d[i][2 * j], a[i], b[0], b[1]);
        mma(d[i][2 * j + 1], a[i], b[2], b[3]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int row = (mw + i) * 16 + lane / 4 + 8 * h, m = first + row;
      const float back = unscale[row];
      if (m >= M)
        continue;
#pragma unroll
      for (int j = 0; j < 2; j++) {
        const int q = col + pw + j * 16 + lane % 4 * 4;
        float v[4] = {d[i][2 * j][2 * h], d[i][2 * j + 1][2 * h], d[i][2 * j][2 * h + 1], d[i][2 * j + 1][2 * h + 1]};
        float *at = out + (long long)m * OH * OW + q;
#pragma unroll
        for (int p = 0; p < 4; p++)
          v[p] = v[p] * tile_unscale * back;
#if OW % 4 == 0
        if (q < OW)
          __stcs((float4 *)at, make_float4(v[0], v[1], v[2], v[3])); /* a plain store is taken apart here */
#else
#pragma unroll
        for (int p = 0; p < 4; p++)
          if (q + p < OW)
            at[p] = v[p];
#endif
      }
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
  extern __shared__ __align__(16) unsigned shared[];
  unsigned *mat = shared, *tile = mat + MT * CP / 2;
  float *taps = (float *)(tile + CP * PITCH), *unscale = taps + CP * TAPS;
  __shared__ unsigned peaks[2];
  const int strips = (OW + PX - 1) / PX, groups = (M + MT - 1) / MT;
  const int col = blockIdx.x % strips * PX, first = blockIdx.x / strips % groups * MT;
  const int seg = blockIdx.x / (strips * groups) % SEGS;
  const long long image = blockIdx.x / (strips * groups * SEGS);
  const int from = seg * PART, to = min(from + PART, OH);
  const int place = threadIdx.x % LANES * 4;
  const spot own = {x + image * C * H * W, (int)threadIdx.x / LANES, col + place};
  float *out = y + image * M * OH * OW;

  load_weights(mat, unscale, taps, depthwise, pointwise, first);
  if (threadIdx.x < 2)
    peaks[threadIdx.x] = 0;
  __syncthreads();
  if (from >= to)
    return;

#if FAST
  float *slots = unscale + MT, *slot = slots, later[ITS][LATER][4] = {};
  for (int k = 0; k < AHEAD; k++) {
    if (from - KH + 1 + k < to)
      fetch(own, from - PH + k, slots + k * SLOT);
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
#endif
  int side = 0;
#pragma unroll 1
  for (int o = FAST ? from - KH + 1 : from; o < to; o++) {
#if FAST
    asm volatile("cp.async.wait_group %0;" ::"n"(AHEAD - 1) : "memory");
    const float *beyond = slot + ITS * THREADS * 4 + threadIdx.x / LANES * 2 + (place != 0);
#endif
    float sum[ITS][4];
    unsigned peak = 0;
#pragma unroll
    for (int it = 0; it < ITS; it++) {
      const int channel = own.channel + it * 16;
#if FAST
      const float4 v = *(const float4 *)(slot + (it * THREADS + threadIdx.x) * 4);
      add_row(taps + channel * TAPS, v, place == 0 || place == PX - 4 ? beyond[it * 32] : 0.0f, later[it], sum[it]);
#else
      for (int i = 0; i < 4; i++)
        sum[it][i] = convolve(own, taps + channel * TAPS, channel, o, own.col + i);
#endif
#pragma unroll
      for (int i = 0; i < 4; i++)
        peak = max(peak, __float_as_uint(fabsf(sum[it][i])));
    }
#if FAST
    if (o + AHEAD < to)
      fetch(own, o + KH - 1 - PH + AHEAD, slot);
    asm volatile("cp.async.commit_group;" ::: "memory");
    slot = slot == slots + (AHEAD - 1) * SLOT ? slots : slot + SLOT;
#endif
    if (o < from)
      continue;
    peak = __reduce_max_sync(0xffffffffu, peak);
    if (threadIdx.x % 32 == 0)
      atomicMax(&peaks[side], peak);
    __syncthreads(); /* also: all are done with the last row's tile */
    peak = peaks[side];
    side ^= 1;
    const float scale = scale_of(peak);
#pragma unroll
    for (int it = 0; it < ITS; it++) {
      unsigned *to_tile = tile + (own.channel + it * 16) * PITCH + place / 16 * 8 + place % 16 / 4;
      to_tile[0] = pack_f16(sum[it][0] * scale, sum[it][2] * scale);
      to_tile[4] = pack_f16(sum[it][1] * scale, sum[it][3] * scale);
    }
    if (threadIdx.x == 0)
      peaks[side] = 0;
    __syncthreads();
    multiply(mat, unscale, tile, unscale_of(peak), out + (long long)o * OW, first, col);
  }
}
