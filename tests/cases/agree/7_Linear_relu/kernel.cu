// SPDX-License-Identifier: MIT
// 0 and 1 are right (1 in double); 2 forgets the bias, 3 takes the weight for its transpose.
extern "C" __global__ void linear(const float *x, const float *weight, const float *bias, float *y, int wide, int out)
{
    int col = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (col >= out) {
        return;
    }
    double precise = 0;
    float sum = 0;
    for (int i = 0; i < wide; i++) {
        float w = weight[VARIANT == 3 ? i * out + col : col * wide + i];
        sum = fmaf(x[row * wide + i], w, sum);
        precise += (double)x[row * wide + i] * w;
    }
    sum = VARIANT == 1 ? (float)precise : sum;
    y[row * out + col] = fmaxf(sum + (VARIANT == 2 ? 0.0f : bias[col]), 0.0f);
}
