/* SPDX-License-Identifier: MIT */
/* Column sum 3: one wave of blocks over long contiguous stretches, joined by atomics.
   Two passes paid for a second launch. Here blocks add their part to y with atomics, few beside the loads; the price is
   a cleared output. A block reads up to 16 KB of one row at a time, the grid is exactly BLOCKS_PER_SM blocks a
   multiprocessor, and rows are dealt out round robin in groups of UNROLL, so that all blocks sweep the matrix together.
   Loses: the order of the additions, and so the last bits, change from run to run. */

#if VEC == 4
typedef float4 pack;
static __device__ __forceinline__ pack zero() { return make_float4(0, 0, 0, 0); }
static __device__ __forceinline__ pack add(pack a, pack b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
static __device__ __forceinline__ void add_to(float *y, pack v)
{
  atomicAdd(y, v.x), atomicAdd(y + 1, v.y), atomicAdd(y + 2, v.z), atomicAdd(y + 3, v.w);
}
#else
typedef float pack;
static __device__ __forceinline__ pack zero() { return 0.0f; }
static __device__ __forceinline__ pack add(pack a, pack b) { return a + b; }
static __device__ __forceinline__ void add_to(float *y, pack v) { atomicAdd(y, v); }
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

extern "C" __global__ void __launch_bounds__(BLOCK) column_sum(const pack *__restrict__ x, float *__restrict__ y,
                                                               long long rows, int packs)
{
  const int c = blockIdx.x * BLOCK + threadIdx.x;
  if (c >= packs)
    return;
  const long long step = (long long)gridDim.y * UNROLL;
  pack sum[UNROLL];
#pragma unroll
  for (int u = 0; u < UNROLL; u++)
    sum[u] = zero();
  long long r = (long long)blockIdx.y * UNROLL;
  for (; r + UNROLL <= rows; r += step)
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      sum[u] = add(sum[u], get(&x[(r + u) * packs + c]));
  for (; r < rows; r++) /* at most one group is cut off, and only one block reaches it */
    sum[0] = add(sum[0], get(&x[r * packs + c]));
#pragma unroll
  for (int u = 1; u < UNROLL; u++)
    sum[0] = add(sum[0], sum[u]);
  add_to(y + (long long)c * VEC, sum[0]);
}
