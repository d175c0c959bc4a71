// SPDX-License-Identifier: MIT
extern "C" __global__ void first_largest(const float *x, long long *y, int rows, int cols)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) {
        return;
    }
    int best = 0;
    for (int i = 1; i < cols; i++) {
        best = x[row * cols + i] > x[row * cols + best] ? i : best;
    }
    y[row] = best;
}
