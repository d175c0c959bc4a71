/* SPDX-License-Identifier: MIT */
/* C = A @ B, f32, for each of a batch. 03: TF32 straight from f32 tiles, a long k split.
 *
 * 02 reads its operands twice before it multiplies. Where they are used few times, 256 x 524288 x 256,
 * say, that reading is all there is. Here f32 tiles go to shared memory by cp.async as they lie,
 * whichever way round, and become TF32 (rounded, not cut off) on their way into mma.sync. Blocks share k
 * where there are fewer output tiles than multiprocessors; `add` sums their parts in one order. */

#define BK 32
#define WARPS_N (BN / 64)
#define THREADS (BM / 64 * WARPS_N * 32)
#define A_PITCH (TA ? BM + 8 : BK) /* in words; k-contiguous tiles are swizzled instead */
#define B_PITCH (TB ? BK : BN + 8)
#define A_WORDS (TA ? BK * A_PITCH : BM * A_PITCH)
#define STAGE_WORDS (A_WORDS + (TB ? BN * B_PITCH : BK * B_PITCH))

typedef long long i64;

extern __shared__ __align__(128) float shared[];

/* Does row r of the operand count at k? KEEP 1: where k >= r, 2: where k <= r. */
template <int KEEP> static __device__ __forceinline__ bool counts(i64 r, i64 k)
{
    return KEEP == 0 || (KEEP == 1 ? k >= r : k <= r);
}

/* Four floats to shared memory, the first `valid` of them there, the rest zero; of those that don't
 * count, nothing is read. `along` says how row and k grow from one to the next. */
template <bool VEC, int KEEP, bool ALONG_K>
static __device__ __forceinline__ void copy4(float *to, const float *from, i64 valid, i64 r, i64 k)
{
    unsigned at = (unsigned)__cvta_generic_to_shared(to);

    if (VEC && !KEEP) {
        int size = valid > 0 ? 16 : 0;
        asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(at),
                     "l"(from), "r"(size)
                     : "memory");
    }
#pragma unroll
    for (int e = 0; e < 4 && (!VEC || KEEP); e++) {
        int size = e < valid && counts<KEEP>(r + (ALONG_K ? 0 : e), k + (ALONG_K ? e : 0)) ? 4 : 0;
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at + 4 * e),
                     "l"(size ? from + e : from), "r"(size)
                     : "memory");
    }
}

/* A tile of TILE rows by BK of k. `rows` and `k` end the operand; k0 < k. */
template <bool TURNED, bool VEC, int KEEP, int TILE>
static __device__ __forceinline__ void copy_tile(float *to, const float *from, i64 r0, i64 k0, i64 rows,
                                                 i64 k)
{
    if (!TURNED) {
#pragma unroll
        for (int x = threadIdx.x; x < TILE * BK / 4; x += THREADS) {
            int r = x / 8, c = x % 8;
            i64 row = min(r0 + r, rows - 1), at = k0 + c * 4;
            copy4<VEC, KEEP, true>(to + r * BK + (c ^ (r % 8)) * 4, from + row * k + min(at, k - 1),
                                   r0 + r < rows ? k - at : 0, r0 + r, at);
        }
    } else {
#pragma unroll
        for (int x = threadIdx.x; x < TILE * BK / 4; x += THREADS) {
            int i = x / (TILE / 4), c = x % (TILE / 4) * 4;
            i64 at = min(k0 + i, k - 1), row = min(r0 + c, rows - 1);
            copy4<VEC, KEEP, false>(to + i * (TILE + 8) + c, from + at * rows + row,
                                    k0 + i < k ? rows - r0 - c : 0, r0 + c, k0 + i);
        }
    }
}

static __device__ __forceinline__ unsigned to_tf32(unsigned x)
{
    unsigned y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(__uint_as_float(x)));
    return y;
}

/* Sixteen rows by eight of k, as four registers: rows 0-7 and 8-15 of the first four of k, then of the
 * other four. A 16-byte chunk of floats is a row of ldmatrix. */
template <bool TURNED, int PITCH>
static __device__ __forceinline__ void load16(unsigned f[4], const float *tile, int row, int kk)
{
    int lane = threadIdx.x % 32;

    if (!TURNED) {
        int r = row + lane % 16, c = kk * 2 + lane / 16;
        unsigned at = (unsigned)__cvta_generic_to_shared(tile + r * BK + (c ^ (r % 8)) * 4);
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
                     : "r"(at)
                     : "memory");
    } else {
        const float *p = tile + (kk * 8 + lane % 4) * PITCH + row + lane / 4;
        f[0] = __float_as_uint(p[0]);
        f[1] = __float_as_uint(p[8]);
        f[2] = __float_as_uint(p[4 * PITCH]);
        f[3] = __float_as_uint(p[4 * PITCH + 8]);
    }
