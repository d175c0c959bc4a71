/* SPDX-License-Identifier: MIT */
/* C = A @ B, bf16, f32 accumulation. 03: a TM x TN tile of outputs in each thread's registers, f32
 * FMA.
 *
 * 02 pays two shared-memory loads for one multiply-add. Here a thread keeps TM x TN sums in
 * registers: for each k it loads TM + TN values (16 bytes at a time) and does TM * TN
 * multiply-adds. A's tile lies transposed, so that both operands are read along rows; global loads
 * are 16 bytes where rows allow (ALIGNED). This is about what the f32 units can do; the rest of the
 * way needs tensor cores. */
#include <cuda_bf16.h>

#define THREADS ((BM / TM) * (BN / TN))
#define PAD 4

/* Eight consecutive elements of a row as f32; zeros outside [0, rows) x [0, cols). */
static __device__ __forceinline__ void load8(float out[8], const __nv_bfloat16 *src, int row,
                                             int col, int rows, int cols)
{
    const __nv_bfloat16 *p = src + (long long)row * cols + col;
#if ALIGNED
    uint4 raw = make_uint4(0, 0, 0, 0);
    if (row < rows && col < cols)
        raw = *reinterpret_cast<const uint4 *>(p);
    unsigned w[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        out[2 * i] = __uint_as_float(w[i] << 16);
        out[2 * i + 1] = __uint_as_float(w[i] & 0xffff0000u);
    }
#else
#pragma unroll
    for (int i = 0; i < 8; i++)
        out[i] = row < rows && col + i < cols ? __bfloat162float(p[i]) : 0.0f;
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS)
    matmul(const __nv_bfloat16 *__restrict__ a, const __nv_bfloat16 *__restrict__ b,
           __nv_bfloat16 *__restrict__ c, int m, int n, int k)
{
    __shared__ __align__(16) float tile_a[BK][BM + PAD];
    __shared__ __align__(16) float tile_b[BK][BN];
    int tid = threadIdx.x;
    int tx = tid % (BN / TN), ty = tid / (BN / TN);
    int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    float sum[TM][TN] = {};
    float v[8];

    for (int k0 = 0; k0 < k; k0 += BK) {
        for (int i = tid; i < BM * BK / 8; i += THREADS) {
            int r = i / (BK / 8), kc = i % (BK / 8) * 8;
            load8(v, a, row0 + r, k0 + kc, m, k);
#pragma unroll
            for (int j = 0; j < 8; j++)
                tile_a[kc + j][r] = v[j];
        }
        for (int i = tid; i < BK * BN / 8; i += THREADS) {
            int r = i / (BN / 8), cc = i % (BN / 8) * 8;
            load8(v, b, k0 + r, col0 + cc, k, n);
            *reinterpret_cast<float4 *>(&tile_b[r][cc]) = make_float4(v[0], v[1], v[2], v[3]);
            *reinterpret_cast<float4 *>(&tile_b[r][cc + 4]) = make_float4(v[4], v[5], v[6], v[7]);
        }
        __syncthreads();
#pragma unroll
        for (int kk = 0; kk < BK; kk++) {
            float ra[TM], rb[TN];
#pragma unroll
            for (int i = 0; i < TM; i += 4)
                *reinterpret_cast<float4 *>(&ra[i]) =
                    *reinterpret_cast<float4 *>(&tile_a[kk][i * (BM / TM) + ty * 4]);
#pragma unroll
            for (int j = 0; j < TN; j += 4)
                *reinterpret_cast<float4 *>(&rb[j]) =
                    *reinterpret_cast<float4 *>(&tile_b[kk][j * (BN / TN) + tx * 4]);
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++)
                    sum[i][j] = fmaf(ra[i], rb[j], sum[i][j]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TM; i++) {
        int row = row0 + i / 4 * 4 * (BM / TM) + ty * 4 + i % 4;
#pragma unroll
        for (int j = 0; j < TN; j++) {
            int col = col0 + j / 4 * 4 * (BN / TN) + tx * 4 + j % 4;
            if (row < m && col < n)
                c[(long long)row * n + col] = __float2bfloat16(sum[i][j]);
        }
    }
}
