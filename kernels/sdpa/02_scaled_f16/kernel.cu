/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(dim)) V for each head, f32. 02: f16 tiles with a power of two for each row.
 *
 * TF32 has an 11-bit significand and so has f16, which the tensor cores take at twice the rate and half
 * the bytes. `pack` scales each row of Q and K and each column of V by the power of two that brings its
 * largest element just below 2^15 and writes f16 tiles of 64 in the 128-byte swizzle that products
 * want, zeros beyond the edges. Softmax makes a small error of a large score a large one of the result,
 * so Q and K are two f16 each, what the first leaves out in the second: hi*hi + lo*hi + hi*lo is as good
 * as f32. `multiply` gives the scores, `soften` turns rows of them into tiles of probabilities, and
 * `multiply` takes these to V. Heads are long enough in dim that the scores between are a sixth of the
 * memory that the inputs take.
 *
 * WGMMA 1: a warp feeds a ring of stages by bulk copies, two warpgroups multiply from shared memory
 * (sm_90a). WGMMA 0: the same tiles by cp.async, ldmatrix and mma.sync, which every GPU since sm_80 has. */

#define BM 128
#define BN 256
#define BK 64
#define A_BYTES (BM * BK * 2)
#define STAGE_BYTES ((BM + BN) * BK * 2)
#define WIDTHS (PARTS == 3 ? 2 : 1) /* of Q and K: what is left out lies to the right */
#define FULL_MASK 0xffffffffu

typedef long long i64;
typedef unsigned short half; /* an f16's bits; without CUDA's header this compiles in half the time */

/* 2^e that brings the largest of a row just below 2^15, as the exponent's field; rows that hold no
 * finite largest are left as they are. */
static __device__ __forceinline__ unsigned scale_field(unsigned mark)
{
    unsigned e = max(mark >> 23, 1u);
    return e == 255 ? 127 : min(268 - e, 253u);
}

static __device__ __forceinline__ float scale_of(unsigned mark)
{
    return __uint_as_float(scale_field(mark) << 23);
}

static __device__ __forceinline__ float unscale_of(unsigned mark)
{
    return __uint_as_float((254 - scale_field(mark)) << 23);
}

static __device__ __forceinline__ unsigned bits_of(float x)
{
    return __float_as_uint(x) & 0x7fffffffu;
}

static __device__ __forceinline__ int round_up(int n, int step)
{
    return (n + step - 1) / step * step;
}

/* Up to four consecutive floats, `valid` of them there, the rest zero. */
template <bool VEC> static __device__ __forceinline__ float4 load4(const float *p, int valid)
{
    float4 v = make_float4(0, 0, 0, 0);

    if (VEC) {
        if (valid > 0)
            v = __ldg(reinterpret_cast<const float4 *>(p));
    } else {
        v.x = valid > 0 ? __ldg(p) : 0;
        v.y = valid > 1 ? __ldg(p + 1) : 0;
        v.z = valid > 2 ? __ldg(p + 2) : 0;
        v.w = valid > 3 ? __ldg(p + 3) : 0;
    }
    return v;
}

static __device__ __forceinline__ unsigned largest(float4 v, unsigned mark)
{
    return max(max(max(bits_of(v.x), bits_of(v.y)), max(bits_of(v.z), bits_of(v.w))), mark);
}