#pragma unroll
    for (int e = 0; e < 4; e++)
        f[e] = to_tf32(f[e]);
}

static __device__ __forceinline__ void mma(float d[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ __forceinline__ void multiply_stage(float sum[4][8][4], const float *stage, int wm,
                                                      int wn)
{
    unsigned fa[2][4][4], fb[2][4][4];

#pragma unroll
    for (int i = 0; i < 4; i++) {
        load16<TA, A_PITCH>(fa[0][i], stage, wm + i * 16, 0);
        load16<!TB, B_PITCH>(fb[0][i], stage + A_WORDS, wn + i * 16, 0);
    }
#pragma unroll
    for (int kk = 0; kk < BK / 8; kk++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (kk + 1 < BK / 8) {
                load16<TA, A_PITCH>(fa[(kk + 1) % 2][i], stage, wm + i * 16, kk + 1);
                load16<!TB, B_PITCH>(fb[(kk + 1) % 2][i], stage + A_WORDS, wn + i * 16, kk + 1);
            }
#pragma unroll
            for (int j = 0; j < 8; j++)
                mma(sum[i][j], fa[kk % 2][i], fb[kk % 2][j / 2][j % 2], fb[kk % 2][j / 2][j % 2 + 2]);
        }
    }
}

static __device__ __forceinline__ void put2(float *row, i64 col, i64 n, float x, float y)
{
    if (n % 2 == 0 && col < n) {
        *reinterpret_cast<float2 *>(row + col) = make_float2(x, y);
    } else {
        if (col < n)
            row[col] = x;
        if (col + 1 < n)
            row[col + 1] = y;
    }
}

/* Tiles of k that an output tile needs, [first, end). */
static __device__ __forceinline__ void range_of(i64 row, i64 col, i64 k, i64 *first, i64 *end)
{
    *first = PART == 1 ? row / BK : PART == 2 ? col / BK : 0;
    *end = (min(k, PART == 1 ? col + BN : PART == 2 ? row + BM : k) + BK - 1) / BK;
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    multiply(const float *__restrict__ a, const float *__restrict__ b, float *c, float *part, int batch,
             i64 m, i64 n, i64 k)
{
    i64 tiles_m = (m + BM - 1) / BM, tiles_n = (n + BN - 1) / BN, tiles = tiles_m * tiles_n;
    i64 in = blockIdx.x % (tiles * batch), split = blockIdx.x / (tiles * batch), one = in / tiles;
    i64 band = in % tiles / (GROUP * tiles_n), rest = in % tiles % (GROUP * tiles_n);
    i64 height = min((i64)GROUP, tiles_m - band * GROUP), first, end;
    i64 row = (band * GROUP + rest % height) * BM, col = rest / height * BN;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, wm = warp / WARPS_N * 64, wn = warp % WARPS_N * 64;
    float sum[4][8][4] = {};

    range_of(row, col, k, &first, &end);
    i64 share = (max(end - first, (i64)0) + SPLITS - 1) / SPLITS;
    first += split * share;
    end = min(end, first + share);
    a += one * m * k;
    b += one * k * n;
#pragma unroll 1
    for (i64 i = first; i < end + STAGES - 1; i++) {
        i64 now = i - (STAGES - 1);
        /* The barrier says that the stage is there for every warp, and that every warp has read the one
         * that is filled next. */
        if (now >= first)
            asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        __syncthreads();
        if (i < end) {
            float *stage = shared + (i - first) % STAGES * STAGE_WORDS;
            copy_tile<TA, A_VEC, PART, BM>(stage, a, row, i * BK, m, k);
            copy_tile<!TB, B_VEC, (PART ? 3 - PART : 0), BN>(stage + A_WORDS, b, col, i * BK, n, k);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        if (now >= first)
            multiply_stage(sum, shared + (now - first) % STAGES * STAGE_WORDS, wm, wn);
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    float *to = (SPLITS > 1 ? part + split * batch * m * n : c) + one * m * n;
    row += wm + lane / 4;
    col += wn + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) {
            if (row + i * 16 < m)
                put2(to + (row + i * 16) * n, col + j * 8, n, sum[i][j][0], sum[i][j][1]);
            if (row + i * 16 + 8 < m)
                put2(to + (row + i * 16 + 8) * n, col + j * 8, n, sum[i][j][2], sum[i][j][3]);
        }
}

/* The parts of a sum, in one order. */
extern "C" __global__ void __launch_bounds__(256) add(const float *__restrict__ part, float *c, i64 size)
{
    i64 i = blockIdx.x * 256LL + threadIdx.x;
    float sum[2] = {};

    if (SPLITS == 1 || i >= size)
        return;
#pragma unroll 8
    for (int s = 0; s < SPLITS; s++)
        sum[s % 2] += part[s * size + i];
    c[i] = sum[0] + sum[1];
}
