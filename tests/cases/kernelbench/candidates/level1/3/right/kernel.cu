// SPDX-License-Identifier: MIT
extern "C" __global__ void sum_logs(const float *x, float *y, int cols)
{
    float sum = 0;
    for (int i = threadIdx.x; i < cols; i += 32) {
        sum += logf(x[blockIdx.x * cols + i]);
    }
    for (int step = 16; step > 0; step /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, step);
    }
    if (threadIdx.x == 0) {
        y[blockIdx.x] = sum;
    }
}
