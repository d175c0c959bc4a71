/* SPDX-License-Identifier: MIT */
/* C = A @ B, bf16, f32 accumulation. 06: fragments one step ahead, large warp tiles, 16-byte
 * stores.
 *
 * 05 waits for ldmatrix at the start of every step. Here the operands of step s + 1 are loaded into
 * a second set of registers while the tensor cores work on step s, across tiles too; a tile's
 * copies are spread over its steps; a 64x64 warp tile gives 32 mma for 8 ldmatrix, which is what
 * shared memory can feed; and the results pass through shared memory, so that rows leave in 16-byte
 * stores. What is left: each step's loads come in one burst, and the mma behind them wait. */

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

/* Eight elements from p to shared memory at offset dst. Only the first `valid` exist (none if it is
 * 0 or less), the rest become zeros. Nothing else is read: a copy of size 0 only fills. */
static __device__ __forceinline__ void copy8(unsigned dst, const bf16 *p, int valid)
{
#if !ALIGNED
    unsigned w[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 8; i++)
        if (i < valid)
            w[i / 2] |= (unsigned)p[i] << (i % 2 * 16);
    *reinterpret_cast<uint4 *>(shared + dst) = make_uint4(w[0], w[1], w[2], w[3]);
#else
    unsigned addr = (unsigned)__cvta_generic_to_shared(shared + dst);
#if GUARD
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(addr), "l"(p),
                 "r"(valid > 0 ? 16 : 0)
                 : "memory");
#else
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(addr), "l"(p)
                 : "memory");
#endif
#endif
}

/* A thread copies one column of chunks of each tile, every A_ROWS-th (B_ROWS-th) row of it, so that
 * it needs one running address for A and one for B. */
#define A_ROWS (THREADS / (BK / 8))
#define B_ROWS (THREADS / (BN / 8))
#define A_COPIES (BM / A_ROWS)
#define B_COPIES (BK / B_ROWS)

struct cursor {
    const bf16 *a, *b;  /* this thread's first chunk of the next tile to copy */
    int rows_a, cols_b; /* rows of A, columns of B left from there */
    int k;              /* columns of A and rows of B left from the start of that tile */
};

/* Part kk of STEPS of the copies of a tile. */
static __device__ __forceinline__ void copy_part(const struct cursor *at, int kk, int stage,
                                                 int lda, int ldb)
{
    unsigned base = stage * STAGE_BYTES;
    int ra = threadIdx.x / (BK / 8), ca = threadIdx.x % (BK / 8);
    int rb = threadIdx.x / (BN / 8), cb = threadIdx.x % (BN / 8);
#pragma unroll
    for (int i = A_COPIES * kk / STEPS; i < A_COPIES * (kk + 1) / STEPS; i++) {
        int valid = i * A_ROWS < at->rows_a ? at->k - ca * 8 : 0;
        copy8(base + swizzled<BK / 8>(ra + i * A_ROWS, ca), at->a + (long long)i * A_ROWS * lda,
              valid);
    }
#pragma unroll
    for (int i = B_COPIES * kk / STEPS; i < B_COPIES * (kk + 1) / STEPS; i++) {
        int valid = rb + i * B_ROWS < at->k ? at->cols_b : 0;
        copy8(base + A_BYTES + swizzled<BN / 8>(rb + i * B_ROWS, cb),
              at->b + (long long)i * B_ROWS * ldb, valid);
    }
}

