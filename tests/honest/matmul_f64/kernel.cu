/* SPDX-License-Identifier: MIT */
/* Matrix product accumulated in double precision. */
#include <cuda_bf16.h>

extern "C" __global__ void __launch_bounds__(256)
matmul(const __nv_bfloat16 *a, const __nv_bfloat16 *b, __nv_bfloat16 *c, int m, int n, int k)
{
  __shared__ float tile_a[16][17], tile_b[16][17];
  int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
  double sum = 0;
  for (int k0 = 0; k0 < k; k0 += 16) {
    int ka = k0 + threadIdx.x, kb = k0 + threadIdx.y;
    tile_a[threadIdx.y][threadIdx.x] = row < m && ka < k ? __bfloat162float(a[(long long)row * k + ka]) : 0.0f;
    tile_b[threadIdx.y][threadIdx.x] = col < n && kb < k ? __bfloat162float(b[(long long)kb * n + col]) : 0.0f;
    __syncthreads();
    for (int i = 0; i < 16; i++)
      sum += (double)tile_a[threadIdx.y][i] * tile_b[i][threadIdx.x];
    __syncthreads();
  }
  if (row < m && col < n)
    c[(long long)row * n + col] = __float2bfloat16((float)sum);
}
