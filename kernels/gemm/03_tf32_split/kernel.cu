/* SPDX-License-Identifier: MIT */
/* C = A @ B, f32, for each of a batch. 03: TF32 straight from f32 tiles, a long k split.
 *
 * 02 reads its operands twice before it multiplies. Where they are used few times, 256 x 524288 x 256,
 * say, that reading is all there is. Here f32 tiles go to shared memory by cp.async as they lie,
 * whichever way round, and become TF32 (rounded, not cut off) on their way into mma.sync. Blocks share k
 * where there are fewer output tiles than multiprocessors; `add` sums their parts in one order.
 *
 * WGMMA 1 (sm_90a) takes both operands as they lie row-major, the common case: the product is turned
 * round, C^T = B^T A^T, so that B comes from registers, where it can be read along n, and A by
 * descriptor from the swizzled tile. Four warps copy, eight multiply. A is cut off to TF32 there. */

#define BK 32
#define WARPS_N (BN / 64)
#define THREADS (BM / 64 * WARPS_N * 32)
#define A_PITCH (TA ? BM + 8 : BK) /* in words; k-contiguous tiles are swizzled instead */
#define B_PITCH (TB ? BK : BN + 8)
#define A_WORDS (TA ? BK * A_PITCH : BM * A_PITCH)
#define STAGE_WORDS (A_WORDS + (TB ? BN * B_PITCH : BK * B_PITCH))

typedef long long i64;

extern __shared__ __align__(1024) float shared[];

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

/* Tiles of k that an output tile needs, [first, end). */
static __device__ __forceinline__ void range_of(i64 row, i64 col, i64 k, i64 *first, i64 *end)
{
    *first = PART == 1 ? row / BK : PART == 2 ? col / BK : 0;
    *end = (min(k, PART == 1 ? col + BN : PART == 2 ? row + BM : k) + BK - 1) / BK;
}

/* What a block computes at a time: an output tile over the tiles of k from `first` to `end`, and where it goes. */
struct place {
    i64 row, col, first, end;
    const float *a, *b;
    float *to;
};

static __device__ __forceinline__ struct place place_of(i64 t, const float *a, const float *b, float *c,
                                                        float *part, int batch, i64 m, i64 n, i64 k)
{
    i64 tiles_m = (m + BM - 1) / BM, tiles_n = (n + BN - 1) / BN, tiles = tiles_m * tiles_n;
    i64 in = t % (tiles * batch), split = t / (tiles * batch), one = in / tiles;
    i64 band = in % tiles / (GROUP * tiles_n), rest = in % tiles % (GROUP * tiles_n);
    i64 height = min((i64)GROUP, tiles_m - band * GROUP);
    struct place at = {(band * GROUP + rest % height) * BM, rest / height * BN, 0, 0, a + one * m * k,
                       b + one * k * n, c + one * m * n};

    range_of(at.row, at.col, k, &at.first, &at.end);
    i64 share = (max(at.end - at.first, (i64)0) + SPLITS - 1) / SPLITS;
    at.first += split * share;
    at.end = min(at.end, at.first + share);
    if (SPLITS > 1)
        at.to = part + (split * batch + one) * m * n;
    return at;
}

#if WIDE

static __device__ __forceinline__ void barrier_wait(unsigned bar, unsigned parity)
{
    unsigned ok;
    do {
        asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;"
                     "selp.u32 %0, 1, 0, p;}"
                     : "=r"(ok)
                     : "r"(bar), "r"(parity)
                     : "memory");
    } while (!ok);
}

static __device__ __forceinline__ void barrier_arrive(unsigned bar)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}

/* The compiler must not move the sums while products are under way. */
static __device__ __forceinline__ void keep(float (&d)[128])
{
#pragma unroll
    for (int i = 0; i < 128; i++)
        asm volatile("" : "+f"(d[i])::"memory");
}

#define D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define D16(i) D4(i), D4(i + 4), D4(i + 8), D4(i + 12)
#define D32(i) D16(i), D16(i + 16)

/* d += 64 columns of B by 256 rows of A, 8 of k: B in registers, A by descriptor. */
static __device__ __forceinline__ void multiply64(float (&d)[128], const unsigned f[4],
                                                  unsigned long long a)
{
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n256k8.f32.tf32.tf32 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
        "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
        "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
        "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
        "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
        "}, {%128, %129, %130, %131}, %132, 1, 1, 1;"
        : D32(0), D32(32), D32(64), D32(96)
        : "r"(f[0]), "r"(f[1]), "r"(f[2]), "r"(f[3]), "l"(a)
        : "memory");
}

