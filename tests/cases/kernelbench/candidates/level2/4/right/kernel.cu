// SPDX-License-Identifier: MIT
extern "C" __global__ void twice(const float *x, float *y)
{
    y[threadIdx.x] = x[threadIdx.x] + x[threadIdx.x];
}
