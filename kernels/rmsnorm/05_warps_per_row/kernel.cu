/* SPDX-License-Identifier: MIT */
/* RMSNorm 5: a few warps a row, the row in registers, several rows a block.
   The vector form read x twice. Here a row belongs to WARPS_PER_ROW warps, which keep it in registers, packed as it
   came; with one warp a row there is no barrier at all. ROWS rows share a block, so that multiprocessors still fill up.
   Loses: the weights are requested only after the reduction, and rows of one block wait for each other at its end. */
#include <cuda_bf16.h>

#if VEC == 8
typedef uint4 pack; /* eight bf16 */
#else
typedef __nv_bfloat16 pack;
#endif

static __device__ __forceinline__ void unpack(pack p, float *v)
{
#if VEC == 8
  const unsigned word[4] = {p.x, p.y, p.z, p.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    v[2 * i] = __uint_as_float(word[i] << 16);
    v[2 * i + 1] = __uint_as_float(word[i] & 0xffff0000u);
  }
#else
  v[0] = __bfloat162float(p);
#endif
}

static __device__ __forceinline__ pack make_pack(const float *v)
{
#if VEC == 8
  unsigned word[4];
#pragma unroll
  for (int i = 0; i < 4; i++)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word[i]) : "f"(v[2 * i + 1]), "f"(v[2 * i]));
  return make_uint4(word[0], word[1], word[2], word[3]);
#else
  return __float2bfloat16(v[0]);
#endif
}

static __device__ __forceinline__ float squares(pack p)
{
  float v[VEC], sum = 0.0f;
  unpack(p, v);
#pragma unroll
  for (int i = 0; i < VEC; i++)
    sum = fmaf(v[i], v[i], sum);
  return sum;
}

static __device__ __forceinline__ pack scaled(pack p, pack weight, float norm)
{
  float v[VEC], w[VEC];
  unpack(p, v);
  unpack(weight, w);
#pragma unroll
  for (int i = 0; i < VEC; i++)
    v[i] *= norm * w[i];
  return make_pack(v);
}

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

extern "C" __global__ void __launch_bounds__(LANES *ROWS)
rmsnorm(const pack *__restrict__ x, const pack *__restrict__ weight, float eps, pack *__restrict__ y, int rows, int packs)
{
  __shared__ float cell[ROWS][WARPS_PER_ROW];
  const int lane = threadIdx.x % LANES, slot = threadIdx.x / LANES;
  const long long row = (long long)blockIdx.x * ROWS + slot;
  const bool here = row < rows;
  const pack *in = x + row * packs;
  pack *out = y + row * packs;

  pack v[CHUNKS];
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (here && k * LANES + lane < packs)
      v[k] = get(&in[k * LANES + lane]);
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (here && k * LANES + lane < packs)
      sum += squares(v[k]);
  for (int step = 16; step > 0; step /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
  if (WARPS_PER_ROW > 1) {
    if (lane % 32 == 0)
      cell[slot][lane / 32] = sum;
    __syncthreads();
    sum = 0.0f;
#pragma unroll
    for (int i = 0; i < WARPS_PER_ROW; i++)
      sum += cell[slot][i];
  }
  float norm = rsqrtf(sum / (packs * VEC) + eps);

#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (here && k * LANES + lane < packs)
      put(&out[k * LANES + lane], scaled(v[k], __ldg(&weight[k * LANES + lane]), norm));
}
