// SPDX-License-Identifier: MIT
// One thread a row. 0 and 1 are right (1 by the mean of squares); 2 divides by cols - 1, 3 has 1e-3 for epsilon.
extern "C" __global__ void layer_norm(const float *x, const float *weight, const float *bias, float *y, int rows, int cols)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) {
        return;
    }
    const float *in = x + row * cols;
    double sum = 0, square = 0;
    for (int i = 0; i < cols; i++) {
        sum += in[i];
        square += (double)in[i] * in[i];
    }
    double mean = sum / cols, spread = 0;
    for (int i = 0; i < cols; i++) {
        spread += (in[i] - mean) * (in[i] - mean);
    }
    double variance = VARIANT == 1 ? square / cols - mean * mean : spread / (VARIANT == 2 ? cols - 1 : cols);
    float scale = (float)(1 / sqrt(variance + (VARIANT == 3 ? 1e-3 : 1e-5)));
    for (int i = 0; i < cols; i++) {
        y[row * cols + i] = (in[i] - (float)mean) * scale * weight[i] + bias[i];
    }
}
