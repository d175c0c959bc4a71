/* SPDX-License-Identifier: MIT */
/* C[m,n] = A[m,k] @ B[k,n] for each of a batch, row-major f32, summed in double and rounded once. TA
 * and TB: the operand lies in memory transposed (the task counts from 1: ta - 1). PART 1: of A, B and C the upper triangle counts and
 * the rest is zero, whatever A and B hold there; 2: the lower one. */
extern "C" __global__ void reference(const float *a, const float *b, float *c, long long m,
                                     long long n, long long k)
{
    long long col = blockIdx.x * 32LL + threadIdx.x, row = blockIdx.y * 8LL + threadIdx.y;
    long long first = PART == 1 ? row : PART == 2 ? col : 0;
    long long last = PART == 1 ? col : PART == 2 ? row : k - 1;

    if (row >= m || col >= n)
        return;
    a += blockIdx.z * m * k;
    b += blockIdx.z * k * n;
    double sum = 0.0;
    for (long long i = first; i <= last && i < k; i++)
        sum += (double)(TA ? a[i * m + row] : a[row * k + i]) *
               (double)(TB ? b[col * k + i] : b[i * n + col]);
    c[(blockIdx.z * m + row) * n + col] = (float)sum;
}
