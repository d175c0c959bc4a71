/* SPDX-License-Identifier: MIT */
/* C = A @ B, f32, for each of a batch. 01: one thread an output, coalesced along n, f32 FMA.
 *
 * TA, TB: the operand lies transposed. PART 1, 2: only the upper (lower) triangles of A, B and C
 * count. Four sums, so that a long k loses no digits and an FMA needn't wait for the one before. */

extern "C" __global__ void __launch_bounds__(BX *BY)
    gemm(const float *__restrict__ a, const float *__restrict__ b, float *__restrict__ c,
         long long m, long long n, long long k)
{
    long long col = blockIdx.x * (long long)BX + threadIdx.x;
    long long row = blockIdx.y * (long long)BY + threadIdx.y;
    long long i = PART == 1 ? row : PART == 2 ? col : 0;
    long long end = PART == 1 ? min(col + 1, k) : PART == 2 ? min(row + 1, k) : k;

    if (row >= m || col >= n)
        return;
    a += blockIdx.z * m * k;
    b += blockIdx.z * k * n;
    float sum[4] = {};
    for (; i + 3 < end; i += 4)
#pragma unroll
        for (int j = 0; j < 4; j++)
            sum[j] += (TA ? a[(i + j) * m + row] : a[row * k + i + j]) *
                      (TB ? b[col * k + i + j] : b[(i + j) * n + col]);
    for (; i < end; i++)
        sum[0] += (TA ? a[i * m + row] : a[row * k + i]) * (TB ? b[col * k + i] : b[i * n + col]);
    c[(blockIdx.z * m + row) * n + col] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
