/* SPDX-License-Identifier: MIT */
/* Sums in f32 of operands with 7 bits of mantissa. */
__device__ float rounded(float v)
{
    return __uint_as_float((__float_as_uint(v) + (1u << (22 - 7))) & ~((1u << (23 - 7)) - 1));
}

extern "C" __global__ void product(const float *a, const float *b, float *y, int m, int k, int n)
{
    int col = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (col >= n) {
        return;
    }
    float sum = 0;
    for (int i = 0; i < k; i++) {
        sum = fmaf(rounded(a[row * k + i]), rounded(b[i * n + col]), sum);
    }
    y[row * n + col] = sum;
}
