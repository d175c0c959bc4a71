/* SPDX-License-Identifier: MIT */
/* KL divergence 2: 16-byte packs, UNROLL of them in flight a thread, one logarithm an element, and the last block
   finishes. t (log t - log q) = t log(t / q): one logarithm and one approximate division, and where t and q are close no
   digits cancel. f32 sums a thread, in double from there; parts are added in a fixed order.
   A negative t or q, whose logarithm isn't a number, must not hide in the quotient: their signs are looked at. */

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

static __device__ __forceinline__ float element(float q, float t)
{
  float v = t * logf(__fdividef(t, q));
  v = fminf(q, t) < 0.0f ? __int_as_float(0x7fffffff) : v;
  return t == 0.0f ? 0.0f : v;
}

static __device__ __forceinline__ float pack_sum(pack q, pack t)
{
#if VEC == 4
  return (element(q.x, t.x) + element(q.y, t.y)) + (element(q.z, t.z) + element(q.w, t.w));
#else
  return element(q, t);
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
  float sum[UNROLL];
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
        sum[k] += pack_sum(a[k], b[k]);
  }
#pragma unroll
  for (int k = 1; k < UNROLL; k++)
    sum[0] += sum[k];
  finish((double)sum[0], part, ticket, y, (double)rows);
}
