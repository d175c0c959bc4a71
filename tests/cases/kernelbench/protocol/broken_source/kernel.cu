// SPDX-License-Identifier: MIT
extern "C" __global__ void swish(const float *x, float beta, float *y, int n)
{
    y[0] = x[0] +;
}
