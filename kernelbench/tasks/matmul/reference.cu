/* SPDX-License-Identifier: MIT */
/* C[m,n] = A[m,k] @ B[k,n], all row-major bf16. Here every dot product is summed in double and
 * rounded once to bf16; a candidate accumulates in f32 or wider and rounds once, too. */
#include <cuda_bf16.h>

extern "C" __global__ void reference(const __nv_bfloat16 *a, const __nv_bfloat16 *b,
                                     __nv_bfloat16 *c, int m, int n, int k)
{
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;

    if (row >= m || col >= n)
        return;
    double sum = 0.0;
    for (int i = 0; i < k; i++)
        sum += (double)__bfloat162float(a[(long long)row * k + i]) *
               (double)__bfloat162float(b[(long long)i * n + col]);
    c[(long long)row * n + col] = __double2bfloat16(sum);
}
