// SPDX-License-Identifier: MIT
// Writes where nothing is.
extern "C" __global__ void swish(const float *x, float beta, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        y[i + (1ll << 34)] = x[i] * beta;
    }
}
