// SPDX-License-Identifier: MIT
extern "C" __global__ void swish(const float *x, float beta, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i] = x[i] / (1.0f + expf(-beta * x[i]));
    }
}
