/* SPDX-License-Identifier: MIT */
/* Tanh-GELU in double precision. */

extern "C" __global__ void gelu(const float *x, const float *bias, float *y, int cols)
{
  const long long row = (long long)blockIdx.x * cols;
  for (int c = threadIdx.x; c < cols; c += 256) {
    double v = (double)x[row + c] + bias[c];
    y[row + c] = (float)(0.5 * v * (1 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))));
  }
}
