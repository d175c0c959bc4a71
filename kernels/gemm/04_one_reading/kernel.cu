/* SPDX-License-Identifier: MIT */
/* C = A @ B, f32, for each of a batch. 04: one reading of a row-major B.
 *
 * 02 reads B twice: for the largest of each column, then to turn it round. Here (ROWS_B) a row of B
 * is scaled as a whole, in one reading: 2^e for row k of B is 2^-e for column k of A, which is packed
 * after it and gets its own powers of two, by rows, on top. And tiles of B stay as they lie: the tensor
 * cores take them with n contiguous. Other layouts, triangles and short k go as in 02.
 *
 * Precision as in 02: f16 elements, f32 sums; elements smaller than 2^-29 of the largest of their row
 * lose digits.
 *
 * WGMMA 1: a warp feeds a ring of stages by bulk copies, two warpgroups multiply from shared memory
 * (sm_90a). WGMMA 0: the same tiles by cp.async, ldmatrix and mma.sync, which every GPU since sm_80 has. */

#define BM 128
#define BN 256
#define BK 64
#define A_BYTES (BM * BK * 2)
#define STAGE_BYTES ((BM + BN) * BK * 2)
#define KEEP_A PART
#define KEEP_B (PART == 1 ? 2 : PART == 2 ? 1 : 0)
#define FULL_MASK 0xffffffffu

typedef long long i64;
typedef unsigned short half; /* an f16's bits; without CUDA's header this compiles in half the time */

/* One operand as rows of k, wherever they lie: row r, column i is at[r*row_step + i*k_step]. */
struct operand {
    const float *at;
    const unsigned *divide; /* marks of B's rows, which A's columns take over; or NULL */
    half *tiles;
    unsigned *marks; /* of each row, padded: the bits of its largest |element| */
    int rows, k;
};

/* Rows of k, or of columns when they lie transposed: how many there are with those up to a tile's end. */
template <int TILE> static __device__ __forceinline__ int padded(int rows)
{
    return (rows + TILE - 1) / TILE * TILE;
}

/* Does element i of row r count? KEEP 1: where i >= r, 2: where i <= r. */
template <int KEEP> static __device__ __forceinline__ bool counts(int r, int i)
{
    return KEEP == 0 || (KEEP == 1 ? i >= r : i <= r);
}

/* Nobody reads a tile that lies wholly beyond the diagonal. */
template <int KEEP, int TILE> static __device__ __forceinline__ bool unread(int r, int i)
{
    int r0 = r / TILE * TILE, i0 = i / BK * BK;
    return KEEP == 1 ? i0 + BK <= r0 : KEEP == 2 ? i0 >= r0 + TILE : false;
}

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

/* Four elements of row r from i on, as the row has them. */
template <int KEEP, bool VEC>
static __device__ __forceinline__ float4 row4(const struct operand &o, int r, int i)
{
    if (r >= o.rows || (KEEP == 1 && i + 3 < r) || (KEEP == 2 && i > r))
        return make_float4(0, 0, 0, 0);
    float4 v = load4<VEC>(o.at + (i64)r * o.k + i, o.k - i);
    if (KEEP) {
        v.x = counts<KEEP>(r, i) ? v.x : 0;
        v.y = counts<KEEP>(r, i + 1) ? v.y : 0;
        v.z = counts<KEEP>(r, i + 2) ? v.z : 0;
        v.w = counts<KEEP>(r, i + 3) ? v.w : 0;
    }
    if (ROWS_B && o.divide && i < o.k) {
        uint4 mark = *reinterpret_cast<const uint4 *>(o.divide + i);
        v.x *= unscale_of(mark.x);
        v.y *= unscale_of(mark.y);
        v.z *= unscale_of(mark.z);
        v.w *= unscale_of(mark.w);
    }
    return v;
}

/* The tile of row r and element i; `tiles_k` of them make up TILE rows. */
template <int TILE>
static __device__ __forceinline__ half *tile_at(half *tiles, int r, int i, int tiles_k)
{
    return tiles + ((i64)(r / TILE) * tiles_k + i / BK) * (TILE * BK) + r % TILE * BK;
}

template <int KEEP, int TILE>
static __device__ __forceinline__ void put4(const struct operand &o, int r, int i, float4 v, float s)
{
    half *row = tile_at<TILE>(o.tiles, r, i, (o.k + BK - 1) / BK);
    int place = ((i % BK / 8) ^ (r % 8)) * 8 + i % 8;

    if (!unread<KEEP, TILE>(r, i))
        *reinterpret_cast<uint2 *>(row + place) = make_uint2(two(v.x * s, v.y * s), two(v.z * s, v.w * s));
}

