/* SPDX-License-Identifier: MIT */
/* Column sum 6: a block is a tile of 32 * VEC columns and WARPS rows, joined in shared memory before one atomic.
   The split form needed an atomic a thread and many warps to cover 4-byte loads. Here the warps of a block stack: each
   walks every WARPS-th row of the block's share with 16-byte loads, UNROLL of them in flight, their sums meet in shared
   memory, and one atomic a column leaves the block. Parts can be large or small: SPLIT decides. */

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

extern "C" __global__ void __launch_bounds__(32 * WARPS) column_sum(const pack *__restrict__ x, float *__restrict__ y,
                                                                    long long rows, int packs)
{
  __shared__ pack cell[WARPS][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int c = blockIdx.x * 32 + lane;
  const long long part = (rows + gridDim.y - 1) / gridDim.y;
  const long long from = min(blockIdx.y * part, rows), to = min(from + part, rows);

  pack sum[UNROLL];
#pragma unroll
  for (int u = 0; u < UNROLL; u++)
    sum[u] = zero();
  if (c < packs) {
    long long r = from + warp;
    for (; r + (UNROLL - 1) * WARPS < to; r += UNROLL * WARPS)
#pragma unroll
      for (int u = 0; u < UNROLL; u++)
        sum[u] = add(sum[u], get(&x[(r + u * WARPS) * packs + c]));
    for (; r < to; r += WARPS)
      sum[0] = add(sum[0], get(&x[r * packs + c]));
  }
#pragma unroll
  for (int u = 1; u < UNROLL; u++)
    sum[0] = add(sum[0], sum[u]);

  cell[warp][lane] = sum[0];
  __syncthreads();
  /* Every thread of the first VEC warps adds up one column: float cell[WARPS][32 * VEC]. */
  for (int i = threadIdx.x; i < 32 * VEC; i += 32 * WARPS) {
    float total = 0.0f;
#pragma unroll
    for (int w = 0; w < WARPS; w++)
      total += ((const float *)cell)[w * 32 * VEC + i];
    int col = blockIdx.x * 32 * VEC + i;
    if (col < packs * VEC)
      atomicAdd(&y[col], total);
  }
}
