/* SPDX-License-Identifier: MIT */
/* LayerNorm 5: one small block a row, the row in registers, weights and bias requested early.
   The form before waited for its weights at the end of every row. Here they are asked for right behind the row, before
   the first barrier, to arrive during the reductions. The variance is the exact two-step one, at no cost, since the
   values are still there. */

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

static __device__ __forceinline__ float block_sum(float *cell, float v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  if (BLOCK == 32)
    return v;
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  v = 0.0f;
#pragma unroll
  for (int w = 0; w < BLOCK / 32; w++)
    v += cell[w];
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
layernorm(const pack *__restrict__ x, const pack *__restrict__ weight, const pack *__restrict__ bias, float eps,
          pack *__restrict__ y, int packs)
{
  __shared__ float cell[2][BLOCK / 32]; /* one for each sum, so that no barrier has to separate them */
  const pack *in = x + (long long)blockIdx.x * packs;
  pack *out = y + (long long)blockIdx.x * packs;

  pack v[CHUNKS], w[CHUNKS], b[CHUNKS];
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      v[k] = get(&in[k * BLOCK + threadIdx.x]);
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs) {
      w[k] = __ldg(&weight[k * BLOCK + threadIdx.x]);
      b[k] = __ldg(&bias[k * BLOCK + threadIdx.x]);
    }

  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      sum += total(v[k]);
  float mean = block_sum(cell[0], sum) / (packs * VEC);

  sum = 0.0f;
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      sum += squares(v[k], mean);
  float scale = rsqrtf(block_sum(cell[1], sum) / (packs * VEC) + eps);

#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      put(&out[k * BLOCK + threadIdx.x], apply(v[k], mean, scale, w[k], b[k]));
}