/* Chunk c of eight elements of a row, from k0 on. */
template <int TILE>
static __device__ __forceinline__ void put8(const struct operand &o, int r, int k0, int c, const float v[8])
{
    half *to = tile_at<TILE>(o.tiles, r, k0, (o.k + BK - 1) / BK);
    *reinterpret_cast<uint4 *>(to + (c ^ (r % 8)) * 8) =
        make_uint4(two(v[0], v[1]), two(v[2], v[3]), two(v[4], v[5]), two(v[6], v[7]));
}

/* The largest of ROW_THREADS threads that share a row. */
static __device__ __forceinline__ unsigned largest_of_row(unsigned mark)
{
    __shared__ unsigned part[8];
    const int width = ROW_THREADS < 32 ? ROW_THREADS : 32, warps = ROW_THREADS / 32;

#pragma unroll
    for (int d = width / 2; d; d /= 2)
        mark = max(mark, __shfl_xor_sync(FULL_MASK, mark, d));
    if (ROW_THREADS > 32) {
        if (threadIdx.x % 32 == 0)
            part[threadIdx.x / 32] = mark;
        __syncthreads();
#pragma unroll
        for (int w = 0; w < warps; w++)
            mark = max(mark, part[threadIdx.x / ROW_THREADS * warps + w]);
    }
    return mark;
}

/* Rows that lie contiguous: ROW_THREADS threads a row, ROW_QUADS times four elements each. Where
 * these are few they stay in registers, else the second reading finds them in the caches. */
template <int KEEP, bool VEC, int TILE>
static __device__ __forceinline__ void pack_rows(const struct operand &o, int block)
{
    constexpr bool held = ROW_QUADS <= 8;
    constexpr int turns = held ? ROW_QUADS : 4;
    int r = block * (256 / ROW_THREADS) + threadIdx.x / ROW_THREADS, t = threadIdx.x % ROW_THREADS;
    int end = (o.k + BK - 1) / BK * BK;
    float4 v[held ? ROW_QUADS : 1];
    unsigned mark = 0;

    if (held) {
#pragma unroll
        for (int q = 0; q < ROW_QUADS; q++)
            v[q] = row4<KEEP, VEC>(o, r, (t + q * ROW_THREADS) * 4);
#pragma unroll
        for (int q = 0; q < ROW_QUADS; q++)
            mark = largest(v[q], mark);
    } else {
#pragma unroll 8
        for (int q = 0; q < ROW_QUADS; q++)
            mark = largest(row4<KEEP, VEC>(o, r, (t + q * ROW_THREADS) * 4), mark);
    }
    mark = largest_of_row(mark);
    if (t == 0 && r < o.rows)
        o.marks[r] = mark;
    float s = scale_of(mark);
#pragma unroll(turns)
    for (int q = 0; q < ROW_QUADS; q++) {
        int i = (t + q * ROW_THREADS) * 4;
        if (i < end && r < padded<TILE>(o.rows))
            put4<KEEP, TILE>(o, r, i, held ? v[held ? q : 0] : row4<KEEP, VEC>(o, r, i), s);
    }
}

/* Row k of a row-major B by a block: scaled as a whole, into tiles with n contiguous, of which 64 columns
 * by BK rows are 8192 bytes. Rows up to a tile's end are zeros. */
template <bool VEC>
static __device__ __forceinline__ void pack_row_of_b(const struct operand &o, int row)
{
    constexpr bool held = WIDE_QUADS <= 8;
    constexpr int turns = held ? WIDE_QUADS : 4;
    __shared__ unsigned part[8];
    int end = padded<BN>(o.rows), there = row < o.k ? o.rows : 0, tiles = (o.k + BK - 1) / BK;
    const float *x = o.at + (i64)row * o.rows;
    float4 v[held ? WIDE_QUADS : 1];
    unsigned mark = 0;

#pragma unroll(turns)
    for (int q = 0; q < WIDE_QUADS; q++) {
        int i = (threadIdx.x + q * 256) * 4;
        v[held ? q : 0] = load4<VEC>(x + i, there - i);
        if (!held)
            mark = largest(v[0], mark);
    }
#pragma unroll
    for (int q = 0; q < WIDE_QUADS && held; q++)
        mark = largest(v[q], mark);
#pragma unroll
    for (int d = 16; d; d /= 2)
        mark = max(mark, __shfl_xor_sync(FULL_MASK, mark, d));
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = mark;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < 8; w++)
        mark = max(mark, part[w]);
    if (threadIdx.x == 0)
        o.marks[row] = mark;
    float s = scale_of(mark);
    half *to = o.tiles + (i64)(row / BK) * (BN * BK) + row % BK * 64;
