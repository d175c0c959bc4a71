/* SPDX-License-Identifier: MIT */
/* Cross entropy 2: one pass, one warp a row, and the last block finishes.
   Two passes over a row with a block's trees between them wait more than they load. Here a warp walks its row once,
   ITEMS packs of 16 bytes a lane at a step with the next ones already loading, and keeps a running maximum and sum of
   exponentials; five shuffles join the lanes. No barrier until all of the warp's rows are done; parts are added in a
   fixed order, in double.
   Loses: as many rows are open as warps fit, in memory a row apart. */

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

#define FLOOR (-1.0e38f) /* finite, so that a lane without elements never forms inf - inf */
#define PADDING __int_as_float(0xff800000) /* -inf: its exponential is 0 */
#define LOG2E 1.4426950408889634f

static __device__ __forceinline__ float fast_exp2(float v)
{
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}

/* Packs first, first + stride, ... of a row, ITEMS of them; padding behind the end. */
static __device__ __forceinline__ void fetch(float (&v)[ITEMS][VEC], const pack *row, long long first, int stride,
                                             long long packs)
{
#pragma unroll
  for (int k = 0; k < ITEMS; k++) {
#pragma unroll
    for (int i = 0; i < VEC; i++)
      v[k][i] = PADDING;
    if (first + k * stride < packs) {
      pack t = get(&row[first + k * stride]);
#if VEC == 4
      v[k][0] = t.x, v[k][1] = t.y, v[k][2] = t.z, v[k][3] = t.w;
#else
      v[k][0] = t;
#endif
    }
  }
}

/* Takes the values into the running maximum and sum of exponentials: one rescaling for all of them. */
static __device__ __forceinline__ void take(const float (&v)[ITEMS][VEC], float &peak, float &sum)
{
  float top = peak, part[ITEMS];
#pragma unroll
  for (int k = 0; k < ITEMS; k++)
#pragma unroll
    for (int i = 0; i < VEC; i++)
      top = fmaxf(top, v[k][i]);
#pragma unroll
  for (int k = 0; k < ITEMS; k++) {
    part[k] = 0.0f;
#pragma unroll
    for (int i = 0; i < VEC; i++)
      part[k] += fast_exp2((v[k][i] - top) * LOG2E);
  }
  sum *= fast_exp2((peak - top) * LOG2E);
#pragma unroll
  for (int k = 0; k < ITEMS; k++)
    sum += part[k];
  peak = top;
}

static __device__ __forceinline__ void merge(float &peak, float &sum, int lanes)
{
  float top = peak;
  for (int step = lanes / 2; step > 0; step /= 2)
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
  sum *= fast_exp2((peak - top) * LOG2E);
  for (int step = lanes / 2; step > 0; step /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
  peak = top;
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
cross_entropy(const pack *__restrict__ x, const long long *__restrict__ target, double *part, unsigned *ticket,
              float *__restrict__ y, long long rows, long long packs)
{
  const int lane = threadIdx.x % 32;
  const long long step = (long long)gridDim.x * (BLOCK / 32);
  double total = 0;
  for (long long row = (long long)blockIdx.x * (BLOCK / 32) + threadIdx.x / 32; row < rows; row += step) {
    const pack *in = x + row * packs;
    const float chosen = __ldg((const float *)in + target[row]);
    float peak = FLOOR, sum = 0.0f, next[ITEMS][VEC];
    fetch(next, in, lane, 32, packs);
    for (long long first = lane; first - lane < packs; first += 32 * ITEMS) {
      float v[ITEMS][VEC];
#pragma unroll
      for (int k = 0; k < ITEMS; k++)
#pragma unroll
        for (int i = 0; i < VEC; i++)
          v[k][i] = next[k][i];
      fetch(next, in, first + 32 * ITEMS, 32, packs);
      take(v, peak, sum);
    }
    merge(peak, sum, 32);
    total += lane == 0 ? (double)(logf(sum) + (peak - chosen)) : 0.0;
  }
  finish(total, part, ticket, y, (double)rows);
}
