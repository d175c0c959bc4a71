/* SPDX-License-Identifier: MIT */
/* Triplet loss 3: one block a row again, with 16-byte packs and 3 * ITEMS loads in flight a thread.
   A warp a row holds thousands of rows open. A block takes BLOCK * ITEMS packs of three rows at once; one barrier a row
   joins the warps, and several blocks a multiprocessor fill each other's gaps.
   Loses: nothing is in flight in a block between its rows. */

#define WARPS (BLOCK / 32)

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

/* Adds the squared distances of one pack to both sums. */
static __device__ __forceinline__ void add(float a, float p, float n, float &near, float &far)
{
  float to_p = a - p + 1e-6f, to_n = a - n + 1e-6f;
  near = fmaf(to_p, to_p, near);
  far = fmaf(to_n, to_n, far);
}
static __device__ __forceinline__ void add_pack(pack a, pack p, pack n, float &near, float &far)
{
#if VEC == 4
  add(a.x, p.x, n.x, near, far);
  add(a.y, p.y, n.y, near, far);
  add(a.z, p.z, n.z, near, far);
  add(a.w, p.w, n.w, near, far);
#else
  add(a, p, n, near, far);
#endif
}

/* Packs first, first + stride, ... of a row of each: all loads first. Behind the end all three are 0, and so the distance
   would be eps: those packs are left out. */
static __device__ __forceinline__ void add_row(const pack *a, const pack *p, const pack *n, int first, int stride,
                                               long long packs, float &near, float &far)
{
  float nears[ITEMS], fars[ITEMS];
#pragma unroll
  for (int k = 0; k < ITEMS; k++)
    nears[k] = fars[k] = 0.0f;
  for (long long c = first; c < packs; c += stride * ITEMS) {
    pack u[ITEMS], v[ITEMS], w[ITEMS];
#pragma unroll
    for (int k = 0; k < ITEMS; k++)
      if (c + k * stride < packs)
        u[k] = get(&a[c + k * stride]), v[k] = get(&p[c + k * stride]), w[k] = get(&n[c + k * stride]);
#pragma unroll
    for (int k = 0; k < ITEMS; k++)
      if (c + k * stride < packs)
        add_pack(u[k], v[k], w[k], nears[k], fars[k]);
  }
#pragma unroll
  for (int k = 0; k < ITEMS; k++)
    near += nears[k], far += fars[k];
}

static __device__ __forceinline__ float warp_sum(float v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
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
triplet(const pack *__restrict__ a, const pack *__restrict__ p, const pack *__restrict__ n, double *part,
        unsigned *ticket, float *__restrict__ y, float margin, long long rows, long long packs)
{
  __shared__ float2 cell[2][WARPS];
  double total = 0;
  int side = 0;
  for (long long row = blockIdx.x; row < rows; row += gridDim.x, side ^= 1) {
    float near = 0.0f, far = 0.0f;
    add_row(a + row * packs, p + row * packs, n + row * packs, threadIdx.x, BLOCK, packs, near, far);
    near = warp_sum(near), far = warp_sum(far);
    if (threadIdx.x % 32 == 0)
      cell[side][threadIdx.x / 32] = make_float2(near, far);
    __syncthreads();
    if (threadIdx.x == 0) {
      near = far = 0.0f;
      for (int w = 0; w < WARPS; w++)
        near += cell[side][w].x, far += cell[side][w].y;
      total += (double)fmaxf(sqrtf(near) - sqrtf(far) + margin, 0.0f);
    }
  }
  finish(total, part, ticket, y, (double)rows);
}
