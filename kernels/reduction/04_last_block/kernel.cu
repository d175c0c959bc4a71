/* SPDX-License-Identifier: MIT */
/* Column sum 4: the block that finishes last adds the parts, so the sum has a fixed order and needs no second launch.
   Atomics on y made the last bits depend on which block came first. Here every block writes its part to scratch, makes
   it visible with a fence, and takes a ticket of its column tile; who draws the last ticket adds all parts in order.
   Warps of a block stack: each takes every WARPS-th row of a tile of 32 * VEC columns, joined in shared memory.
   Loses: a fence, a ticket and a tail on one block at the end. The choice where results must repeat to the last bit. */

#if VEC == 4
typedef float4 pack;
static __device__ __forceinline__ pack zero() { return make_float4(0, 0, 0, 0); }
static __device__ __forceinline__ pack add(pack a, pack b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
#else
typedef float pack;
static __device__ __forceinline__ pack zero() { return 0.0f; }
static __device__ __forceinline__ pack add(pack a, pack b) { return a + b; }
#endif

/* STREAM marks the loads: no line of x is used again. */
static __device__ __forceinline__ pack get(const pack *p)
{
#if STREAM
  return __ldcs(p);
#else
  return __ldg(p);
#endif
}

static __device__ __forceinline__ pack sum_rows(const pack *x, long long from, long long to, int stride, int packs)
{
  pack sum[UNROLL];
#pragma unroll
  for (int u = 0; u < UNROLL; u++)
    sum[u] = zero();
  long long r = from;
  for (; r + (UNROLL - 1) * stride < to; r += UNROLL * stride)
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      sum[u] = add(sum[u], get(&x[(r + u * stride) * packs]));
  for (; r < to; r += stride)
    sum[0] = add(sum[0], get(&x[r * packs]));
#pragma unroll
  for (int u = 1; u < UNROLL; u++)
    sum[0] = add(sum[0], sum[u]);
  return sum[0];
}

/* Adds the block's WARPS packs of every lane; the result is whole in the first warp. */
static __device__ __forceinline__ pack join(pack (*cell)[32], pack v, int warp, int lane)
{
  cell[warp][lane] = v;
  __syncthreads();
  if (warp == 0) {
#pragma unroll
    for (int w = 1; w < WARPS; w++)
      v = add(v, cell[w][lane]);
  }
  __syncthreads();
  return v;
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
column_sum(const pack *__restrict__ x, pack *partial, unsigned *tickets, pack *__restrict__ y, long long rows, int packs)
{
  __shared__ pack cell[WARPS][32];
  __shared__ bool last;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int c = blockIdx.x * 32 + lane;
  const long long part = (rows + gridDim.y - 1) / gridDim.y;
  const long long from = min(blockIdx.y * part, rows), to = min(from + part, rows);

  pack sum = zero();
  if (c < packs)
    sum = sum_rows(x + c, from + warp, to, WARPS, packs);
  sum = join(cell, sum, warp, lane);
  if (warp == 0 && c < packs)
    partial[(long long)blockIdx.y * packs + c] = sum;

  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0)
    last = atomicAdd(&tickets[blockIdx.x], 1u) == gridDim.y - 1;
  __syncthreads();
  if (!last)
    return;
  __threadfence();

  sum = zero();
  if (c < packs)
    for (int s = warp; s < gridDim.y; s += WARPS)
      sum = add(sum, __ldcg(&partial[(long long)s * packs + c]));
  sum = join(cell, sum, warp, lane);
  if (warp == 0 && c < packs)
    y[c] = sum;
}
