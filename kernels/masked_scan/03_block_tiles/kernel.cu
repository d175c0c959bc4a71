/* SPDX-License-Identifier: MIT */
/* Masked scan 3: one block a row in tiles as large as registers allow, and nothing prefetched.
   Small tiles cost a barrier each and touch memory in small pieces. A tile of 1,024 threads with 4 packs each is half a
   row of 32,768: read in one burst, scanned with one barrier, written in one burst, while the other multiprocessors are
   at other points of theirs. On an H200 that beats prefetching by 4 %.
   Loses: short rows leave most threads of a large block idle; nothing is in flight in a block while it scans. */

#define WARPS (BLOCK / 32)
#define NEUTRAL 0.0f
static __device__ __forceinline__ float join(float a, float b) { return a + b; }

/* Joins of lanes 0..lane. */
static __device__ __forceinline__ float warp_scan(float v, int lane)
{
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    float left = __shfl_up_sync(0xffffffffu, v, step);
    v = lane >= step ? join(left, v) : v;
  }
  return v;
}

/* LOAD: 0 plain, 1 streaming. STORE: 0 plain, 1 streaming. */
#if VEC == 4
typedef float4 pack;
typedef unsigned marks; /* four bytes of mask */
#else
typedef float pack;
typedef unsigned char marks;
#endif
template <class T> static __device__ __forceinline__ T get(const T *p)
{
#if LOAD
  return __ldcs(p);
#else
  return __ldg(p);
#endif
}
static __device__ __forceinline__ void masked(float (&v)[VEC], pack t, marks m)
{
#if VEC == 4
  v[0] = m & 0xffu ? t.x : 0.0f, v[1] = m & 0xff00u ? t.y : 0.0f;
  v[2] = m & 0xff0000u ? t.z : 0.0f, v[3] = m & 0xff000000u ? t.w : 0.0f;
#else
  v[0] = m ? t : 0.0f;
#endif
}
static __device__ __forceinline__ void put(pack *p, const float (&v)[VEC])
{
#if VEC == 4
  pack t = make_float4(v[0], v[1], v[2], v[3]);
#else
  pack t = v[0];
#endif
#if STORE
  __stcs(p, t);
#else
  *p = t;
#endif
}

/* A warp's tile, pack k of lane l standing at k * 32 + l: leaves running joins in v, and what comes before each pack
   within the tile in `before`; gives the whole tile's join. The ITEMS scans are independent. */
static __device__ __forceinline__ float scan_tile(float (&v)[ITEMS][VEC], float (&before)[ITEMS], int lane)
{
  float total = NEUTRAL;
#pragma unroll
  for (int k = 0; k < ITEMS; k++) {
#pragma unroll
    for (int i = 1; i < VEC; i++)
      v[k][i] = join(v[k][i - 1], v[k][i]);
    float sum = warp_scan(v[k][VEC - 1], lane), left = __shfl_up_sync(0xffffffffu, sum, 1);
    before[k] = lane ? join(total, left) : total;
    total = join(total, __shfl_sync(0xffffffffu, sum, 31));
  }
  return total;
}

/* The results of one pack, given everything to its left. */
static __device__ __forceinline__ void finish(float (&v)[VEC], float left)
{
#pragma unroll
  for (int i = 0; i < VEC; i++)
    v[i] = join(left, v[i]);
}

/* Totals of the warps to the left joined to the carry, which takes the whole block's with it. One barrier: the cells of
   this tile are written again two tiles later. */
static __device__ __forceinline__ float exchange(float *cell, float total, float &carry, int warp, int lane)
{
  if (lane == 0)
    cell[warp] = total;
  __syncthreads();
  float base = carry;
#pragma unroll
  for (int w = 0; w < WARPS; w++) {
    base = w == warp ? carry : base;
    carry = join(carry, cell[w]);
  }
  return base;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
masked_scan(const float *__restrict__ x, const unsigned char *__restrict__ mask, float *__restrict__ y, long long cols)
{
  __shared__ float cell[2][WARPS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const pack *in = (const pack *)(x + blockIdx.x * cols);
  const marks *in_mask = (const marks *)(mask + blockIdx.x * cols);
  pack *out = (pack *)(y + blockIdx.x * cols);
  const long long packs = cols / VEC;
  float carry = NEUTRAL;
  int side = 0;
  for (long long tile = 0; tile < packs; tile += BLOCK * ITEMS, side ^= 1) {
    const long long first = tile + warp * (32 * ITEMS) + lane;
    pack t[ITEMS];
    marks m[ITEMS];
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      t[k] = pack();
      m[k] = 0;
      if (first + k * 32 < packs) {
        t[k] = get(in + first + k * 32);
        m[k] = get(in_mask + first + k * 32);
      }
    }
    float v[ITEMS][VEC], before[ITEMS];
#pragma unroll
    for (int k = 0; k < ITEMS; k++)
      masked(v[k], t[k], m[k]);
    float total = scan_tile(v, before, lane), base = exchange(cell[side], total, carry, warp, lane);
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      finish(v[k], join(base, before[k]));
      if (first + k * 32 < packs)
        put(out + first + k * 32, v[k]);
    }
  }
}