static __device__ __forceinline__ void next_tile(struct cursor *at, int ldb)
{
    at->a += BK;
    at->b += (long long)BK * ldb;
    at->k -= BK;
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

static __device__ __forceinline__ void
load_fragments(unsigned fa[WM / 16][4], unsigned fb[WN / 16][4], int stage, int kk, int wm, int wn)
{
    unsigned base = (unsigned)__cvta_generic_to_shared(shared) + stage * STAGE_BYTES;
    int r = threadIdx.x % 16, right = threadIdx.x / 16 % 2;
#pragma unroll
    for (int i = 0; i < WM / 16; i++)
        ldmatrix(fa[i], base + swizzled<BK / 8>(wm + i * 16 + r, kk * 2 + right));
#pragma unroll
    for (int j = 0; j < WN / 16; j++)
        ldmatrix_trans(fb[j],
                       base + A_BYTES + swizzled<BN / 8>(kk * 16 + r, wn / 8 + j * 2 + right));
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

/* A warp's tile through its own part of shared memory, then to C in 16-byte stores. */
static __device__ __forceinline__ void store_tile(bf16 *c, const float sum[WM / 16][WN / 8][4],
                                                  int warp, int row0, int col0, int m, int n)
{
    const int chunks = WN / 8;
    unsigned char *mine = shared + warp * (WM * WN * 2);
    int lane = threadIdx.x % 32;

#pragma unroll
    for (int i = 0; i < WM / 16; i++)
#pragma unroll
        for (int j = 0; j < chunks; j++) {
            int r = i * 16 + lane / 4;
            *reinterpret_cast<unsigned *>(mine + swizzled<chunks>(r, j) + lane % 4 * 4) =
                pack(sum[i][j][0], sum[i][j][1]);
            *reinterpret_cast<unsigned *>(mine + swizzled<chunks>(r + 8, j) + lane % 4 * 4) =
                pack(sum[i][j][2], sum[i][j][3]);
        }
    __syncwarp();
#pragma unroll
    for (int i = lane; i < WM * chunks; i += 32) {
        int r = i / chunks, j = i % chunks, row = row0 + r, col = col0 + j * 8;
        uint4 v = *reinterpret_cast<uint4 *>(mine + swizzled<chunks>(r, j));
        bf16 *p = c + (long long)row * n + col;
        if (row >= m)
            continue;
#if ALIGNED
        if (col < n)
            *reinterpret_cast<uint4 *>(p) = v;
#else
        unsigned w[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int e = 0; e < 8; e++)
            if (col + e < n)
                p[e] = (bf16)(w[e / 2] >> (e % 2 * 16));
#endif
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    matmul(const bf16 *__restrict__ a, const bf16 *__restrict__ b, bf16 *__restrict__ c, int m,
           int n, int k)
{
    int warp = threadIdx.x / 32;
    int wm = warp / WARPS_N * WM, wn = warp % WARPS_N * WN;
    int tiles = (k + BK - 1) / BK, row0, col0, stage = 0, next = STAGES - 1;
    unsigned fa[2][WM / 16][4], fb[2][WN / 16][4];
    float sum[WM / 16][WN / 8][4] = {};

    tile_of_block(blockIdx.x, (m + BM - 1) / BM, (n + BN - 1) / BN, &row0, &col0);
    int ra = row0 + threadIdx.x / (BK / 8), cb = col0 + threadIdx.x % (BN / 8) * 8;
    struct cursor at = {a + (long long)ra * k + threadIdx.x % (BK / 8) * 8,
                        b + (long long)(threadIdx.x / (BN / 8)) * n + cb, m - ra, n - cb, k};
#pragma unroll
    for (int t = 0; t < STAGES - 1; t++) {
        if (t < tiles)
#pragma unroll
            for (int kk = 0; kk < STEPS; kk++)
                copy_part(&at, kk, t, k, n);
        next_tile(&at, n);
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
    __syncthreads();
    load_fragments(fa[0], fb[0], 0, 0, wm, wn);

#pragma unroll 1
    for (int t = 0; t < tiles; t++) {
#pragma unroll
        for (int kk = 0; kk < STEPS; kk++) {
            if (t + STAGES - 1 < tiles)
                copy_part(&at, kk, next, k, n);
            if (kk == STEPS - 1) {
                /* The barrier says that tile t + 1 is there for every warp and that every warp has
                 * read all of tile t, whose stage the next round's copies overwrite. */
                asm volatile("cp.async.commit_group;" ::: "memory");
                asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
                __syncthreads();
                next_tile(&at, n);
                next = stage;
                stage = stage + 1 == STAGES ? 0 : stage + 1;
            }
            if (kk < STEPS - 1 || t + 1 < tiles)
                load_fragments(fa[(kk + 1) % 2], fb[(kk + 1) % 2], stage, (kk + 1) % STEPS, wm, wn);
#pragma unroll
            for (int i = 0; i < WM / 16; i++)
#pragma unroll
                for (int j = 0; j < WN / 8; j++)
                    mma(sum[i][j], fa[kk % 2][i], fb[kk % 2][j / 2][j % 2 * 2],
                        fb[kk % 2][j / 2][j % 2 * 2 + 1]);
        }
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    __syncthreads();
    store_tile(c, sum, warp, row0 + wm, col0 + wn, m, n);
}
