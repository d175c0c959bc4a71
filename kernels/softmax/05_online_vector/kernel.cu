/* SPDX-License-Identifier: MIT */
/* Softmax 5: back to one block a row, with an online maximum and sum.
   Persistent blocks kept memory busy by hand, but their fixed shares end unevenly; the hardware, given a plain grid with
   several blocks a multiprocessor, overlaps one row's loads with another's reduction by itself and balances as it goes.
   One pass keeps a running maximum and a running sum that is rescaled when the maximum moves; warps reduce by shuffles
   and meet once. The second read of the row mostly comes from the multiprocessor's own cache.
   Loses: the second read costs issue slots, and DRAM traffic once rows outgrow the cache. */

#define WARPS (BLOCK / 32)
#define LOWEST (-3.402823466e38f)
#define LOG2E 1.4426950408889634f

#if VEC == 4
static __device__ __forceinline__ void load(const float *p, float *v)
{
  float4 t = *(const float4 *)p;
  v[0] = t.x, v[1] = t.y, v[2] = t.z, v[3] = t.w;
}
static __device__ __forceinline__ void store(float *p, const float *v)
{
  *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
}
#else
static __device__ __forceinline__ void load(const float *p, float *v) { v[0] = *p; }
static __device__ __forceinline__ void store(float *p, const float *v) { *p = v[0]; }
#endif

/* Merges (maximum, sum) pairs over the first `lanes` lanes, a power of two; every one of them gets the result. */
static __device__ __forceinline__ void merge(float &peak, float &sum, int lanes)
{
  float top = peak;
  for (int step = lanes / 2; step > 0; step /= 2)
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
  sum *= exp2f(peak - top);
  for (int step = lanes / 2; step > 0; step /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
  peak = top;
}

extern "C" __global__ void __launch_bounds__(BLOCK) softmax(const float *__restrict__ x, float *__restrict__ y, int cols)
{
  __shared__ float2 pair[WARPS];
  const float *in = x + (long long)blockIdx.x * cols;
  float *out = y + (long long)blockIdx.x * cols;

  float peak = LOWEST, sum = 0.0f;
#pragma unroll UNROLL
  for (int c = threadIdx.x * VEC; c < cols; c += BLOCK * VEC) {
    float v[VEC];
    load(in + c, v);
    float top = peak;
    for (int i = 0; i < VEC; i++)
      top = fmaxf(top, v[i] * LOG2E);
    sum *= exp2f(peak - top);
    for (int i = 0; i < VEC; i++)
      sum += exp2f(fmaf(v[i], LOG2E, -top));
    peak = top;
  }
  merge(peak, sum, 32);
  if (threadIdx.x % 32 == 0)
    pair[threadIdx.x / 32] = make_float2(peak, sum);
  __syncthreads();
  float2 mine = pair[threadIdx.x % WARPS];
  peak = mine.x, sum = mine.y;
  merge(peak, sum, WARPS);
  float norm = 1.0f / sum;

#pragma unroll UNROLL
  for (int c = threadIdx.x * VEC; c < cols; c += BLOCK * VEC) {
    float v[VEC];
    load(in + c, v);
    for (int i = 0; i < VEC; i++)
      v[i] = exp2f(fmaf(v[i], LOG2E, -peak)) * norm;
    store(out + c, v);
  }
}