/* A tile's descriptor: 128-byte swizzle, groups of eight rows 1024 bytes apart. */
static __device__ __forceinline__ unsigned long long descriptor(unsigned at)
{
    return (1ull << 16) | (64ull << 32) | (1ull << 62) | (unsigned long long)((at >> 4) & 0x3fff);
}

/* What the kernel was given. */
struct product {
    const float *a, *b;
    float *c, *part;
    int batch;
    i64 m, n, k;
};

static __device__ __forceinline__ i64 places_of(const struct product &p)
{
    return ((p.m + BM - 1) / BM) * ((p.n + BN - 1) / BN) * p.batch * SPLITS;
}

static __device__ __forceinline__ struct place place_of(i64 t, const struct product &p)
{
    return place_of(t, p.a, p.b, p.c, p.part, p.batch, p.m, p.n, p.k);
}

/* 16 bytes, or zeros. The next step wants what lies beside: L2 fetches it, too. */
static __device__ __forceinline__ void copy16(unsigned to, const float *from, bool there)
{
    asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                 "r"(there ? 16 : 0)
                 : "memory");
}

/* Tile i of k by 128 threads: every 16th row of A and every fourth of B, by running addresses. */
static __device__ __forceinline__ void copy_wide(const struct product &p, const struct place &at, i64 i,
                                                 const float *stage)
{
    int t = threadIdx.x % 128, r = t / 8, c = t % 8 * 4, rows = min(p.m - at.row - r, (i64)BM);
    i64 k0 = i * BK;
    const float *a = at.a + (at.row + r) * p.k + k0 + c;
    const float *b = at.b + (k0 + t / 32) * p.n + at.col + t % 32 * 4;
    unsigned to = (unsigned)__cvta_generic_to_shared(stage);
    unsigned to_a = to + (r * BK + (c ^ (r % 8 * 4))) * 4;
    unsigned to_b = to + (A_WORDS + t / 32 * B_PITCH + t % 32 * 4) * 4;
    int depth = at.col + t % 32 * 4 < p.n ? (int)min(p.k - k0 - t / 32, (i64)BK) : 0;

    rows = k0 + c < p.k ? rows : 0;
#pragma unroll
    for (int j = 0; j < BM / 16; j++, a += 16 * p.k)
        copy16(to_a + j * 16 * BK * 4, a, j * 16 < rows);
#pragma unroll
    for (int j = 0; j < BK / 4; j++, b += 4 * p.n)
        copy16(to_b + j * 4 * B_PITCH * 4, b, j * 4 < depth);
}

/* Stage x of those that a block fills is there for the warps that multiply. */
static __device__ __forceinline__ void hand_over(unsigned full, int x)
{
    asm volatile("fence.proxy.async;" ::: "memory");
    barrier_arrive(full + x % STAGES * 8);
}

/* Four warps. A stage is handed over LAG stages after its copies were started, the pipeline runs
 * through from tile to tile. */
static __device__ __forceinline__ void feed(const struct product &p, unsigned full)
{
    const int lag = STAGES - 2;
    int x = 0;

#pragma unroll 1
    for (i64 t = blockIdx.x; t < places_of(p); t += gridDim.x) {
        struct place at = place_of(t, p);
#pragma unroll 1
        for (i64 i = at.first; i < at.end; i++, x++) {
            barrier_wait(full + (STAGES + x % STAGES) * 8, x / STAGES % 2 ^ 1);
            copy_wide(p, at, i, shared + x % STAGES * STAGE_WORDS);
            asm volatile("cp.async.commit_group;" ::: "memory");
            if (x >= lag) {
                asm volatile("cp.async.wait_group %0;" ::"n"(lag) : "memory");
                hand_over(full, x - lag);
            }
        }
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    for (int rest = max(x - lag, 0); rest < x; rest++)
        hand_over(full, rest);
}

/* Stage i. A warpgroup reads its part of B while the other one multiplies. */
static __device__ __forceinline__ void multiply_wide(float (&d)[128], unsigned full, int i)
{
    const float *stage = shared + i % STAGES * STAGE_WORDS;
    unsigned long long a = descriptor((unsigned)__cvta_generic_to_shared(stage));
    unsigned f[BK / 8][4];

    barrier_wait(full + i % STAGES * 8, i / STAGES % 2);
#pragma unroll
    for (int q = 0; q < BK / 8; q++)
        load16<true, B_PITCH>(f[q], stage + A_WORDS, threadIdx.x / 32 * 16, q);
    keep(d);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int q = 0; q < BK / 8; q++)
        multiply64(d, f[q], a + q * 2);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    keep(d);
    if (threadIdx.x % 32 == 0)
        barrier_arrive(full + (STAGES + i % STAGES) * 8);
}

