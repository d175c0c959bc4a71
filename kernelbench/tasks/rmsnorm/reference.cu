/* SPDX-License-Identifier: MIT */
/* y[r, :] = x[r, :] / sqrt(mean(x[r, :]^2) + eps) * weight, in double, rounded to bf16 once, one block a row. */
#include <cuda_bf16.h>

extern "C" __global__ void rmsnorm_reference(const __nv_bfloat16 *x, const __nv_bfloat16 *weight, float eps,
                                             __nv_bfloat16 *y, long long cols)
{
  __shared__ double cell[256];
  const __nv_bfloat16 *in = x + blockIdx.x * cols;
  double sum = 0;
  for (long long c = threadIdx.x; c < cols; c += 256) {
    double v = (double)__bfloat162float(in[c]);
    sum += v * v;
  }
  cell[threadIdx.x] = sum;
  __syncthreads();
  for (int step = 128; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  double norm = 1.0 / sqrt(cell[0] / (double)cols + (double)eps);
  for (long long c = threadIdx.x; c < cols; c += 256) {
    double v = (double)__bfloat162float(in[c]) * norm * (double)__bfloat162float(weight[c]);
    y[blockIdx.x * cols + c] = __double2bfloat16(v);
  }
}