static __device__ __forceinline__ unsigned two(float lo, float hi)
{
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

static __device__ __forceinline__ float left_out(float x)
{
    float y;
    asm("{.reg .b16 h; cvt.rn.f16.f32 h, %1; cvt.f32.f16 %0, h;}" : "=f"(y) : "f"(x));
    return x - y;
}

/* Four elements of row r from i on, scaled, to the tiles of a matrix of which `tiles_k` make up TILE
 * rows. Row r of a tile is 128 bytes, its 16-byte chunks in an order of its own. */
template <int TILE>
static __device__ __forceinline__ void put4(half *tiles, int tiles_k, int r, int i, float4 v)
{
    half *row = tiles + ((i64)(r / TILE) * tiles_k + i / BK) * (TILE * BK) + r % TILE * BK;

    *reinterpret_cast<uint2 *>(row + ((i % BK / 8) ^ (r % 8)) * 8 + i % 8) =
        make_uint2(two(v.x, v.y), two(v.z, v.w));
}

static __device__ __forceinline__ float4 times(float4 v, float s)
{
    return make_float4(v.x * s, v.y * s, v.z * s, v.w * s);
}

/* A warp a row: its largest element, then what it rounds to and what that leaves out. A row of up to
 * 1024 stays in registers, of a longer one the second reading finds it in the caches. */
template <int TILE>
static __device__ __forceinline__ void pack_row(const float *x, half *tiles, unsigned *marks, int r,
                                                int rows, int dim)
{
    constexpr bool held = ROW_QUADS <= 8;
    constexpr int at_once = held ? ROW_QUADS : 4, first_turns = held ? ROW_QUADS : 8;
    int lane = threadIdx.x % 32, wide = (dim + BK - 1) / BK;
    float4 kept[held ? ROW_QUADS : 1];
    unsigned mark = 0;

    x += (i64)r * dim;
#pragma unroll(first_turns)
    for (int q = 0; q < ROW_QUADS; q++) {
        int i = lane * 4 + q * 128;
        kept[held ? q : 0] = load4<DIM_VEC>(x + i, r < rows ? dim - i : 0);
        if (!held)
            mark = largest(kept[0], mark);
    }
#pragma unroll
    for (int q = 0; q < ROW_QUADS && held; q++)
        mark = largest(kept[q], mark);
#pragma unroll
    for (int d = 16; d; d /= 2)
        mark = max(mark, __shfl_xor_sync(FULL_MASK, mark, d));
    if (lane == 0)
        marks[r] = mark;
    float s = scale_of(mark);
#pragma unroll(at_once)
    for (int q = 0; q < ROW_QUADS; q++) {
        int i = lane * 4 + q * 128;
        if (i >= wide * BK)
            continue;
        float4 v = times(held ? kept[held ? q : 0] : load4<DIM_VEC>(x + i, r < rows ? dim - i : 0), s);
        put4<TILE>(tiles, WIDTHS * wide, r, i, v);
        if (PARTS == 3)
            put4<TILE>(tiles, 2 * wide, r, i + wide * BK,
                       make_float4(left_out(v.x), left_out(v.y), left_out(v.z), left_out(v.w)));
    }
}

/* 32 columns of V, turned round in shared memory 64 keys at a time. Up to 512 keys stay in registers, of
 * more the second reading finds them in the caches. */
static __device__ __forceinline__ void pack_columns(const float *v, half *tiles, unsigned *marks,
                                                    int c0, int keys, int dim)
{
    constexpr bool held = KEY_TURNS <= 16;
    constexpr int at_once = held ? KEY_TURNS : 8, chunks = held ? (KEY_TURNS + 1) / 2 : 1;
    __shared__ float turn[64][32];
    __shared__ unsigned part[32][32];
    int t = threadIdx.x, c = t % 8 * 4, valid = dim - c0 - c;
    float4 kept[held ? KEY_TURNS : 1];
    uint4 m = make_uint4(0, 0, 0, 0);

    v += c0 + c;
#pragma unroll(at_once)
    for (int q = 0; q < KEY_TURNS; q++) {
        int j = t / 8 + q * 32;
        float4 x = load4<DIM_VEC>(v + (i64)j * dim, j < keys ? valid : 0);
        kept[held ? q : 0] = x;
        m = make_uint4(max(m.x, bits_of(x.x)), max(m.y, bits_of(x.y)), max(m.z, bits_of(x.z)),
                       max(m.w, bits_of(x.w)));
    }
    *reinterpret_cast<uint4 *>(&part[t / 8][c]) = m;
    __syncthreads();
    unsigned mark = 0;
#pragma unroll
    for (int w = 0; w < 32; w++)
        mark = max(mark, part[w][t / 8]);
    if (t % 8 == 0)
        marks[c0 + t / 8] = mark;
    float s = scale_of(mark);
#pragma unroll(chunks)
    for (int q0 = 0; q0 < KEY_TURNS; q0 += 2) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int i = t / 8 + h * 32, j = q0 * 32 + i;
            float4 x = make_float4(0, 0, 0, 0);
            if (held && q0 + h < KEY_TURNS)
                x = kept[held && q0 + h < KEY_TURNS ? q0 + h : 0];
            else if (!held)
                x = load4<DIM_VEC>(v + (i64)j * dim, j < keys ? valid : 0);
            /* Moved by eight-key bands, so that eight bands of one column lie in different banks. */
            *reinterpret_cast<float4 *>(&turn[i][c ^ (i / 8 * 4)]) = x;
        }
        __syncthreads();
        float e[8];
#pragma unroll
        for (int i = 0; i < 8; i++)
            e[i] = turn[t % 8 * 8 + i][t / 8 ^ (t % 8 * 4)] * s;
        put4<BN>(tiles, (keys + BK - 1) / BK, c0 + t / 8, q0 * 32 + t % 8 * 8,
                 make_float4(e[0], e[1], e[2], e[3]));
        put4<BN>(tiles, (keys + BK - 1) / BK, c0 + t / 8, q0 * 32 + t % 8 * 8 + 4,
                 make_float4(e[4], e[5], e[6], e[7]));
        __syncthreads();
    }
}

