/* SPDX-License-Identifier: MIT */
/* C = A @ B, bf16, f32 accumulation. 04: tensor cores, mma.sync m16n8k16, one stage.
 *
 * 03 is at the limit of the f32 units. Here a warp computes a WM x WN tile with mma.sync; ldmatrix
 * brings the operands from shared memory in the layout the tensor cores want (transposed for B),
 * and rows padded by 16 bytes keep ldmatrix free of bank conflicts. What is left: loading and
 * computing take turns, so the tensor cores wait for memory. */

#define WARPS_N (BN / WN)
#define THREADS (32 * (BM / WM) * WARPS_N)
#define LDA (BK + 8)
#define LDB (BN + 8)

typedef unsigned short bf16;

static __device__ __forceinline__ unsigned shared_address(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

/* Eight consecutive elements of a row to shared memory; zeros outside [0, rows) x [0, cols). */
static __device__ __forceinline__ void load8(bf16 *dst, const bf16 *src, int row, int col, int rows,
                                             int cols)
{
    const bf16 *p = src + (long long)row * cols + col;
    unsigned w[4] = {0, 0, 0, 0};
#if ALIGNED
    if (row < rows && col < cols)
        *reinterpret_cast<uint4 *>(w) = *reinterpret_cast<const uint4 *>(p);
#else
#pragma unroll
    for (int i = 0; i < 8; i++)
        if (row < rows && col + i < cols)
            w[i / 2] |= (unsigned)p[i] << (i % 2 * 16);
#endif
    *reinterpret_cast<uint4 *>(dst) = make_uint4(w[0], w[1], w[2], w[3]);
}

static __device__ __forceinline__ void ldmatrix(unsigned r[4], unsigned addr)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(addr)
                 : "memory");
}

static __device__ __forceinline__ void ldmatrix_trans(unsigned r[4], unsigned addr)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(addr)
                 : "memory");
}

static __device__ __forceinline__ void mma(float d[4], const unsigned a[4], unsigned b0,
                                           unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Two neighbouring outputs of one row. */
static __device__ __forceinline__ void store2(bf16 *c, int row, int col, int m, int n, float lo,
                                              float hi)
{
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    bf16 *p = c + (long long)row * n + col;
    if (row >= m)
        return;
#if ALIGNED
    if (col < n)
        *reinterpret_cast<unsigned *>(p) = pair;
#else
    if (col < n)
        p[0] = (bf16)pair;
    if (col + 1 < n)
        p[1] = (bf16)(pair >> 16);
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS)
    matmul(const bf16 *__restrict__ a, const bf16 *__restrict__ b, bf16 *__restrict__ c, int m,
           int n, int k)
{
    __shared__ __align__(16) bf16 tile_a[BM * LDA];
    __shared__ __align__(16) bf16 tile_b[BK * LDB];
    int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
    int wm = warp / WARPS_N * WM, wn = warp % WARPS_N * WN;
    int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    /* ldmatrix: lanes 0-15 name the rows of the left 8 columns, lanes 16-31 those of the right 8.
     */
    unsigned from_a = shared_address(tile_a + (wm + lane % 16) * LDA + lane / 16 * 8);
    unsigned from_b = shared_address(tile_b + lane % 16 * LDB + wn + lane / 16 * 8);
    float sum[WM / 16][WN / 8][4] = {};

    for (int k0 = 0; k0 < k; k0 += BK) {
#pragma unroll
        for (int i = tid; i < BM * BK / 8; i += THREADS) {
            int r = i / (BK / 8), cc = i % (BK / 8) * 8;
            load8(tile_a + r * LDA + cc, a, row0 + r, k0 + cc, m, k);
        }
#pragma unroll
        for (int i = tid; i < BK * BN / 8; i += THREADS) {
            int r = i / (BN / 8), cc = i % (BN / 8) * 8;
            load8(tile_b + r * LDB + cc, b, k0 + r, col0 + cc, k, n);
        }
        __syncthreads();
#pragma unroll
        for (int kk = 0; kk < BK; kk += 16) {
            unsigned fa[WM / 16][4], fb[WN / 16][4];
#pragma unroll
            for (int i = 0; i < WM / 16; i++)
                ldmatrix(fa[i], from_a + 2 * (i * 16 * LDA + kk));
#pragma unroll
            for (int j = 0; j < WN / 16; j++)
                ldmatrix_trans(fb[j], from_b + 2 * (kk * LDB + j * 16));
#pragma unroll
            for (int i = 0; i < WM / 16; i++)
#pragma unroll
                for (int j = 0; j < WN / 8; j++)
                    mma(sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < WM / 16; i++)
#pragma unroll
        for (int j = 0; j < WN / 8; j++) {
            int row = row0 + wm + i * 16 + lane / 4, col = col0 + wn + j * 8 + lane % 4 * 2;
            store2(c, row, col, m, n, sum[i][j][0], sum[i][j][1]);
            store2(c, row + 8, col, m, n, sum[i][j][2], sum[i][j][3]);
        }
}
