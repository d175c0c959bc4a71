/* SPDX-License-Identifier: MIT */
/* y = gelu(x + bias) with the tanh form of GELU, in double, one thread an element:
   gelu(v) = v/2 * (1 + tanh(sqrt(2/pi) * (v + 0.044715 v^3))). */

extern "C" __global__ void gelu_reference(const float *x, const float *bias, float *y, long long count, long long cols)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  double v = (double)x[i] + (double)bias[i % cols];
  y[i] = (float)(0.5 * v * (1.0 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))));
}
