/* SPDX-License-Identifier: MIT */
/* Activations 2: 16-byte accesses, PER of them in flight a thread, and functions from ex2 and rcp without branches.
   One float a thread took four times the requests, and the library's tanh, erf and log1p have slow paths that lanes
   walk apart. A block owns BLOCK * PER neighbouring packs, all loaded before the first is used; the last block has the
   ragged end, n % 4 single elements included, so that every other block runs without a test. Small blocks of one pack a
   thread were fastest on an H200, 1 % below what the driver takes to copy as much.
   Loses: millions of blocks, each of which starts with nothing in flight. */

static __device__ __forceinline__ float exp2_of(float v)
{
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
static __device__ __forceinline__ float inverse(float v)
{
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
#define LOG2E 1.4426950408889634f

/* 1 / (1 + exp(-v)). exp2 of a large argument is infinite, its inverse the right 0. */
static __device__ __forceinline__ float sigmoid_of(float v) { return inverse(1.0f + exp2_of(-LOG2E * v)); }

/* tanh: through exp for |v| >= 0.55, below by v times a polynomial of v^2, where 1 - 2/(..) would cancel. */
static __device__ __forceinline__ float tanh_of(float v)
{
  float s = v * v, far = fmaf(-2.0f, inverse(1.0f + exp2_of(2.0f * LOG2E * fabsf(v))), 1.0f);
  float near = fmaf(s, fmaf(s, fmaf(s, fmaf(s, -0.00661022784f, 0.0213093887f), -0.0539094288f), 0.133331137f), -0.33333332f);
  return fabsf(v) < 0.55f ? fmaf(v * s, near, v) : copysignf(far, v);
}

/* log(1 + e^v) = max(v, 0) + log1p(t), t = e^-|v|, and log1p(t) = 2 atanh(t / (2 + t)): exact for small t, too. */
static __device__ __forceinline__ float softplus_of(float v)
{
  float t = exp2_of(-LOG2E * fabsf(v)), s = t * inverse(2.0f + t), q = s * s;
  float p = fmaf(q, fmaf(q, fmaf(q, fmaf(q, 0.268514981f, 0.282366198f), 0.400075607f), 0.666666403f), 2.0f);
  return fmaf(s, p, fmaxf(v, 0.0f));
}

/* v times the normal distribution's integral up to v. The part beyond |v|, erfc(|v| / sqrt 2) / 2, is exp(-v^2 / 2) times a
   polynomial in 1 / (1 + 0.28 |v|), to 9e-8 of itself, so that nothing cancels far below 0. */
static __device__ __forceinline__ float gelu_of(float v)
{
  float t = inverse(fmaf(0.282842712f, fabsf(v), 1.0f));
  float p = fmaf(t, fmaf(t, fmaf(t, fmaf(t, 0.018691917f, -0.060917332f), 0.0232669555f), 0.0649442f), 0.025739362f);
  p = fmaf(t, fmaf(t, fmaf(t, fmaf(t, p, 0.102565578f), 0.0994830265f), 0.113420544f), 0.112805767f);
  float beyond = exp2_of(-0.5f * LOG2E * v * v) * (t * p);
  return v * (v > 0.0f ? 1.0f - beyond : beyond);
}

static __device__ __forceinline__ float apply(float v, float alpha)
{
#if OP == 1 /* relu; a NaN stays one */
  return v < 0.0f ? 0.0f : v;
#elif OP == 2 /* leaky_relu */
  return v > 0.0f ? v : alpha * v;
#elif OP == 3 /* sigmoid */
  return sigmoid_of(v);
#elif OP == 4 /* tanh */
  return tanh_of(v);
#elif OP == 5 /* swish */
  return v * sigmoid_of(v);
#elif OP == 6 /* gelu */
  return gelu_of(v);
#elif OP == 7 /* selu */
  return 1.05070099f * (v > 0.0f ? v : 1.67326324f * expm1f(v));
#elif OP == 8 /* hardsigmoid */
  return __saturatef(fmaf(v, 1.0f / 6.0f, 0.5f));
#elif OP == 9 /* softplus */
  return softplus_of(v);
#elif OP == 10 /* softsign */
  return __fdividef(v, 1.0f + fabsf(v));
#elif OP == 11 /* elu */
  return v > 0.0f ? v : alpha * expm1f(v);
#elif OP == 12 /* hardtanh */
  return fminf(fmaxf(v, -1.0f), 1.0f);
#elif OP == 13 /* gelu, tanh form: v * sigmoid(2u) */
  return v * inverse(1.0f + exp2_of(v * fmaf(v * v, -0.10294324f, -2.3022082f)));
#else /* scaling */
  return alpha * v;
#endif
}

/* How packs are read and written. LOAD: 0 plain, 1 streaming, 2 past L1. STORE: 0 plain, 1 streaming. */
static __device__ __forceinline__ float4 get(const float4 *p)
{
#if LOAD == 0
  return __ldg(p);
#elif LOAD == 1
  return __ldcs(p);
#else
  float4 v;
  asm("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p));
  return v;
#endif
}
static __device__ __forceinline__ void put(float4 *p, float4 v)
{
#if STORE
  __stcs(p, v);
#else
  *p = v;
#endif
}

static __device__ __forceinline__ float4 apply_pack(float4 v, float alpha)
{
  return make_float4(apply(v.x, alpha), apply(v.y, alpha), apply(v.z, alpha), apply(v.w, alpha));
}

extern "C" __global__ void __launch_bounds__(BLOCK)
activation(const float *__restrict__ x, float *__restrict__ y, float alpha, long long n)
{
  const long long first = (long long)blockIdx.x * (BLOCK * PER) + threadIdx.x, packs = n / 4;
  const float4 *in = (const float4 *)x + first;
  float4 *out = (float4 *)y + first;
  float4 v[PER];
  if (blockIdx.x + 1 < gridDim.x) {
#pragma unroll
    for (int k = 0; k < PER; k++)
      v[k] = get(&in[k * BLOCK]);
#pragma unroll
    for (int k = 0; k < PER; k++)
      put(&out[k * BLOCK], apply_pack(v[k], alpha));
    return;
  }
  for (int k = 0; k < PER; k++)
    if (first + k * BLOCK < packs)
      put(&out[k * BLOCK], apply_pack(get(&in[k * BLOCK]), alpha));
  if (threadIdx.x < n % 4)
    y[packs * 4 + threadIdx.x] = apply(x[packs * 4 + threadIdx.x], alpha);
}
