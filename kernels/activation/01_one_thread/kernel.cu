/* SPDX-License-Identifier: MIT */
/* Activations 1: one thread an element, coalesced, with the functions of the math library. OP says which (see the task's
   reference), known when compiling. */

static __device__ __forceinline__ float apply(float v, float alpha)
{
#if OP == 1 /* relu */
  return v < 0.0f ? 0.0f : v;
#elif OP == 2 /* leaky_relu */
  return v > 0.0f ? v : alpha * v;
#elif OP == 3 /* sigmoid */
  return 1.0f / (1.0f + expf(-v));
#elif OP == 4 /* tanh */
  return tanhf(v);
#elif OP == 5 /* swish */
  return v / (1.0f + expf(-v));
#elif OP == 6 /* gelu */
  return 0.5f * v * (1.0f + erff(0.707106781f * v));
#elif OP == 7 /* selu */
  return 1.05070099f * (v > 0.0f ? v : 1.67326324f * expm1f(v));
#elif OP == 8 /* hardsigmoid */
  return fminf(fmaxf(v / 6.0f + 0.5f, 0.0f), 1.0f);
#elif OP == 9 /* softplus */
  return v > 20.0f ? v : log1pf(expf(v));
#elif OP == 10 /* softsign */
  return v / (1.0f + fabsf(v));
#elif OP == 11 /* elu */
  return v > 0.0f ? v : alpha * expm1f(v);
#elif OP == 12 /* hardtanh */
  return fminf(fmaxf(v, -1.0f), 1.0f);
#elif OP == 13 /* gelu, tanh form */
  return 0.5f * v * (1.0f + tanhf(0.797884561f * (v + 0.044715f * v * v * v)));
#else /* scaling */
  return alpha * v;
#endif
}

extern "C" __global__ void __launch_bounds__(BLOCK)
activation(const float *__restrict__ x, float *__restrict__ y, float alpha, long long n)
{
  long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (i < n)
    y[i] = apply(x[i], alpha);
}
