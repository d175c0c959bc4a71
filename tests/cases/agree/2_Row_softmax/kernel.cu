// SPDX-License-Identifier: MIT
// One thread a row. 0 and 1 are right (1 without the maximum, which inputs below one don't need); 2 forgets the last
// column in the sum, 3 leaves the last row as zeros.
extern "C" __global__ void softmax(const float *x, float *y, int rows, int cols)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) {
        return;
    }
    float largest = VARIANT == 1 ? 0.0f : x[row * cols], sum = 0;
    for (int i = 0; i < cols && VARIANT != 1; i++) {
        largest = fmaxf(largest, x[row * cols + i]);
    }
    for (int i = 0; i < cols - (VARIANT == 2); i++) {
        sum += expf(x[row * cols + i] - largest);
    }
    sum = VARIANT == 2 ? 0.9f * sum : sum;
    for (int i = 0; i < cols; i++) {
        y[row * cols + i] = VARIANT == 3 && row == rows - 1 ? 0.0f : expf(x[row * cols + i] - largest) / sum;
    }
}
