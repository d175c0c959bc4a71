/* SPDX-License-Identifier: MIT */
/* RMSNorm 3: persistent blocks, weights kept in registers, next row on its way.
   One block a row moved two bytes a load, read x twice and the weights once a row, and started cold for each. Here a
   load brings eight bf16, the grid fills the device once, a thread has the same columns in every row, so its weights are
   loaded once, and the next row flies while the current one is reduced by shuffles. The exchange cell alternates with
   the row, so one barrier a row is enough.
   Loses: rows are dealt out in advance, so the last round runs half empty, and three arrays crowd the registers. */
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

static __device__ __forceinline__ void fetch(pack (&v)[CHUNKS], const pack *in, int packs)
{
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      v[k] = get(&in[k * BLOCK + threadIdx.x]);
}

extern "C" __global__ void __launch_bounds__(BLOCK, BLOCKS_PER_SM)
rmsnorm(const pack *__restrict__ x, const pack *__restrict__ weight, float eps, pack *__restrict__ y, int rows, int packs)
{
  __shared__ float cell[2][BLOCK / 32];
  pack v[CHUNKS], next[CHUNKS], w[CHUNKS];
  fetch(v, x + (long long)blockIdx.x * packs, packs);
#pragma unroll
  for (int k = 0; k < CHUNKS; k++)
    if (k * BLOCK + threadIdx.x < packs)
      w[k] = __ldg(&weight[k * BLOCK + threadIdx.x]);

  int side = 0;
  for (int row = blockIdx.x; row < rows; row += gridDim.x, side ^= 1) {
    float sum = 0.0f;
    if (row + gridDim.x < rows)
      fetch(next, x + (long long)(row + gridDim.x) * packs, packs);
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
      if (k * BLOCK + threadIdx.x < packs)
        sum += squares(v[k]);
    for (int step = 16; step > 0; step /= 2)
      sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (threadIdx.x % 32 == 0)
      cell[side][threadIdx.x / 32] = sum;
    __syncthreads();
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < BLOCK / 32; i++)
      total += cell[side][i];
    float norm = rsqrtf(total / (packs * VEC) + eps);

    pack *out = y + (long long)row * packs;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
      if (k * BLOCK + threadIdx.x < packs)
        put(&out[k * BLOCK + threadIdx.x], scaled(v[k], w[k], norm));
      v[k] = next[k];
    }
  }
}
