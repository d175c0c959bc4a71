/* SPDX-License-Identifier: MIT */
/* Matrix product by mma.sync with f32 accumulation, a warp for 16 by 8 outputs, operands straight from global
   memory. */

static __device__ unsigned pair(unsigned short lo, unsigned short hi)
{
  return lo | (unsigned)hi << 16;
}

static __device__ unsigned short at(const unsigned short *p, int row, int col, int rows, int cols)
{
  return row < rows && col < cols ? p[(long long)row * cols + col] : 0;
}

static __device__ unsigned short rounded(float v)
{
  unsigned short h;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(v));
  return h;
}

extern "C" __global__ void matmul(const unsigned short *a, const unsigned short *b, unsigned short *c, int m, int n, int k)
{
  int g = threadIdx.x / 4, t = threadIdx.x % 4 * 2;
  int row = (blockIdx.y * 4 + threadIdx.y) * 16, col = blockIdx.x * 8;
  float d[4] = {0, 0, 0, 0};
  for (int k0 = 0; k0 < k; k0 += 16) {
    unsigned fa[4], fb[2];
    for (int i = 0; i < 4; i++) {
      int r = row + g + i % 2 * 8, q = k0 + t + i / 2 * 8;
      fa[i] = pair(at(a, r, q, m, k), at(a, r, q + 1, m, k));
    }
    for (int i = 0; i < 2; i++) {
      int q = k0 + t + i * 8;
      fb[i] = pair(at(b, q, col + g, k, n), at(b, q + 1, col + g, k, n));
    }
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
  }
  for (int i = 0; i < 4; i++) {
    int r = row + g + i / 2 * 8, q = col + t + i % 2;
    if (r < m && q < n)
      c[(long long)r * n + q] = rounded(d[i]);
  }
}
