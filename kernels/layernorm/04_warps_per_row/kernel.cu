/* SPDX-License-Identifier: MIT */
/* LayerNorm 4: a warp (or two, or four) a row, the row in registers, 16 bytes a load.
   One block a row read every value three times, four bytes a load. Here each is read once: mean, centred variance and
   result all come from registers. WARPS_PER_ROW warps own a row; with one there is no barrier at all. ROWS rows share a
   block when rows are very short.
   Loses: weights and bias are requested only after the reductions. */

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

#define LANES (32 * WARPS_PER_ROW)

static __device__ __forceinline__ float row_sum(float *cell, float v, int lane)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  if (WARPS_PER_ROW == 1)
    return v;
  if (lane % 32 == 0)
    cell[lane / 32] = v;
  __syncthreads();
  v = 0.0f;
#pragma unroll
  for (int w = 0; w < WARPS_PER_ROW; w++)
    v += cell[w];
  return v;
}

extern "C" __global__ void __launch_bounds__(LANES *ROWS)
layernorm(const pack *__restrict__ x, const pack *__restrict__ weight, const pack *__restrict__ bias, float eps,
          pack *__restrict__ y, int rows, int packs)
{
  __shared__ float cell[2][ROWS][WARPS_PER_ROW];
  const int lane = threadIdx.x % LANES, slot = threadIdx.x / LANES;
  const long long row = (long long)blockIdx.x * ROWS + slot;
  const bool here = row < rows;
  const pack *in = x + row * packs;
  pack *out = y + row * packs;

  pack v[CHUNKS];
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (here && k * LANES + lane < packs)
      v[k] = get(&in[k * LANES + lane]);

  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (here && k * LANES + lane < packs)
      sum += total(v[k]);
  float mean = row_sum(cell[0][slot], sum, lane) / (packs * VEC);

  sum = 0.0f;
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (here && k * LANES + lane < packs)
      sum += squares(v[k], mean);
  float scale = rsqrtf(row_sum(cell[1][slot], sum, lane) / (packs * VEC) + eps);

#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (here && k * LANES + lane < packs)
      put(&out[k * LANES + lane],
             apply(v[k], mean, scale, __ldg(&weight[k * LANES + lane]), __ldg(&bias[k * LANES + lane])));
}
