/* SPDX-License-Identifier: MIT */
/* KL divergence 3: the logarithm by lg2.approx, the quotient by rcp.approx, tests outside the loop.
   logf and the division with their scaling, and three selects an element, filled the issue slots. Both approximations
   are good to 2^-22, the first in absolute terms near 1, which is where the terms cancel. The least of all t and q is
   carried along instead of tests; if it is negative, the result is no number, as the logarithm's. A quotient of 0 is
   raised to the least normal number, whose logarithm times 0 is the right 0.
   Loses: a q below 2.4e-38, whose inverse overflows, makes the result infinite a little early. */

#if VEC == 4
typedef float4 pack;
#else
typedef float pack;
#endif

/* LOAD: 0 plain, 1 streaming, 2 past L1: no line is used again. */
static __device__ __forceinline__ pack get(const pack *p)
{
#if LOAD == 0
  return __ldg(p);
#elif LOAD == 1 || VEC == 1
  return __ldcs(p);
#else
  pack v;
  asm("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p));
  return v;
#endif
}

/* Adds t log2(t / q). */
static __device__ __forceinline__ void add(float q, float t, float &sum, float &least)
{
  float r, l;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(q));
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(t * r), "f"(1.17549435e-38f));
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(l) : "f"(r));
  sum = fmaf(t, l, sum);
  least = fminf(least, fminf(q, t));
}
static __device__ __forceinline__ void add_pack(pack q, pack t, float &sum, float &least)
{
#if VEC == 4
  add(q.x, t.x, sum, least);
  add(q.y, t.y, sum, least);
  add(q.z, t.z, sum, least);
  add(q.w, t.w, sum, least);
#else
  add(q, t, sum, least);
#endif
}

/* The block's sum, whole in thread 0. A barrier must stand between two calls. */
static __device__ __forceinline__ double block_sum(double v)
{
  __shared__ double cell[BLOCK / 32];
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int w = 1; w < BLOCK / 32; w++)
      v += cell[w];
  return v;
}

/* Publishes the block's part; the block that draws the last ticket adds all parts in order and writes their mean. */
static __device__ __forceinline__ void finish(double sum, double *part, unsigned *ticket, float *y, double count)
{
  __shared__ bool last;
  const unsigned blocks = gridDim.x * gridDim.y, block = blockIdx.y * gridDim.x + blockIdx.x;
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    part[block] = sum;
    __threadfence();
    last = atomicAdd(ticket, 1u) == blocks - 1;
  }
  __syncthreads();
  if (!last)
    return;
  __threadfence();
  sum = 0;
  for (unsigned i = threadIdx.x; i < blocks; i += BLOCK)
    sum += __ldcg(&part[i]);
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    y[0] = (float)(sum / count);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
kl(const pack *__restrict__ q, const pack *__restrict__ t, double *part, unsigned *ticket, float *__restrict__ y,
   long long packs, long long rows)
{
  const long long step = (long long)gridDim.x * (BLOCK * UNROLL);
  float sum[UNROLL], least = 0.0f;
  pack a[UNROLL], b[UNROLL];
#pragma unroll
  for (int k = 0; k < UNROLL; k++)
    sum[k] = 0.0f;
  for (long long i = (long long)blockIdx.x * (BLOCK * UNROLL) + threadIdx.x; i < packs; i += step) {
#pragma unroll
    for (int k = 0; k < UNROLL; k++)
      if (i + k * BLOCK < packs) {
        a[k] = get(&q[i + k * BLOCK]);
        b[k] = get(&t[i + k * BLOCK]);
      }
#pragma unroll
    for (int k = 0; k < UNROLL; k++)
      if (i + k * BLOCK < packs)
        add_pack(a[k], b[k], sum[k], least);
  }
#pragma unroll
  for (int k = 1; k < UNROLL; k++)
    sum[0] += sum[k];
  finish(least < 0.0f ? (double)__int_as_float(0x7fffffff) : 0.69314718055994531 * (double)sum[0], part, ticket, y, (double)rows);
}
