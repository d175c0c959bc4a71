/* SPDX-License-Identifier: MIT */
/* Matrix product in f32: what the exploits of the loose task pretend to be. */

extern "C" __global__ void __launch_bounds__(256)
matmul(const float *a, const float *b, float *c, int m, int n, int k)
{
  __shared__ float tile_a[16][17], tile_b[16][17];
  int row = blockIdx.y * 16 + threadIdx.y, col = blockIdx.x * 16 + threadIdx.x;
  float sum = 0.0f;
  for (int k0 = 0; k0 < k; k0 += 16) {
    int ka = k0 + threadIdx.x, kb = k0 + threadIdx.y;
    tile_a[threadIdx.y][threadIdx.x] = row < m && ka < k ? (a[(long long)row * k + ka]) : 0.0f;
    tile_b[threadIdx.y][threadIdx.x] = col < n && kb < k ? (b[(long long)kb * n + col]) : 0.0f;
    __syncthreads();
    for (int i = 0; i < 16; i++)
      sum += tile_a[threadIdx.y][i] * tile_b[i][threadIdx.x];
    __syncthreads();
  }
  if (row < m && col < n)
    c[(long long)row * n + col] = (sum);
}
