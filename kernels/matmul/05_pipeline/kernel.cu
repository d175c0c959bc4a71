/* SPDX-License-Identifier: MIT */
/* C = A @ B, bf16, f32 accumulation. 05: a pipeline of cp.async copies over swizzled shared memory.
 *
 * In 04 loads and arithmetic take turns. Here STAGES tiles are in flight: cp.async fills tile t +
 * STAGES - 1 while tile t is computed, with no registers in between and one barrier a tile. A
 * 16-byte XOR swizzle replaces the padding, and blocks walk the output in bands of GROUP tiles so
 * that L2 serves most reads. What is left: each step waits for its own ldmatrix before the tensor
 * cores can start. */

#define WARPS_N (BN / WN)
#define THREADS (32 * (BM / WM) * WARPS_N)
#define STEPS (BK / 16)
#define A_BYTES (BM * BK * 2)
#define STAGE_BYTES ((BM + BN) * BK * 2)

typedef unsigned short bf16;

extern __shared__ __align__(128) unsigned char shared[];

/* Where chunk c (16 bytes) of a row lies in a tile with CHUNKS chunks a row. The XOR spreads a
 * column of chunks over all banks, for ldmatrix reads eight rows of one column at a time. */
template <int CHUNKS> static __device__ __forceinline__ int swizzled(int row, int c)
{
    const int rows_per_line = CHUNKS >= 8 ? 1 : 8 / CHUNKS;
    const int mask = CHUNKS >= 8 ? 7 : CHUNKS - 1;
    return (row * CHUNKS + (c ^ (row / rows_per_line & mask))) * 16;
}

/* Eight elements of a row, from (row, col) on, to shared memory at offset dst; zeros outside [0,
 * rows) x [0, cols). Nothing outside is read: a copy of size 0 only fills. */
static __device__ __forceinline__ void copy8(unsigned dst, const bf16 *src, int row, int col,
                                             int rows, int cols)
{
    const bf16 *p = src + (long long)row * cols + col;
#if !ALIGNED
    unsigned w[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 8; i++)
        if (row < rows && col + i < cols)
            w[i / 2] |= (unsigned)p[i] << (i % 2 * 16);
    *reinterpret_cast<uint4 *>(shared + dst) = make_uint4(w[0], w[1], w[2], w[3]);
#else
    unsigned addr = (unsigned)__cvta_generic_to_shared(shared + dst);
#if GUARD
    bool inside = row < rows && col < cols;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(addr), "l"(inside ? p : src),
                 "r"(inside ? 16 : 0)
                 : "memory");
#else
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(addr), "l"(p)
                 : "memory");
#endif
#endif
}

static __device__ __forceinline__ void copy_tile(int stage, int k0, const bf16 *a, const bf16 *b,
                                                 int row0, int col0, int m, int n, int k)
{
    unsigned base = stage * STAGE_BYTES;
#pragma unroll
    for (int i = threadIdx.x; i < BM * BK / 8; i += THREADS) {
        int r = i / (BK / 8), c = i % (BK / 8);
        copy8(base + swizzled<BK / 8>(r, c), a, row0 + r, k0 + c * 8, m, k);
    }
#pragma unroll
    for (int i = threadIdx.x; i < BK * BN / 8; i += THREADS) {
        int r = i / (BN / 8), c = i % (BN / 8);
        copy8(base + A_BYTES + swizzled<BN / 8>(r, c), b, k0 + r, col0 + c * 8, k, n);
    }
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

static __device__ __forceinline__ unsigned pack(float lo, float hi)
{
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

static __device__ __forceinline__ void store2(bf16 *c, int row, int col, int m, int n, float lo,
                                              float hi)
{
    unsigned pair = pack(lo, hi);
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

/* Which tile a block takes: down GROUP tiles, then one to the right, so that blocks running
 * together share rows of A and columns of B in L2. */
static __device__ __forceinline__ void tile_of_block(int block, int tiles_m, int tiles_n, int *row,
                                                     int *col)
{
    int band = block / (GROUP * tiles_n), rest = block % (GROUP * tiles_n);
    int height = min(GROUP, tiles_m - band * GROUP);

    *row = (band * GROUP + rest % height) * BM;
    *col = rest / height * BN;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    matmul(const bf16 *__restrict__ a, const bf16 *__restrict__ b, bf16 *__restrict__ c, int m,
           int n, int k)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int wm = warp / WARPS_N * WM, wn = warp % WARPS_N * WN;
    int tiles = (k + BK - 1) / BK, row0, col0;
    float sum[WM / 16][WN / 8][4] = {};

    tile_of_block(blockIdx.x, (m + BM - 1) / BM, (n + BN - 1) / BN, &row0, &col0);
#pragma unroll
    for (int t = 0; t < STAGES - 1; t++) {
        if (t < tiles)
            copy_tile(t, t * BK, a, b, row0, col0, m, n, k);
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int t = 0; t < tiles; t++) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        /* One barrier does both: tile t is there for every warp, and every warp is done with tile t
         * - 1, whose stage the copies below reuse. */
        __syncthreads();
        if (t + STAGES - 1 < tiles)
            copy_tile((t + STAGES - 1) % STAGES, (t + STAGES - 1) * BK, a, b, row0, col0, m, n, k);
        asm volatile("cp.async.commit_group;" ::: "memory");

        unsigned stage = (unsigned)__cvta_generic_to_shared(shared) + t % STAGES * STAGE_BYTES;
#pragma unroll
        for (int kk = 0; kk < STEPS; kk++) {
            unsigned fa[WM / 16][4], fb[WN / 16][4];
#pragma unroll
            for (int i = 0; i < WM / 16; i++)
                ldmatrix(fa[i],
                         stage + swizzled<BK / 8>(wm + i * 16 + lane % 16, kk * 2 + lane / 16));
#pragma unroll
            for (int j = 0; j < WN / 16; j++)
                ldmatrix_trans(
                    fb[j], stage + A_BYTES +
                               swizzled<BN / 8>(kk * 16 + lane % 16, wn / 8 + j * 2 + lane / 16));
#pragma unroll
            for (int i = 0; i < WM / 16; i++)
#pragma unroll
                for (int j = 0; j < WN / 8; j++)
                    mma(sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
        }
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
#pragma unroll
    for (int i = 0; i < WM / 16; i++)
#pragma unroll
        for (int j = 0; j < WN / 8; j++) {
            int row = row0 + wm + i * 16 + lane / 4, col = col0 + wn + j * 8 + lane % 4 * 2;
            store2(c, row, col, m, n, sum[i][j][0], sum[i][j][1]);
            store2(c, row + 8, col, m, n, sum[i][j][2], sum[i][j][3]);
        }
}
