/* SPDX-License-Identifier: MIT */
/* Mean loss 3: a thread keeps to one pack of columns and walks down the rows, UNROLL rows in flight.
   Where one row of t goes with all rows of p, its pack then stays in a register and L1 carries p alone. Neighbouring
   blocks take neighbouring columns of the same rows, so that what is in flight together lies together in memory.
   OP: 1 squared error, 2 smooth L1, 3 hinge.
   Loses: with few columns most lanes are idle; and columns that fill no whole number of waves leave a gap at the end. */

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

static __device__ __forceinline__ float element(float p, float t)
{
#if OP == 1 /* squared error */
  float d = p - t;
  return d * d;
#elif OP == 2 /* smooth L1, without a branch: q = min(d, 1) */
  float d = fabsf(p - t), q = fminf(d, 1.0f);
  return fmaf(q, 0.5f * q, d - q);
#else /* hinge */
  return fmaxf(fmaf(-p, t, 1.0f), 0.0f);
#endif
}

static __device__ __forceinline__ float pack_sum(pack p, pack t)
{
#if VEC == 4
  return (element(p.x, t.x) + element(p.y, t.y)) + (element(p.z, t.z) + element(p.w, t.w));
#else
  return element(p, t);
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
loss(const pack *__restrict__ p, const pack *__restrict__ t, double *part, unsigned *ticket, float *__restrict__ y,
     long long rows, long long packs)
{
  const long long c = (long long)blockIdx.x * BLOCK + threadIdx.x, step = (long long)gridDim.y * UNROLL;
  float sum[UNROLL];
#pragma unroll
  for (int k = 0; k < UNROLL; k++)
    sum[k] = 0.0f;
  if (c < packs) {
    pack a[UNROLL];
#if ONE_ROW
    const pack b = __ldg(&t[c]);
#else
    pack b[UNROLL];
#endif
    for (long long r = (long long)blockIdx.y * UNROLL; r < rows; r += step) {
#pragma unroll
      for (int k = 0; k < UNROLL; k++)
        if (r + k < rows) {
          a[k] = get(&p[(r + k) * packs + c]);
#if !ONE_ROW
          b[k] = get(&t[(r + k) * packs + c]);
#endif
        }
#pragma unroll
      for (int k = 0; k < UNROLL; k++)
        if (r + k < rows)
#if ONE_ROW
          sum[k] += pack_sum(a[k], b);
#else
          sum[k] += pack_sum(a[k], b[k]);
#endif
    }
  }
#pragma unroll
  for (int k = 1; k < UNROLL; k++)
    sum[0] += sum[k];
  finish((double)sum[0], part, ticket, y, (double)rows * (double)(packs * VEC));
}