#pragma unroll(turns)
    for (int q = 0; q < WIDE_QUADS; q++) {
        int i = (threadIdx.x + q * 256) * 4;
        if (i >= end)
            continue;
        float4 y = held ? v[held ? q : 0] : load4<VEC>(x + i, there - i);
        half *at = to + (i64)(i / BN) * tiles * (BN * BK) + i % BN / 64 * (64 * BK);
        *reinterpret_cast<uint2 *>(at + ((i % 64 / 8) ^ (row % 8)) * 8 + i % 8) =
            make_uint2(two(y.x * s, y.y * s), two(y.z * s, y.w * s));
    }
}

/* Rows that lie as columns: the largest of 128 of them, over 128 of k, into their marks. */
template <int KEEP, bool VEC>
static __device__ __forceinline__ void measure_columns(const struct operand &o, int block)
{
    __shared__ unsigned part[8][128];
    int wide = (o.rows + 127) / 128, r = block % wide * 128 + threadIdx.x % 32 * 4;
    int first = block / wide * 128 + threadIdx.x / 32;
    uint4 m = make_uint4(0, 0, 0, 0);

    if (unread<KEEP, 128>(block % wide * 128, block / wide * 128) &&
        unread<KEEP, 128>(block % wide * 128, block / wide * 128 + BK))
        return;
#pragma unroll 8
    for (int j = 0; j < 16; j++) {
        int i = first + j * 8;
        float4 v = load4<VEC>(o.at + (i64)i * o.rows + r, i < o.k ? o.rows - r : 0);
        m.x = counts<KEEP>(r, i) ? max(m.x, bits_of(v.x)) : m.x;
        m.y = counts<KEEP>(r + 1, i) ? max(m.y, bits_of(v.y)) : m.y;
        m.z = counts<KEEP>(r + 2, i) ? max(m.z, bits_of(v.z)) : m.z;
        m.w = counts<KEEP>(r + 3, i) ? max(m.w, bits_of(v.w)) : m.w;
    }
    *reinterpret_cast<uint4 *>(&part[threadIdx.x / 32][threadIdx.x % 32 * 4]) = m;
    __syncthreads();
    int column = block % wide * 128 + threadIdx.x;
    if (threadIdx.x < 128 && column < o.rows) {
        unsigned mark = 0;
#pragma unroll
        for (int w = 0; w < 8; w++)
            mark = max(mark, part[w][threadIdx.x]);
        if (mark)
            atomicMax(&o.marks[column], mark);
    }
}

/* 64 of k by 64 rows that lie as columns, turned round in shared memory. */
template <int KEEP, bool VEC, int TILE>
static __device__ __forceinline__ void pack_columns(const struct operand &o, int block)
{
    __shared__ float turn[64][64];
    int wide = padded<TILE>(o.rows) / 64, r0 = block % wide * 64, k0 = block / wide * 64;
    int t = threadIdx.x;

    if (unread<KEEP, TILE>(r0, k0))
        return;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        int i = j * 16 + t / 16, c = t % 16 * 4;
        /* Moved by eight-row bands, so that eight bands of one column lie in different banks. */
        *reinterpret_cast<float4 *>(&turn[i][c ^ (i / 8 * 4)]) =
            load4<VEC>(o.at + (i64)(k0 + i) * o.rows + r0 + c, k0 + i < o.k ? o.rows - r0 - c : 0);
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 2; j++) {
        int c = t % 8, r = j * 32 + t / 8, row = r0 + r;
        float s = row < o.rows ? scale_of(o.marks[row]) : 0, v[8];
#pragma unroll
        for (int e = 0; e < 8; e++)
            v[e] = counts<KEEP>(row, k0 + c * 8 + e) ? turn[c * 8 + e][r ^ (c * 4)] * s : 0;
        put8<TILE>(o, row, k0, c, v);
    }
}

