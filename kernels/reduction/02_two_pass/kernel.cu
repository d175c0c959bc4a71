/* SPDX-License-Identifier: MIT */
/* Column sum 2: rows split over blocks, 16-byte loads, UNROLL rows in flight, a second kernel to finish.
   One thread a column left the device almost empty and issued one dependent 4-byte load at a time. Here the rows are cut
   into SPLIT parts; a thread owns four neighbouring columns of a part and UNROLL separate accumulators, so that many
   loads are outstanding and no addition waits for the one before it. Parts go to scratch and are added in a fixed order:
   the result is the same on every run.
   Loses: a second launch, and a small one: cols threads over SPLIT parts. */

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

extern "C" __global__ void __launch_bounds__(BLOCK) partial_sums(const pack *__restrict__ x, pack *__restrict__ partial,
                                                                 long long rows, int packs)
{
  int c = blockIdx.x * BLOCK + threadIdx.x;
  if (c >= packs)
    return;
  long long part = (rows + SPLIT - 1) / SPLIT;
  long long from = min(blockIdx.y * part, rows), to = min(from + part, rows);
  pack sum[UNROLL];
#pragma unroll
  for (int u = 0; u < UNROLL; u++)
    sum[u] = zero();
  const pack *in = x + from * packs + c;
  long long r = from;
  for (; r + UNROLL <= to; r += UNROLL, in += (long long)UNROLL * packs)
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      sum[u] = add(sum[u], get(in + (long long)u * packs));
  for (; r < to; r++, in += packs)
    sum[0] = add(sum[0], get(in));
#pragma unroll
  for (int u = 1; u < UNROLL; u++)
    sum[0] = add(sum[0], sum[u]);
  partial[(long long)blockIdx.y * packs + c] = sum[0];
}

extern "C" __global__ void add_parts(const float *__restrict__ partial, float *__restrict__ y, int cols)
{
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= cols)
    return;
  float sum = 0.0f;
#pragma unroll 8
  for (int s = 0; s < SPLIT; s++)
    sum += partial[(long long)s * cols + c];
  y[c] = sum;
}
