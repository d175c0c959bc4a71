/* SPDX-License-Identifier: MIT */
/* Masked scan 2: persistent blocks, the next tile already loading while this one is scanned, across the ends of rows.
   A warp a row with 128 bytes in flight waits for memory at each step; a block takes tiles of 16-byte packs instead.
   One row a block leaves the memory system to the other blocks whenever tiles are scanned, and starts each row with
   nothing in flight. Here a block takes every gridDim-th row and treats their tiles as one sequence: the loads of the
   next tile, of this row or the next, are issued before the current one is scanned and stored.
   Loses: registers for two tiles, so fewer blocks fit; rows are dealt out in advance. */

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

static __device__ __forceinline__ void fetch(pack (&v)[ITEMS], marks (&m)[ITEMS], const float *x,
                                             const unsigned char *mask, long long first, long long packs)
{
#pragma unroll
  for (int k = 0; k < ITEMS; k++) {
    v[k] = pack();
    m[k] = 0;
    if (first + k * 32 < packs) {
      v[k] = get((const pack *)x + first + k * 32);
      m[k] = get((const marks *)mask + first + k * 32);
    }
  }
}

extern "C" __global__ void __launch_bounds__(BLOCK)
masked_scan(const float *__restrict__ x, const unsigned char *__restrict__ mask, float *__restrict__ y, long long rows,
            long long cols)
{
  __shared__ float cell[2][WARPS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const long long packs = cols / VEC, mine = warp * (32 * ITEMS) + lane;
  long long row = blockIdx.x, tile = 0;
  float carry = NEUTRAL;
  int side = 0;
  pack next[ITEMS];
  marks next_mask[ITEMS];
  fetch(next, next_mask, x + row * cols, mask + row * cols, mine, packs);
  while (row < rows) {
    float v[ITEMS][VEC], before[ITEMS];
#pragma unroll
    for (int k = 0; k < ITEMS; k++)
      masked(v[k], next[k], next_mask[k]);
    float *out = y + row * cols;
    const long long first = tile + mine;
    tile += BLOCK * ITEMS;
    const bool ends = tile >= packs;
    if (ends)
      tile = 0, row += gridDim.x;
    if (row < rows)
      fetch(next, next_mask, x + row * cols, mask + row * cols, tile + mine, packs);

    float total = scan_tile(v, before, lane), base = exchange(cell[side], total, carry, warp, lane);
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      finish(v[k], join(base, before[k]));
      if (first + k * 32 < packs)
        put((pack *)out + first + k * 32, v[k]);
    }
    carry = ends ? NEUTRAL : carry;
    side ^= 1;
  }
}
