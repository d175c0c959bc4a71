/* SPDX-License-Identifier: MIT */
/* y = f(x) by operation code, in double, one thread an element. `alpha` is the slope of leaky ReLU, the scale of ELU
   and the factor of a plain scaling; the others don't use it. */

static __device__ double activated(double v, double alpha)
{
  const double selu_scale = 1.0507009873554804934193349852946, selu_alpha = 1.6732632423543772848170429916717;
  switch (OP) {
  case 1: return v > 0 ? v : 0;                                /* relu */
  case 2: return v > 0 ? v : alpha * v;                        /* leaky_relu */
  case 3: return 1 / (1 + exp(-v));                            /* sigmoid */
  case 4: return tanh(v);                                      /* tanh */
  case 5: return v / (1 + exp(-v));                            /* swish */
  case 6: return 0.5 * v * erfc(-v * 0.70710678118654752440);  /* gelu */
  case 7: return selu_scale * (v > 0 ? v : selu_alpha * expm1(v)); /* selu */
  case 8: return fmin(fmax(v / 6 + 0.5, 0.0), 1.0);            /* hardsigmoid */
  case 9: return v > 20 ? v : log1p(exp(v));                   /* softplus */
  case 10: return v / (1 + fabs(v));                            /* softsign */
  case 11: return v > 0 ? v : alpha * expm1(v);                /* elu */
  case 12: return fmin(fmax(v, -1.0), 1.0);                    /* hardtanh */
  case 13: return 0.5 * v * (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v))); /* gelu, tanh form */
  default: return alpha * v;                                   /* scaling */
  }
}

extern "C" __global__ void activation_reference(const float *x, float *y, float alpha, long long n)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    y[i] = (float)activated((double)x[i], (double)alpha);
}