/* Eight rows of Q or K, or 32 columns of V. */
extern "C" __global__ void __launch_bounds__(256)
    pack(const float *q, const float *k, const float *v, half *pq, half *pk, half *pv, unsigned *marks_q,
         unsigned *marks_k, unsigned *marks_v, int heads, int queries, int keys, int dim)
{
    int high_q = round_up(queries, BM), high_k = round_up(keys, BN), high_v = round_up(dim, BN);
    int wide = round_up(dim, BK), per = high_q / 8 + high_k / 8 + high_v / 32, in = blockIdx.x % per;
    i64 head = blockIdx.x / per;

    if (in < high_q / 8) {
        pack_row<BM>(q + head * queries * dim, pq + head * high_q * WIDTHS * wide, marks_q + head * high_q,
                     in * 8 + threadIdx.x / 32, queries, dim);
    } else if ((in -= high_q / 8) < high_k / 8) {
        pack_row<BN>(k + head * keys * dim, pk + head * high_k * WIDTHS * wide, marks_k + head * high_k,
                     in * 8 + threadIdx.x / 32, keys, dim);
    } else {
        in -= high_k / 8;
        pack_columns(v + head * keys * dim, pv + head * high_v * round_up(keys, BK),
                     marks_v + head * high_v, in * 32, keys, dim);
    }
}

/* A warp a row of scores: its probabilities, as tiles; the largest of them is one over the sum. */
extern "C" __global__ void __launch_bounds__(256)
    soften(const float *scores, half *tiles, unsigned *marks, int heads, int queries, int keys, int dim)
{
    int high = round_up(queries, BM), lane = threadIdx.x % 32, wide = (keys + BK - 1) / BK;
    i64 row = blockIdx.x * 8LL + threadIdx.x / 32, head = row / high;
    int r = row % high;
    float most = -__int_as_float(0x7f800000), total = 0, scale = rsqrtf((float)dim) * 1.44269504f;

    if (head >= heads)
        return;
    scores += (head * queries + r) * keys;
    int valid = r < queries ? keys : 0;
#pragma unroll 4
    for (int i = lane * 4; i < valid; i += 128) {
        float4 v = load4<KEYS_VEC>(scores + i, valid - i);
        most = fmaxf(most, v.x);
        most = i + 1 < valid ? fmaxf(most, v.y) : most;
        most = i + 2 < valid ? fmaxf(most, v.z) : most;
        most = i + 3 < valid ? fmaxf(most, v.w) : most;
    }
#pragma unroll
    for (int d = 16; d; d /= 2)
        most = fmaxf(most, __shfl_xor_sync(FULL_MASK, most, d));
#pragma unroll 4
    for (int i = lane * 4; i < valid; i += 128) {
        float4 v = load4<KEYS_VEC>(scores + i, valid - i);
        total += exp2f((v.x - most) * scale);
        total += i + 1 < valid ? exp2f((v.y - most) * scale) : 0;
        total += i + 2 < valid ? exp2f((v.z - most) * scale) : 0;
        total += i + 3 < valid ? exp2f((v.w - most) * scale) : 0;
    }
#pragma unroll
    for (int d = 16; d; d /= 2)
        total += __shfl_xor_sync(FULL_MASK, total, d);
    float inverse = valid ? 1 / total : 0;
    unsigned mark = bits_of(inverse);
    if (lane == 0)
        marks[row] = mark;
    inverse *= scale_of(mark);
    tiles += head * high * wide * BK;
#pragma unroll 4
    for (int i = lane * 4; i < wide * BK; i += 128) {
        float4 v = load4<KEYS_VEC>(scores + i, valid - i), p;
        p.x = i < valid ? exp2f((v.x - most) * scale) * inverse : 0;
        p.y = i + 1 < valid ? exp2f((v.y - most) * scale) * inverse : 0;
        p.z = i + 2 < valid ? exp2f((v.z - most) * scale) * inverse : 0;
        p.w = i + 3 < valid ? exp2f((v.w - most) * scale) * inverse : 0;
        put4<BM>(tiles, wide, r, i, p);
    }
}