/* 32 rows that lie as columns, where k is short enough for the caches: measured, then packed. */
template <bool VEC, int TILE>
static __device__ __forceinline__ void pack_short_columns(const struct operand &o, int block)
{
    __shared__ float turn[64][32];
    __shared__ unsigned part[32][32];
    int t = threadIdx.x, c = t % 8 * 4, row = block * 32 + t / 8, valid = o.rows - block * 32 - c;
    const float *x = o.at + block * 32 + c;
    uint4 m = make_uint4(0, 0, 0, 0);
    unsigned mark = 0;

#pragma unroll 8
    for (int i = t / 8; i < o.k; i += 32) {
        float4 v = load4<VEC>(x + (i64)i * o.rows, valid);
        m = make_uint4(max(m.x, bits_of(v.x)), max(m.y, bits_of(v.y)), max(m.z, bits_of(v.z)),
                       max(m.w, bits_of(v.w)));
    }
    *reinterpret_cast<uint4 *>(&part[t / 8][c]) = m;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < 32; w++)
        mark = max(mark, part[w][t / 8]);
    if (t % 8 == 0)
        o.marks[row] = mark;
    float s = scale_of(mark);
    for (int k0 = 0; k0 < o.k; k0 += BK) {
#pragma unroll
        for (int i = t / 8; i < BK; i += 32)
            *reinterpret_cast<float4 *>(&turn[i][c ^ (i / 8 * 4)]) =
                load4<VEC>(x + (i64)(k0 + i) * o.rows, k0 + i < o.k ? valid : 0);
        __syncthreads();
        float v[8];
#pragma unroll
        for (int e = 0; e < 8; e++)
            v[e] = turn[t % 8 * 8 + e][t / 8 ^ (t % 8 * 4)] * s;
        put8<TILE>(o, row, k0, t % 8, v);
        __syncthreads();
    }
}

static __device__ __forceinline__ struct operand one(const float *at, half *tiles, unsigned *marks,
                                                     int rows, int k, int tile, i64 batch)
{
    i64 high = (rows + tile - 1) / tile * tile, wide = (k + BK - 1) / BK * BK;
    struct operand o = {at + batch * rows * k, nullptr, tiles + batch * high * wide, marks + batch * high,
                        rows, k};
    return o;
}

/* Blocks of one operand and one of the batch in `measure`: whole rows, 32 short columns, or 128
 * columns by 128 of k. */
static __device__ __forceinline__ int first_blocks(bool turned, bool few, int rows, int k, int tile)
{
    return turned && few ? (rows + tile - 1) / tile * tile / 32
           : turned ? ((rows + 127) / 128) * ((k + 127) / 128)
                  : (rows + tile - 1) / tile * tile / (256 / ROW_THREADS);
}

extern "C" __global__ void __launch_bounds__(256)
    measure(const float *a, const float *b, half *pa, half *pb, unsigned *marks, int batch, int m, int n,
            int k)
{
    unsigned *marks_a = marks, *marks_b = marks + (i64)batch * padded<BM>(m);
    unsigned *marks_k = marks_b + (i64)batch * padded<BN>(n);
    int per_a = ROWS_B ? 0 : first_blocks(TA, false, m, k, BM);
    int per_b = ROWS_B ? padded<BK>(k) : first_blocks(!TB, SHORT_B, n, k, BN);
    i64 block = blockIdx.x;

    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    if (block < (i64)batch * per_a) {
        struct operand o = one(a, pa, marks_a, m, k, BM, block / per_a);
        if (TA)
            measure_columns<KEEP_A, A_VEC>(o, block % per_a);
        else
            pack_rows<KEEP_A, A_VEC, BM>(o, block % per_a);
    } else if ((block -= (i64)batch * per_a) < (i64)batch * per_b) {
        struct operand o = one(b, pb, marks_b, n, k, BN, block / per_b);
        o.marks = ROWS_B ? marks_k + block / per_b * padded<BK>(k) : o.marks;
        if (ROWS_B)
            pack_row_of_b<B_VEC>(o, block % per_b);
        else if (TB)
            pack_rows<KEEP_B, B_VEC, BN>(o, block % per_b);
        else if (SHORT_B)
            pack_short_columns<B_VEC, BN>(o, block % per_b);
        else
            measure_columns<KEEP_B, B_VEC>(o, block % per_b);
    }
}

