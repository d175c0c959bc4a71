/* SPDX-License-Identifier: MIT */
/* RMSNorm 4: back to one block a row, now with 16-byte accesses and warp shuffles.
   Persistent blocks end unevenly. With 8 KB rows a plain grid keeps many small blocks on every multiprocessor, which
   cover each other's waits. A load brings eight bf16, a warp adds up by shuffles, and warps meet once in shared memory.
   Loses: x is read twice; the second read hopes for the cache. */
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

static __device__ __forceinline__ float warp_sum(float v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
rmsnorm(const pack *__restrict__ x, const pack *__restrict__ weight, float eps, pack *__restrict__ y, int packs)
{
  __shared__ float cell[BLOCK / 32];
  const pack *in = x + (long long)blockIdx.x * packs;
  pack *out = y + (long long)blockIdx.x * packs;

  float sum = 0.0f;
  for (int c = threadIdx.x; c < packs; c += BLOCK)
    sum += squares(in[c]);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0.0f;
#pragma unroll
  for (int w = 0; w < BLOCK / 32; w++)
    total += cell[w];
  float norm = rsqrtf(total / (packs * VEC) + eps);

  for (int c = threadIdx.x; c < packs; c += BLOCK)
    out[c] = scaled(in[c], weight[c], norm);
}