/* C = A @ B^T for a batch of matrices that lie as tiles. Where `parts` is 3, a row of tiles holds what
 * its elements round to, then what that leaves out. */
struct product {
    const half *a, *b;
    const unsigned *marks_a, *marks_b;
    float *c;
    int batch, m, n, k, parts;
};

/* An output tile. Down a matrix first: blocks that run together share columns of B in L2. */
struct place {
    i64 batch;
    int row, col;
};

static __device__ __forceinline__ struct place place_of(int t, const struct product &p)
{
    int tiles_m = (p.m + BM - 1) / BM, tiles_n = (p.n + BN - 1) / BN, in = t % (tiles_m * tiles_n);
    struct place at = {t / (tiles_m * tiles_n), in % tiles_m * BM, in / tiles_m * BN};
    return at;
}

static __device__ __forceinline__ int tiles_of(const struct product &p)
{
    return p.batch * ((p.m + BM - 1) / BM) * ((p.n + BN - 1) / BN);
}

static __device__ __forceinline__ int steps_of(const struct product &p)
{
    return (p.k + BK - 1) / BK * p.parts;
}

/* The tiles of step i: hi by hi, then lo by hi, then hi by lo. */
static __device__ __forceinline__ const half *tile_a(const struct product &p, const struct place &at, int i)
{
    int tiles = (p.k + BK - 1) / BK, wide = p.parts == 3 ? 2 * tiles : tiles;
    i = i < 2 * tiles ? i : i - 2 * tiles;
    return p.a + ((at.batch * round_up(p.m, BM) + at.row) * wide + (i64)i * BM) * BK;
}

static __device__ __forceinline__ const half *tile_b(const struct product &p, const struct place &at, int i)
{
    int tiles = (p.k + BK - 1) / BK, wide = p.parts == 3 ? 2 * tiles : tiles;
    i = i < tiles ? i : i - tiles;
    return p.b + ((at.batch * round_up(p.n, BN) + at.col) * wide + (i64)i * BN) * BK;
}

/* What takes the powers of two out of row `row` of the products, or of column `col`. */
static __device__ __forceinline__ float row_factor(const struct product &p, i64 batch, int row)
{
    return unscale_of(__ldcg(p.marks_a + batch * round_up(p.m, BM) + row));
}

static __device__ __forceinline__ float column_factor(const struct product &p, i64 batch, int col)
{
    return unscale_of(__ldcg(p.marks_b + batch * round_up(p.n, BN) + col));
}

/* A warp's 16 rows by 64 columns, as mma and wgmma leave them: a thread has two neighbours in each
 * eighth column of rows lane/4 and lane/4 + 8, whose factors are s0 and s1; its columns' are from
 * `factors` on. They pass through the warp's own 4 KB, so that whole lines leave instead of
 * 64-byte pieces of eight rows. */
static __device__ __forceinline__ void put_chunk(const struct product &p, const float *d, float s0, float s1,
                                                 const float *factors, float *stage, i64 batch, int row,
                                                 int col)
{
    int lane = threadIdx.x % 32, r = lane / 4, turn = r % 4 * 8;

#pragma unroll
    for (int j = 0; j < 8; j++) {
        float2 f = *reinterpret_cast<const float2 *>(factors + j * 8);
        float *at = stage + r * 64 + ((j * 8 + lane % 4 * 2) ^ turn);
        *reinterpret_cast<float2 *>(at) = make_float2(d[j * 4] * (s0 * f.x), d[j * 4 + 1] * (s0 * f.y));
        *reinterpret_cast<float2 *>(at + 8 * 64) =
            make_float2(d[j * 4 + 2] * (s1 * f.x), d[j * 4 + 3] * (s1 * f.y));
    }
    __syncwarp();
    if (p.n % 4 == 0) {
        int c = lane % 16 * 4;
#pragma unroll
        for (int i = lane / 16; i < 16; i += 2) {
            float4 v = *reinterpret_cast<const float4 *>(stage + i * 64 + (c ^ (i % 4 * 8)));
            if (row + i < p.m && col + c < p.n)
                *reinterpret_cast<float4 *>(p.c + (batch * p.m + row + i) * p.n + col + c) = v;
        }
    } else {
#pragma unroll 4
        for (int i = 0; i < 32; i++) {
            int at = i / 2, c = i % 2 * 32 + lane;
            if (row + at < p.m && col + c < p.n)
                p.c[(batch * p.m + row + at) * p.n + col + c] = stage[at * 64 + (c ^ (at % 4 * 8))];
        }
    }
    __syncwarp();
}

