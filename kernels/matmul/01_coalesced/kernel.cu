/* SPDX-License-Identifier: MIT */
/* C = A @ B, bf16, f32 accumulation. 01: one thread an output element, neighbouring threads on
 * neighbouring columns.
 *
 * The kernel a competent person writes first: loads of B and stores of C are coalesced, and A's
 * element is the same for a whole warp. Every multiply-add costs two loads, so it runs at the speed
 * of L1, far from any arithmetic limit. */
#include <cuda_bf16.h>

extern "C" __global__ void __launch_bounds__(BX *BY)
    matmul(const __nv_bfloat16 *__restrict__ a, const __nv_bfloat16 *__restrict__ b,
           __nv_bfloat16 *__restrict__ c, int m, int n, int k)
{
    int col = blockIdx.x * BX + threadIdx.x;
    int row = blockIdx.y * BY + threadIdx.y;

    if (row >= m || col >= n)
        return;
    const __nv_bfloat16 *pa = a + (long long)row * k;
    const __nv_bfloat16 *pb = b + col;
    float sum = 0.0f;
    for (int i = 0; i < k; i++) {
        sum = fmaf(__bfloat162float(pa[i]), __bfloat162float(*pb), sum);
        pb += n;
    }
    c[(long long)row * n + col] = __float2bfloat16(sum);
}
