/* SPDX-License-Identifier: MIT */
/* LayerNorm 2: persistent warps, one row each, next row on its way.
   Two kernels walked rows by single threads and read x three times from memory. Here a warp owns a row, keeps it in
   registers, 16 bytes a load, and finds mean and exact two-step variance by shuffles, without any barrier. Warps stay:
   each walks rows a grid apart and requests its next row before it reduces the current one.
   Loses: two rows a lane in registers leave few warps resident, and rows are dealt out in advance. */

#if VEC == 4
typedef float4 pack;
static __device__ __forceinline__ float total(float4 v) { return (v.x + v.y) + (v.z + v.w); }
static __device__ __forceinline__ float squares(float4 v, float m)
{
  v = make_float4(v.x - m, v.y - m, v.z - m, v.w - m);
  return fmaf(v.x, v.x, v.y * v.y) + fmaf(v.z, v.z, v.w * v.w);
}
static __device__ __forceinline__ float4 apply(float4 v, float m, float s, float4 w, float4 b)
{
  return make_float4(fmaf((v.x - m) * s, w.x, b.x), fmaf((v.y - m) * s, w.y, b.y), fmaf((v.z - m) * s, w.z, b.z),
                     fmaf((v.w - m) * s, w.w, b.w));
}
#else
typedef float pack;
static __device__ __forceinline__ float total(float v) { return v; }
static __device__ __forceinline__ float squares(float v, float m) { return (v - m) * (v - m); }
static __device__ __forceinline__ float apply(float v, float m, float s, float w, float b)
{
  return fmaf((v - m) * s, w, b);
}
#endif

/* HINT: 1 marks loads as streaming (each line is used once), 2 stores, 3 both, 0 neither. */
static __device__ __forceinline__ pack get(const pack *p)
{
#if HINT & 1
  return __ldcs(p);
#else
  return __ldg(p);
#endif
}

static __device__ __forceinline__ void put(pack *p, pack v)
{
#if HINT & 2
  __stcs(p, v);
#else
  *p = v;
#endif
}

static __device__ __forceinline__ void fetch(pack (&v)[CHUNKS], const pack *in, int lane, int packs)
{
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * 32 + lane < packs)
      v[k] = get(&in[k * 32 + lane]);
}

static __device__ __forceinline__ float warp_sum(float v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
}

extern "C" __global__ void __launch_bounds__(32 * WARPS, BLOCKS_PER_SM)
layernorm(const pack *__restrict__ x, const pack *__restrict__ weight, const pack *__restrict__ bias, float eps,
          pack *__restrict__ y, int rows, int packs)
{
  const int lane = threadIdx.x % 32;
  const int step = gridDim.x * WARPS;
  int row = blockIdx.x * WARPS + threadIdx.x / 32;
  if (row >= rows)
    return;
  pack v[CHUNKS], next[CHUNKS];
  fetch(v, x + (long long)row * packs, lane, packs);
  for (; row < rows; row += step) {
    if (row + step < rows)
      fetch(next, x + (long long)(row + step) * packs, lane, packs);

    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
      if (k * 32 + lane < packs)
        sum += total(v[k]);
    float mean = warp_sum(sum) / (packs * VEC);
    sum = 0.0f;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
      if (k * 32 + lane < packs)
        sum += squares(v[k], mean);
    float scale = rsqrtf(warp_sum(sum) / (packs * VEC) + eps);

    pack *out = y + (long long)row * packs;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
      if (k * 32 + lane < packs)
        put(&out[k * 32 + lane], apply(v[k], mean, scale, __ldg(&weight[k * 32 + lane]), __ldg(&bias[k * 32 + lane])));
      v[k] = next[k];
    }
  }
}