extern "C" __global__ void __launch_bounds__(256)
    pack(const float *a, const float *b, half *pa, half *pb, unsigned *marks, int batch, int m, int n,
         int k)
{
    unsigned *marks_a = marks, *marks_b = marks + (i64)batch * padded<BM>(m);
    unsigned *marks_k = marks_b + (i64)batch * padded<BN>(n);
    int tiles_k = (k + 63) / 64;
    int per_a = TA ? padded<BM>(m) / 64 * tiles_k : 0, per_b = TB || SHORT_B ? 0 : padded<BN>(n) / 64 * tiles_k;
    i64 block = (i64)batch * (per_a + per_b) - 1 - blockIdx.x;

    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
    if (ROWS_B) {
        int per = first_blocks(false, false, m, k, BM);
        struct operand o = one(a, pa, marks_a, m, k, BM, blockIdx.x / per);
        o.divide = marks_k + blockIdx.x / per * padded<BK>(k);
        pack_rows<0, A_VEC, BM>(o, blockIdx.x % per);
        return;
    }
    if (TA && block >= 0 && block < (i64)batch * per_a)
        pack_columns<KEEP_A, A_VEC, BM>(one(a, pa, marks_a, m, k, BM, block / per_a), block % per_a);
    block -= (i64)batch * per_a;
    if (!TB && !SHORT_B && block >= 0)
        pack_columns<KEEP_B, B_VEC, BN>(one(b, pb, marks_b, n, k, BN, block / per_b), block % per_b);
}

/* C = A @ B^T for a batch of matrices that lie as tiles. */
struct product {
    const half *a, *b;
    const unsigned *marks_a, *marks_b;
    float *c;
    int batch, m, n, k;
};

/* An output tile: which of the batch, its first row and column, its tiles of k from `first` to `end`. */
struct place {
    i64 batch;
    int row, col, first, end;
};

static __device__ __forceinline__ int tiles_of(const struct product &p)
{
    return p.batch * ((p.m + BM - 1) / BM) * ((p.n + BN - 1) / BN);
}

/* The tile of a triangle, 2*wide tiles high, with the t-th longest sum (rows end to end with the upper
 * one; the lower is that turned round): of 2*wide - 2*q and 2*wide - 2*q - 1 half tiles there are q + 1
 * each. Those without any come last. */
static __device__ __forceinline__ void by_length(int t, int wide, int *row, int *col)
{
    int q = (int)((sqrtf(4.0f * t + 1) - 1) / 2), rest, empty = t - wide * (wide + 1);

    q -= q * (q + 1) > t;
    q += (q + 1) * (q + 2) <= t;
    rest = t - q * (q + 1);
    *col = wide - 1 - (rest <= q ? rest : rest - q - 1);
    *row = 2 * (*col + 1) - (2 * wide - 2 * q - (rest > q));
    if (empty >= 0) {
        q = (int)((1 + sqrtf(4.0f * empty + 1)) / 2);
        q -= q * (q - 1) > empty;
        q += q * (q + 1) <= empty;
        *col = wide - 1 - q;
        *row = 2 * wide - 1 - (empty - q * (q - 1));
    }
}

/* Down GROUP tiles, then one to the right, so that blocks running together share rows of A and columns
 * of B in L2. Of triangles the longest sums come first, and every other round goes backwards: who had
 * the longest gets the shortest next. */
static __device__ __forceinline__ struct place place_of(int t, const struct product &p)
{
    int tiles_m = (p.m + BM - 1) / BM, tiles_n = (p.n + BN - 1) / BN, per = tiles_m * tiles_n;
    int round = t / gridDim.x * gridDim.x;
    if (PART && round / gridDim.x % 2 && round + gridDim.x <= per * p.batch)
        t = round + gridDim.x - 1 - (t - round);
    int in = t % per, band = in / (GROUP * tiles_n), rest = in % (GROUP * tiles_n);
    int height = min(GROUP, tiles_m - band * GROUP), row = band * GROUP + rest % height, col = rest / height;
    struct place at = {t / per, 0, 0, 0, (p.k + BK - 1) / BK};

    if (PART && tiles_m == 2 * tiles_n)
        by_length(in, tiles_n, &row, &col);
    if (PART == 2 && tiles_m == 2 * tiles_n) {
        row = tiles_m - 1 - row;
        col = tiles_n - 1 - col;
    }
    at.row = row * BM;
    at.col = col * BN;
    at.first = PART == 1 ? at.row / BK : PART == 2 ? at.col / BK : 0;
    at.end = min(at.end, PART == 1 ? (at.col + BN) / BK : PART == 2 ? (at.row + BM) / BK : at.end);
    return at;
}

