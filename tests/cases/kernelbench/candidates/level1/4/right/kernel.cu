// SPDX-License-Identifier: MIT
extern "C" __global__ void scan(const float *x, const unsigned char *mask, float *y, int rows, int cols)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0;
    for (int i = 0; row < rows && i < cols; i++) {
        sum += mask[row * cols + i] ? x[row * cols + i] : 0.0f;
        y[row * cols + i] = sum;
    }
}
