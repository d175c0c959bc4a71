/* SPDX-License-Identifier: MIT */
/* Scan 5: tiles as large as registers allow, and the next one on its way to shared memory meanwhile.
   A block with its whole row in registers has no room to prefetch another, and starts each row with nothing in flight.
   Shared memory has as much room as the registers: cp.async fills it with the next tile, of this row or the block's
   next, while this one is scanned and stored. Every thread reads back only what it copied itself, so its own wait is
   enough; the slots are filled again behind the barrier that every tile has anyway.
   OP: 1 sum, 2 product, 3 sum from the right, 4 sum without the element itself.
   Loses: each value goes through shared memory once more; rows are dealt out in advance. */

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

/* OP 3 walks from the right: packs in mirrored order, each turned round. */
static __device__ __forceinline__ void copy_async(float *to, const float *row, long long pack, long long packs)
{
  const float *from = row + VEC * (OP == 3 ? packs - 1 - pack : pack);
  unsigned at = (unsigned)__cvta_generic_to_shared(to);
#if VEC == 4
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
#endif
}
static __device__ __forceinline__ void take(float (&v)[VEC], const float *from)
{
#if VEC == 4
  float4 t = *(const float4 *)from;
  v[0] = OP == 3 ? t.w : t.x, v[1] = OP == 3 ? t.z : t.y, v[2] = OP == 3 ? t.y : t.z, v[3] = OP == 3 ? t.x : t.w;
#else
  v[0] = *from;
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

/* Starts a tile's copies, into this thread's own slots. */
static __device__ __forceinline__ void fill(float *slot, const float *in, long long first, long long packs)
{
#pragma unroll
  for (int k = 0; k < ITEMS; k++)
    if (first + k * 32 < packs)
      copy_async(slot + k * BLOCK * VEC, in, first + k * 32, packs);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
scan(const float *__restrict__ x, float *__restrict__ y, long long rows, long long cols)
{
  extern __shared__ __align__(16) float slots[]; /* ITEMS * BLOCK packs */
  __shared__ float cell[2][WARPS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const long long packs = cols / VEC, mine = warp * (32 * ITEMS) + lane;
  float *slot = slots + threadIdx.x * VEC, carry = NEUTRAL;
  long long row = blockIdx.x, tile = 0;
  int side = 0;
  fill(slot, x + row * cols, mine, packs);
  while (row < rows) {
    float v[ITEMS][VEC], before[ITEMS], *out = y + row * cols;
    const long long first = tile + mine;
    asm volatile("cp.async.wait_all;" ::: "memory");
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
#pragma unroll
      for (int i = 0; i < VEC; i++)
        v[k][i] = NEUTRAL;
      if (first + k * 32 < packs)
        take(v[k], slot + k * BLOCK * VEC);
    }
    tile += BLOCK * ITEMS;
    const bool ends = tile >= packs;
    if (ends)
      tile = 0, row += gridDim.x;

    float total = scan_tile(v, before, lane), base = exchange(cell[side], total, carry, warp, lane);
    if (row < rows)
      fill(slot, x + row * cols, tile + mine, packs);
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      finish(v[k], join(base, before[k]));
      if (first + k * 32 < packs)
        put(out, first + k * 32, packs, v[k]);
    }
    carry = ends ? NEUTRAL : carry;
    side ^= 1;
  }
}
