// SPDX-License-Identifier: MIT
// 0 and 1 are right (1 in two halves); 2 is the sum's wrong constant, 3 a guess: what uniform numbers have for a mean.
extern "C" __global__ void mean(const float *x, float *y, int rows, int cols)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) {
        return;
    }
    float sum = 0, half = 0;
    for (int i = 0; i < cols; i++) {
        (VARIANT == 1 && i % 2 ? half : sum) += x[row * cols + i];
    }
    y[row] = VARIANT == 3 ? 0.5f : (sum + half) / (VARIANT == 2 ? cols - 1.0f : cols);
}
