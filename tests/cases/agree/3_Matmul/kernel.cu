// SPDX-License-Identifier: MIT
// 0 and 1 are right (1 sums from the end); 2 rounds its operands to bf16, 3 is one term short.
__device__ float operand(float v)
{
    unsigned bits = __float_as_uint(v);
    return VARIANT == 2 ? __uint_as_float((bits + 0x8000u) & 0xffff0000u) : v;
}

extern "C" __global__ void matmul(const float *a, const float *b, float *y, int m, int n, int k)
{
    int col = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (col >= n) {
        return;
    }
    float sum = 0;
    for (int i = 0; i < k - (VARIANT == 3); i++) {
        int at = VARIANT == 1 ? k - 1 - i : i;
        sum = fmaf(operand(a[row * k + at]), operand(b[at * n + col]), sum);
    }
    y[row * n + col] = sum;
}
