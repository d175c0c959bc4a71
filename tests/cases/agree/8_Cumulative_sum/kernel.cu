// SPDX-License-Identifier: MIT
// One thread a row. 0 and 1 are right (1 in double); 2 is exclusive, 3 starts anew at column 256.
extern "C" __global__ void scan(const float *x, float *y, int rows, int cols)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) {
        return;
    }
    float sum = 0;
    double precise = 0;
    for (int i = 0; i < cols; i++) {
        float before = sum;
        sum = VARIANT == 3 && i == 256 ? 0.0f : sum;
        sum += x[row * cols + i];
        precise += x[row * cols + i];
        y[row * cols + i] = VARIANT == 2 ? before : VARIANT == 1 ? (float)precise : sum;
    }
}
