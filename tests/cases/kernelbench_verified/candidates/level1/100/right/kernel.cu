// SPDX-License-Identifier: MIT
extern "C" __global__ void hinge(const float *predictions, const float *targets, float *y, int rows, int cols)
{
    float sum = 0;
    for (int i = threadIdx.x; i < rows * cols; i += 32) {
        sum += fmaxf(1 - predictions[i] * targets[i % cols], 0);
    }
    for (int step = 16; step > 0; step /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, step);
    }
    if (threadIdx.x == 0) {
        *y = sum / (rows * cols);
    }
}