extern __shared__ __align__(1024) unsigned char shared[];

#if WGMMA

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

static __device__ __forceinline__ void copy_bulk(unsigned to, const void *from, unsigned bytes,
                                                 unsigned bar)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, "
                 "[%3];" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(bar)
                 : "memory");
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

/* d += 64 rows of A by 256 rows of B, 16 of k, both by descriptor. */
static __device__ __forceinline__ void multiply64(float (&d)[128], unsigned long long da,
                                                  unsigned long long db)
{
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
        "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
        "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
        "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
        "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
        "}, %128, %129, 1, 1, 1, 0, 0;"
        : D32(0), D32(32), D32(64), D32(96)
        : "l"(da), "l"(db)
        : "memory");
}

/* A tile's descriptor: 128-byte swizzle, groups of eight rows 1024 bytes apart. */
static __device__ __forceinline__ unsigned long long descriptor(unsigned at)
{
    return (1ull << 16) | (64ull << 32) | (1ull << 62) | (unsigned long long)((at >> 4) & 0x3fff);
}

static __device__ __forceinline__ void feed(const struct product &p, unsigned base)
{
    unsigned full = base + STAGES * STAGE_BYTES, empty = full + STAGES * 8, phase = 1;
    int tiles = tiles_of(p), steps = steps_of(p), s = 0;

#pragma unroll 1
    for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
        struct place at = place_of(t, p);
#pragma unroll 1
        for (int i = 0; i < steps; i++) {
            unsigned stage = base + s * STAGE_BYTES, bar = full + s * 8;
            barrier_wait(empty + s * 8, phase);
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar),
                         "r"(STAGE_BYTES)
                         : "memory");
            copy_bulk(stage, tile_a(p, at, i), A_BYTES, bar);
            copy_bulk(stage + A_BYTES, tile_b(p, at, i), STAGE_BYTES - A_BYTES, bar);
            phase ^= s + 1 == STAGES;
            s = s + 1 == STAGES ? 0 : s + 1;
        }
    }
}

static __device__ __forceinline__ void consume(const struct product &p, unsigned base)
{
    unsigned full = base + STAGES * STAGE_BYTES, empty = full + STAGES * 8, phase = 0;
    int group = threadIdx.x / 128, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    int tiles = tiles_of(p), steps = steps_of(p), s = 0;
    __shared__ float factors[2][BN];
    float d[128];

#pragma unroll 1
    for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
        struct place at = place_of(t, p);
        int previous = -1, row = at.row + group * 64 + warp * 16 + lane / 4;
        float2 mine = make_float2(column_factor(p, at.batch, at.col + threadIdx.x % 128),
                                  column_factor(p, at.batch, at.col + threadIdx.x % 128 + 128));
        float s0 = row_factor(p, at.batch, row), s1 = row_factor(p, at.batch, row + 8);
#pragma unroll
        for (int i = 0; i < 128; i++)
            d[i] = 0.0f;
        keep(d);
#pragma unroll 1
        for (int i = 0; i < steps; i++) {
            unsigned stage = base + s * STAGE_BYTES;
            unsigned long long da = descriptor(stage + group * 8192), db = descriptor(stage + A_BYTES);
            barrier_wait(full + s * 8, phase);
            asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
            for (int q = 0; q < BK / 16; q++)
                multiply64(d, da + q * 2, db + q * 2);
            asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
            asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
            if (previous >= 0 && lane == 0)
                barrier_arrive(empty + previous * 8);
            previous = s;
            phase ^= s + 1 == STAGES;
            s = s + 1 == STAGES ? 0 : s + 1;
        }
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        keep(d);
        if (previous >= 0 && lane == 0)
            barrier_arrive(empty + previous * 8);
        /* The group's own barrier: the tile before is written, then the factors of this one are there. */
        asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory");
        factors[group][threadIdx.x % 128] = mine.x;
        factors[group][threadIdx.x % 128 + 128] = mine.y;
        asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory");
        float *stage = reinterpret_cast<float *>(shared + STAGES * STAGE_BYTES + 64) + threadIdx.x / 32 * 1024;
#pragma unroll
        for (int i = 0; i < BN / 64; i++)
            put_chunk(p, d + i * 32, s0, s1, factors[group] + i * 64 + lane % 4 * 2, stage, at.batch,
                      row - lane / 4, at.col + i * 64);
    }
}

