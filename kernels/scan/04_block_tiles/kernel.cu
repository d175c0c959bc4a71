/* SPDX-License-Identifier: MIT */
/* Scan 4: one block a row in tiles as large as registers allow, and nothing prefetched.
   Small tiles cost a barrier each and touch memory in small pieces. A tile of 512 threads with 16 packs each is a row of
   32,768: read in one burst, scanned with one barrier, written in one burst, while the other multiprocessors are at
   other points of theirs. On an H200 that beats prefetching, into registers or by cp.async, by 5 % and more.
   OP: 1 sum, 2 product, 3 sum from the right, 4 sum without the element itself.
   Loses: short rows leave most threads of a large block idle; nothing is in flight in a block while it scans. */

#define WARPS (BLOCK / 32)
#if OP == 2
#define NEUTRAL 1.0f
/* Once a running product is 0 it stays so, though what follows may overflow on its own. */
static __device__ __forceinline__ float join(float a, float b) { return a == 0.0f ? 0.0f : a * b; }
#else
#define NEUTRAL 0.0f
static __device__ __forceinline__ float join(float a, float b) { return a + b; }
#endif

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

/* LOAD: 0 plain, 1 streaming, 2 past L1. STORE: 0 plain, 1 streaming. OP 3 walks from the right: packs in mirrored order,
   each turned round. */
static __device__ __forceinline__ void get(float (&v)[VEC], const float *row, long long pack, long long packs)
{
  const long long at = OP == 3 ? packs - 1 - pack : pack;
#if VEC == 4
  float4 t;
#if LOAD == 0
  t = __ldg((const float4 *)row + at);
#elif LOAD == 1
  t = __ldcs((const float4 *)row + at);
#else
  asm("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];"
      : "=f"(t.x), "=f"(t.y), "=f"(t.z), "=f"(t.w) : "l"((const float4 *)row + at));
#endif
  v[0] = OP == 3 ? t.w : t.x, v[1] = OP == 3 ? t.z : t.y, v[2] = OP == 3 ? t.y : t.z, v[3] = OP == 3 ? t.x : t.w;
#else
  v[0] = __ldg(row + at);
#endif
}
static __device__ __forceinline__ void put(float *row, long long pack, long long packs, const float (&v)[VEC])
{
  const long long at = OP == 3 ? packs - 1 - pack : pack;
#if VEC == 4
  float4 t = OP == 3 ? make_float4(v[3], v[2], v[1], v[0]) : make_float4(v[0], v[1], v[2], v[3]);
#if STORE
  __stcs((float4 *)row + at, t);
#else
  ((float4 *)row)[at] = t;
#endif
#else
  row[at] = v[0];
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
  for (int i = VEC - 1; i >= 0; i--)
    v[i] = OP != 4 ? join(left, v[i]) : i ? join(left, v[i - 1]) : left;
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
scan(const float *__restrict__ x, float *__restrict__ y, long long cols)
{
  __shared__ float cell[2][WARPS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const float *in = x + blockIdx.x * cols;
  float *out = y + blockIdx.x * cols;
  const long long packs = cols / VEC;
  float carry = NEUTRAL;
  int side = 0;
  for (long long tile = 0; tile < packs; tile += BLOCK * ITEMS, side ^= 1) {
    const long long first = tile + warp * (32 * ITEMS) + lane;
    float v[ITEMS][VEC], before[ITEMS];
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      for (int i = 0; i < VEC; i++)
        v[k][i] = NEUTRAL;
      if (first + k * 32 < packs)
        get(v[k], in, first + k * 32, packs);
    }
    float total = scan_tile(v, before, lane), base = exchange(cell[side], total, carry, warp, lane);
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      finish(v[k], join(base, before[k]));
      if (first + k * 32 < packs)
        put(out, first + k * 32, packs, v[k]);
    }
  }
}