static __device__ __forceinline__ const half *tile_a(const struct product &p, const struct place &at, int i)
{
    i64 wide = (p.k + BK - 1) / BK;
    return p.a + ((at.batch * padded<BM>(p.m) + at.row) * wide + (i64)i * BM) * BK;
}

static __device__ __forceinline__ const half *tile_b(const struct product &p, const struct place &at, int i)
{
    i64 wide = (p.k + BK - 1) / BK;
    return p.b + ((at.batch * padded<BN>(p.n) + at.col) * wide + (i64)i * BN) * BK;
}

/* What takes the powers of two out of row `row` of the products, or of column `col`. */
static __device__ __forceinline__ float row_factor(const struct product &p, i64 batch, int row)
{
    return unscale_of(__ldcg(p.marks_a + batch * padded<BM>(p.m) + row));
}

static __device__ __forceinline__ float column_factor(const struct product &p, i64 batch, int col)
{
    return ROWS_B ? 1 : unscale_of(__ldcg(p.marks_b + batch * padded<BN>(p.n) + col));
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
                __stcs(reinterpret_cast<float4 *>(p.c + (batch * p.m + row + i) * p.n + col + c), v);
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

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
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
        "}, %128, %129, 1, 1, 1, 0, " TEXT(ROWS_B) ";"
        : D32(0), D32(32), D32(64), D32(96)
        : "l"(da), "l"(db)
        : "memory");
}

/* A tile's descriptor: 128-byte swizzle, groups of eight rows 1024 bytes apart, and where n is contiguous
 * its next 64 columns `across` 16 bytes on. */
static __device__ __forceinline__ unsigned long long descriptor(unsigned at, unsigned long long across)
{
    return (across << 16) | (64ull << 32) | (1ull << 62) | (unsigned long long)((at >> 4) & 0x3fff);
}

static __device__ __forceinline__ void feed(const struct product &p, unsigned base)
{
    unsigned full = base + STAGES * STAGE_BYTES, empty = full + STAGES * 8, phase = 1;
    int tiles = tiles_of(p), s = 0;

#pragma unroll 1
    for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
        struct place at = place_of(t, p);
#pragma unroll 1
        for (int i = at.first; i < at.end; i++) {
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
    int tiles = tiles_of(p), s = 0;
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
        for (int i = at.first; i < at.end; i++) {
            unsigned stage = base + s * STAGE_BYTES;
            unsigned long long da = descriptor(stage + group * 8192, 1);
            unsigned long long db = descriptor(stage + A_BYTES, ROWS_B ? 512 : 1);
            barrier_wait(full + s * 8, phase);
            asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
            for (int q = 0; q < BK / 16; q++)
                multiply64(d, da + q * 2, db + q * (ROWS_B ? 128 : 2));
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

/* The same of B where its tile has n contiguous: 16 rows of the product are columns there. */
static __device__ __forceinline__ void load16_across(unsigned r[4], unsigned tile, int col, int kk)
{
    int lane = threadIdx.x % 32, k = kk * 16 + lane / 16 * 8 + lane % 8, c = col + lane / 8 % 2 * 8;
    unsigned at = tile + c / 64 * 8192 + k * 128 + ((c % 64 / 8) ^ (k % 8)) * 16;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
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
            if (ROWS_B)
                load16_across(fb[i], stage + A_BYTES, wn + i * 16, kk);
            else
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
    int tiles = tiles_of(p), lane = threadIdx.x % 32;
    __shared__ float factors[BN];
    float *stage = reinterpret_cast<float *>(shared + STAGES * STAGE_BYTES + 64) + threadIdx.x / 32 * 1024;
    int wm = threadIdx.x / 128 * 64, wn = threadIdx.x / 32 % 4 * 64;

#pragma unroll 1
    for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
        struct place at = place_of(t, p);
        int steps = max(at.end - at.first, 0);
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
                copy_stage(tile_a(p, at, at.first + i), tile_b(p, at, at.first + i),
                           base + i % STAGES * STAGE_BYTES);
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
    multiply(const half *a, const half *b, const unsigned *marks, float *c, int batch, int m, int n, int k)
{
    struct product p = {a, b, marks, marks + (i64)batch * padded<BM>(m), c, batch, m, n, k};
    asm volatile("griddepcontrol.wait;" ::: "memory");
    multiply_all(p);
}
