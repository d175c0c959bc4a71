/* SPDX-License-Identifier: MIT */
/* RMSNorm 6: one small block a row, the row in registers, weights requested early.
   Rows that shared a block waited for each other, and for their weights. Here a row is a block of its own; a thread
   keeps its CHUNKS packs (four registers for eight values) from the load to the store, and asks for the weights right
   behind them, so that their latency hides behind the reduction. */
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

extern "C" __global__ void __launch_bounds__(BLOCK)
rmsnorm(const pack *__restrict__ x, const pack *__restrict__ weight, float eps, pack *__restrict__ y, int packs)
{
  __shared__ float cell[BLOCK / 32];
  const pack *in = x + (long long)blockIdx.x * packs;
  pack *out = y + (long long)blockIdx.x * packs;

  pack v[CHUNKS], w[CHUNKS];
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      v[k] = get(&in[k * BLOCK + threadIdx.x]);
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      w[k] = __ldg(&weight[k * BLOCK + threadIdx.x]);

  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      sum += squares(v[k]);
  for (int step = 16; step > 0; step /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0.0f;
#pragma unroll
  for (int i = 0; i < BLOCK / 32; i++)
    total += cell[i];
  float norm = rsqrtf(total / (packs * VEC) + eps);

#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      put(&out[k * BLOCK + threadIdx.x], scaled(v[k], w[k], norm));
}