static __device__ __forceinline__ void multiply_all(const struct product &p)
{
    unsigned base = (unsigned)__cvta_generic_to_shared(shared), full = base + STAGES * STAGE_BYTES;

    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(full + s * 8) : "memory");
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 8;" ::"r"(full + (STAGES + s) * 8)
                         : "memory");
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("fence.proxy.async;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x < 256)
        consume(p, base);
    else if (threadIdx.x == 256)
        feed(p, base);
}

#else

/* A stage, as it lies in memory. */
static __device__ __forceinline__ void copy_stage(const half *a, const half *b, unsigned stage)
{
#pragma unroll
    for (int x = threadIdx.x; x < STAGE_BYTES / 16; x += 256) {
        const half *from = x < A_BYTES / 16 ? a + x * 8 : b + (x - A_BYTES / 16) * 8;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(stage + x * 16), "l"(from)
                     : "memory");
    }
}

/* 16 rows by 16 of k from a tile; the first of the rows is a multiple of 8. */
static __device__ __forceinline__ void load16(unsigned r[4], unsigned tile, int row, int kk)
{
    int at = row + threadIdx.x % 16, chunk = kk * 2 + threadIdx.x / 16 % 2;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(tile + at * 128 + (chunk ^ (at % 8)) * 16)
                 : "memory");
}

static __device__ __forceinline__ void mma(float d[4], const unsigned a[4], unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* 64 of k by a warp: 64 rows by 64 columns. */
static __device__ __forceinline__ void multiply_stage(float sum[4][32], unsigned stage, int wm, int wn)
{
#pragma unroll
    for (int kk = 0; kk < BK / 16; kk++) {
        unsigned fa[4][4], fb[4][4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            load16(fa[i], stage, wm + i * 16, kk);
            load16(fb[i], stage + A_BYTES, wn + i * 16, kk);
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 8; j++)
                mma(sum[i] + j * 4, fa[i], fb[j / 2][j % 2], fb[j / 2][j % 2 + 2]);
    }
}

static __device__ __forceinline__ void multiply_all(const struct product &p)
{
    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    int tiles = tiles_of(p), steps = steps_of(p), lane = threadIdx.x % 32;
    __shared__ float factors[BN];
    float *stage = reinterpret_cast<float *>(shared + STAGES * STAGE_BYTES + 64) + threadIdx.x / 32 * 1024;
    int wm = threadIdx.x / 128 * 64, wn = threadIdx.x / 32 % 4 * 64;

#pragma unroll 1
    for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
        struct place at = place_of(t, p);
        float sum[4][32] = {};
#pragma unroll 1
        for (int i = 0; i < steps + STAGES - 1; i++) {
            int now = i - (STAGES - 1);
            /* The barrier says that the stage is there for every warp, and that every warp has read the
             * one that is filled next. */
            if (now >= 0)
                asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
            __syncthreads();
            if (i < steps)
                copy_stage(tile_a(p, at, i), tile_b(p, at, i), base + i % STAGES * STAGE_BYTES);
            asm volatile("cp.async.commit_group;" ::: "memory");
            if (now >= 0)
                multiply_stage(sum, base + now % STAGES * STAGE_BYTES, wm, wn);
        }
        factors[threadIdx.x] = column_factor(p, at.batch, at.col + threadIdx.x);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < 4; i++)
            put_chunk(p, sum[i], row_factor(p, at.batch, at.row + wm + i * 16 + lane / 4),
                      row_factor(p, at.batch, at.row + wm + i * 16 + lane / 4 + 8),
                      factors + wn + lane % 4 * 2, stage, at.batch, at.row + wm + i * 16, at.col + wn);
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
}

#endif

extern "C" __global__ void __launch_bounds__(256 + 32 * WGMMA, 1)
    multiply(const half *a, const half *b, const unsigned *marks_a, const unsigned *marks_b, float *c,
             int batch, int m, int n, int k, int parts)
{
    struct product p = {a, b, marks_a, marks_b, c, batch, m, n, k, parts};
    multiply_all(p);
}