/* Two warpgroups, 64 columns each. */
static __device__ __forceinline__ void consume(const struct product &p, unsigned full)
{
    int lane = threadIdx.x % 32, x = 0;
    float d[128];

#pragma unroll 1
    for (i64 t = blockIdx.x; t < places_of(p); t += gridDim.x) {
        struct place at = place_of(t, p);
        int steps = at.end - at.first;
        i64 col = at.col + threadIdx.x / 32 * 16 + lane / 4, row = at.row + lane % 4 * 2;
        float *to = at.to + row * p.n + col;
        int rows = min(p.m - row, (i64)BM), cols = p.n - col > 8 ? 2 : p.n - col > 0;
#pragma unroll
        for (int i = 0; i < 128; i++)
            d[i] = 0.0f;
#pragma unroll 1
        for (int i = 0; i < steps; i++, x++)
            multiply_wide(d, full, x);
#pragma unroll
        for (int j = 0; j < 32; j++, to += 8 * p.n)
#pragma unroll
            for (int e = 0; e < 4; e++)
                if (j * 8 + e % 2 < rows && e / 2 < cols)
                    to[e % 2 * p.n + e / 2 * 8] = d[j * 4 + e];
    }
}

extern "C" __global__ void __launch_bounds__(384, 1)
    multiply(const float *__restrict__ a, const float *__restrict__ b, float *c, float *part, int batch,
             i64 m, i64 n, i64 k)
{
    struct product p = {a, b, c, part, batch, m, n, k};
    unsigned full = (unsigned)__cvta_generic_to_shared(shared) + STAGES * STAGE_WORDS * 4;

    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 128;" ::"r"(full + s * 8) : "memory");
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 8;" ::"r"(full + (STAGES + s) * 8)
                         : "memory");
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x >= 256) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 80;");
        feed(p, full);
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 208;");
        consume(p, full);
    }
}

#else

static __device__ __forceinline__ void copy_stage(const struct place &at, i64 i, float *stage, i64 m, i64 n,
                                                  i64 k)
{
    copy_tile<TA, A_VEC, PART, BM>(stage, at.a, at.row, i * BK, m, k);
    copy_tile<!TB, B_VEC, (PART ? 3 - PART : 0), BN>(stage + A_WORDS, at.b, at.col, i * BK, n, k);
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

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    multiply(const float *__restrict__ a, const float *__restrict__ b, float *c, float *part, int batch,
             i64 m, i64 n, i64 k)
{
    struct place at = place_of(blockIdx.x, a, b, c, part, batch, m, n, k);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, wm = warp / WARPS_N * 64, wn = warp % WARPS_N * 64;
    float sum[4][8][4] = {};

#pragma unroll 1
    for (i64 i = at.first; i < at.end + STAGES - 1; i++) {
        i64 now = i - (STAGES - 1);
        /* The barrier says that the stage is there for every warp, and that every warp has read the one
         * that is filled next. */
        if (now >= at.first)
            asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        __syncthreads();
        if (i < at.end)
            copy_stage(at, i, shared + (i - at.first) % STAGES * STAGE_WORDS, m, n, k);
        asm volatile("cp.async.commit_group;" ::: "memory");
        if (now >= at.first)
            multiply_stage(sum, shared + (now - at.first) % STAGES * STAGE_WORDS, wm, wn);
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    i64 row = at.row + wm + lane / 4, col = at.col + wn + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) {
            if (row + i * 16 < m)
                put2(at.to + (row + i * 16) * n, col + j * 8, n, sum[i][j][0], sum[i][j][1]);
            if (row + i * 16 + 8 < m)
                put2(at.to + (row + i * 16 + 8) * n, col + j * 8, n, sum[i][j][2], sum[i][j][3]);
        }
}

#endif

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
