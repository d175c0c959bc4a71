/* SPDX-License-Identifier: MIT */
/* C = A @ B, bf16, f32 accumulation. 02: square tiles in shared memory.
 *
 * 01 reads every element of A and B from global memory (or L1) once per output that needs it. Here
 * a block of TILE x TILE threads brings a tile of A and one of B into shared memory, and each
 * element is used TILE times. What is left: one multiply-add still costs two loads from shared
 * memory, so shared memory is now the limit. */
#include <cuda_bf16.h>

extern "C" __global__ void __launch_bounds__(TILE *TILE)
    matmul(const __nv_bfloat16 *__restrict__ a, const __nv_bfloat16 *__restrict__ b,
           __nv_bfloat16 *__restrict__ c, int m, int n, int k)
{
    __shared__ float tile_a[TILE][TILE];
    __shared__ float tile_b[TILE][TILE];
    int tx = threadIdx.x, ty = threadIdx.y;
    int row = blockIdx.y * TILE + ty;
    int col = blockIdx.x * TILE + tx;
    float sum = 0.0f;

    for (int k0 = 0; k0 < k; k0 += TILE) {
        tile_a[ty][tx] =
            row < m && k0 + tx < k ? __bfloat162float(a[(long long)row * k + k0 + tx]) : 0.0f;
        tile_b[ty][tx] =
            col < n && k0 + ty < k ? __bfloat162float(b[(long long)(k0 + ty) * n + col]) : 0.0f;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE; i++)
            sum = fmaf(tile_a[ty][i], tile_b[i][tx], sum);
        __syncthreads();
    }
    if (row < m && col < n)
        c[(long long)row * n + col] = __float2bfloat16(sum);
}
