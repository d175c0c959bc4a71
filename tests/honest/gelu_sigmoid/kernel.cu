/* SPDX-License-Identifier: MIT */
/* Tanh-GELU as x times the sigmoid of twice its argument. */

extern "C" __global__ void gelu(const float *x, const float *bias, float *y, long long count, int cols)
{
  long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < count; i += stride) {
    float v = x[i] + bias[i % cols];
    float u = 1.5957691216057308f * (v + 0.044715f * v * v * v);
    y[i] = v / (1.0f + expf(-u));
  }
}
