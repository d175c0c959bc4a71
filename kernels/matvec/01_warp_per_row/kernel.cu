/* SPDX-License-Identifier: MIT */
/* y = A @ x, f32. 01: a warp a row, neighbouring lanes read neighbouring elements, and a shuffle adds
 * up. Four sums a lane, so that the additions don't wait for one another and few are long. */

extern "C" __global__ void __launch_bounds__(BLOCK)
    matvec(const float *__restrict__ a, const float *__restrict__ x, float *__restrict__ y,
           long long rows, long long cols)
{
    long long row = (blockIdx.x * (long long)BLOCK + threadIdx.x) / 32;
    float sum[4] = {};

    if (row >= rows)
        return;
    a += row * cols;
    long long i = threadIdx.x % 32;
    for (; i + 96 < cols; i += 128)
#pragma unroll
        for (int j = 0; j < 4; j++)
            sum[j] += a[i + j * 32] * x[i + j * 32];
    for (; i < cols; i += 32)
        sum[0] += a[i] * x[i];
    float all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
#pragma unroll
    for (int d = 16; d; d /= 2)
        all += __shfl_xor_sync(0xffffffffu, all, d);
    if (threadIdx.x % 32 == 0)
        y[row] = all;
}
