/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(d)) V, f16. 06: exponentials between the tensor cores' instructions.
 *
 * In 05 a warp's tensor cores wait while it takes a whole tile's exponentials. Here P V starts as
 * soon as the first 16 keys have their probabilities, and those of the next 16 keys are computed
 * between its mma: one pair of exponentials every few mma, which the scheduler issues while the
 * tensor cores are busy. Addresses are one register each for Q, K and V, moved on by XOR with
 * constants, and fragments are loaded AHEAD (0 or 1) steps before they are used. */

#define THREADS (32 * WARPS)
#define ROWS (16 * SLABS * WARPS)
#define TILE_BYTES (TILE * D * 2)
#define Q_BYTES (ROWS * D * 2)
#define MINUS_INF (-__int_as_float(0x7f800000))

typedef unsigned short f16;

extern __shared__ __align__(1024) unsigned char shared[]; /* Q, then STAGES times K and V */

/* Where chunk c (16 bytes) of a row lies in a tile of rows of D elements; the XOR keeps ldmatrix
 * free of conflicts. */
static __device__ __forceinline__ int swizzled(int row, int c)
{
    return (row * (D / 8) + (c ^ (row & 7))) * 16;
}

/* Rows row0.. of a head to shared memory at offset dst, asynchronously; zeros beyond the last
 * row, if there can be such rows (GUARD). */
template <int COUNT, bool GUARD>
static __device__ __forceinline__ void copy_rows(unsigned dst, const f16 *src, int row0, int s)
{
    int r = threadIdx.x / (D / 8), c = threadIdx.x % (D / 8);
    const f16 *from = src + (long long)row0 * D + threadIdx.x * 8;
#pragma unroll
    for (int n = 0; n < COUNT * (D / 8) / THREADS; n++) {
        int down = n * (THREADS / (D / 8));
        unsigned addr = (unsigned)__cvta_generic_to_shared(shared + dst + swizzled(r + down, c));
        int size = !GUARD || row0 + r + down < s ? 16 : 0;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(addr),
                     "l"(from + down * D), "r"(size)
                     : "memory");
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
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ __forceinline__ unsigned pack(float lo, float hi)
{
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

static __device__ __forceinline__ float exp2_fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ __forceinline__ void copy_tile(int t, int stage, const f16 *k, const f16 *v,
                                                 int s)
{
    unsigned base = Q_BYTES + stage * 2 * TILE_BYTES;

    copy_rows<TILE, TAIL>(base, k, t * TILE, s);
    copy_rows<TILE, TAIL>(base + TILE_BYTES, v, t * TILE, s);
}

/* Eight rows of 256 (or 128) bytes share the pattern of their swizzle, and tiles start at multiples
 * of 1024 bytes, so moving `columns` chunks to the right is an XOR of the address, and moving down
 * by whole groups of eight rows an addition. */
static __device__ __forceinline__ unsigned moved(unsigned addr, int rows, int columns)
{
    return (addr ^ (columns * 16)) + rows * D * 2;
}

static __device__ __forceinline__ void compute_scores(float score[SLABS][TILE / 8][4],
                                                      unsigned at_q, unsigned at_k)
{
    const int keys = TILE / 16, steps = D / 16 * keys;
    unsigned f[2][4], left[2][SLABS][4];

    if (AHEAD)
        ldmatrix(f[0], at_k);
#pragma unroll
    for (int m = 0; m < SLABS; m++)
        ldmatrix(left[0][m], moved(at_q, m * 16, 0));
#pragma unroll
    for (int n = 0; n < steps; n++) {
        int i = n / keys, j = n % keys;
        if (n + AHEAD < steps)
            ldmatrix(f[(n + AHEAD) % 2],
                     moved(at_k, (n + AHEAD) % keys * 16, (n + AHEAD) / keys * 2));
        if (j == keys - 1 && i + 1 < D / 16)
#pragma unroll
            for (int m = 0; m < SLABS; m++)
                ldmatrix(left[(i + 1) % 2][m], moved(at_q, m * 16, (i + 1) * 2));
#pragma unroll
        for (int m = 0; m < SLABS; m++) {
            mma(score[m][2 * j], left[i % 2][m], f[n % 2][0], f[n % 2][1]);
            mma(score[m][2 * j + 1], left[i % 2][m], f[n % 2][2], f[n % 2][3]);
        }
    }
}

static __device__ __forceinline__ void rescale(float out[D / 8][4], float largest[2],
                                               float total[2], const float now[2], float scale)
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float shrink = exp2_fast((largest[h] - now[h]) * scale);
        largest[h] = now[h];
        total[h] *= shrink;
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            out[j][2 * h] *= shrink;
            out[j][2 * h + 1] *= shrink;
        }
    }
}

/* The largest score of each row so far; what was summed is scaled down if it has grown by much. */
static __device__ __forceinline__ void update_largest(const float score[TILE / 8][4],
                                                      float out[D / 8][4], float largest[2],
                                                      float total[2], float scale)
{
    float now[2];

#pragma unroll
    for (int h = 0; h < 2; h++) { /* the two rows of a fragment */
        now[h] = largest[h];
#pragma unroll
        for (int j = 0; j < TILE / 8; j++)
            now[h] = fmaxf(now[h], fmaxf(score[j][2 * h], score[j][2 * h + 1]));
        now[h] = fmaxf(now[h], __shfl_xor_sync(0xffffffffu, now[h], 1));
        now[h] = fmaxf(now[h], __shfl_xor_sync(0xffffffffu, now[h], 2));
    }
    bool grown = (now[0] - largest[0]) * scale > LAZY || (now[1] - largest[1]) * scale > LAZY;
    if (__any_sync(0xffffffffu, grown))
        rescale(out, largest, total, now, scale);
}

/* Pair `pair` of the probabilities of keys 16 i..: register pair % 4 of the fragment of slab pair
 * / 4. The sums are of this lane's columns alone. */
static __device__ __forceinline__ void
take_pair(unsigned p[SLABS][4], const float score[SLABS][TILE / 8][4],
          const float largest[SLABS][2], float total[SLABS][2], float scale, int i, int pair)
{
    int m = pair / 4, w = pair % 4, h = w % 2;
    const float *from = &score[m][2 * i + w / 2][2 * h];
    float x = exp2_fast(fmaf(from[0], scale, -largest[m][h] * scale));
    float y = exp2_fast(fmaf(from[1], scale, -largest[m][h] * scale));

    total[m][h] += x + y;
    p[m][w] = pack(x, y);
}

static __device__ __forceinline__ void
add_outputs(float out[SLABS][D / 8][4], const float score[SLABS][TILE / 8][4],
            const float largest[SLABS][2], float total[SLABS][2], float scale, unsigned at_v)
{
    const int columns = D / 16, steps = TILE / 16 * columns, pairs = 4 * SLABS;
    unsigned f[2][4], p[2][SLABS][4];

    if (AHEAD)
        ldmatrix_trans(f[0], at_v);
#pragma unroll
    for (int pair = 0; pair < pairs; pair++)
        take_pair(p[0], score, largest, total, scale, 0, pair);
#pragma unroll
    for (int n = 0; n < steps; n++) {
        int i = n / columns, j = n % columns;
        if (n + AHEAD < steps)
            ldmatrix_trans(f[(n + AHEAD) % 2],
                           moved(at_v, (n + AHEAD) / columns * 16, (n + AHEAD) % columns * 2));
#pragma unroll
        for (int m = 0; m < SLABS; m++) {
            mma(out[m][2 * j], p[i % 2][m], f[n % 2][0], f[n % 2][1]);
            mma(out[m][2 * j + 1], p[i % 2][m], f[n % 2][2], f[n % 2][3]);
        }
        if (i + 1 < TILE / 16)
#pragma unroll
            for (int pair = pairs * j / columns; pair < pairs * (j + 1) / columns; pair++)
                take_pair(p[(i + 1) % 2], score, largest, total, scale, i + 1, pair);
    }
}

/* A slab's 16 rows go through their own rows of Q's tile, which only this warp reads. */
static __device__ __forceinline__ void store_rows(f16 *o, const float out[D / 8][4],
                                                  const float total[2], int first, int row0, int s)
{
    int lane = threadIdx.x % 32;

#pragma unroll
    for (int h = 0; h < 2; h++) {
        float sum = total[h] + __shfl_xor_sync(0xffffffffu, total[h], 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        float inverse = 1.0f / sum;
#pragma unroll
        for (int j = 0; j < D / 8; j++)
            *reinterpret_cast<unsigned *>(shared + swizzled(first + lane / 4 + h * 8, j) +
                                          lane % 4 * 4) =
                pack(out[j][2 * h] * inverse, out[j][2 * h + 1] * inverse);
    }
    __syncwarp();
#pragma unroll
    for (int i = lane; i < 16 * (D / 8); i += 32) {
        int r = first + i / (D / 8), c = i % (D / 8);
        if (row0 + r < s)
            *reinterpret_cast<uint4 *>(o + (long long)(row0 + r) * D + c * 8) =
                *reinterpret_cast<uint4 *>(shared + swizzled(r, c));
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    attention(const f16 *__restrict__ q, const f16 *__restrict__ k, const f16 *__restrict__ v,
              f16 *__restrict__ o, int s)
{
    const float scale = 1.44269504f * rsqrtf((float)D); /* scores in units of log2 */
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row0 = blockIdx.x * ROWS, tiles = (s + TILE - 1) / TILE, stage = 0, next = STAGES - 1;
    long long head = (long long)blockIdx.y * s * D;
    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    unsigned at_q = base + swizzled(warp * SLABS * 16 + lane % 16, lane / 16);
    unsigned at_k = base + Q_BYTES + swizzled(lane % 8 + lane / 16 * 8, lane / 8 % 2);
    unsigned at_v = base + Q_BYTES + TILE_BYTES + swizzled(lane % 16, lane / 16);
    float out[SLABS][D / 8][4] = {}, largest[SLABS][2], total[SLABS][2] = {};

#pragma unroll
    for (int m = 0; m < SLABS; m++)
        largest[m][0] = largest[m][1] = MINUS_INF;
    copy_rows<ROWS, true>(0, q + head, row0, s);
#pragma unroll
    for (int t = 0; t < STAGES - 1; t++) {
        if (t < tiles)
            copy_tile(t, t, k + head, v + head, s);
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
#pragma unroll 1
    for (int t = 0; t < tiles; t++) {
        float score[SLABS][TILE / 8][4] = {};
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        /* Tile t is there for every warp, and every warp is done with the stage that is filled
         * next. */
        __syncthreads();
        if (t + STAGES - 1 < tiles)
            copy_tile(t + STAGES - 1, next, k + head, v + head, s);
        asm volatile("cp.async.commit_group;" ::: "memory");

        compute_scores(score, at_q, at_k + stage * 2 * TILE_BYTES);
#pragma unroll
        for (int m = 0; m < SLABS; m++) {
            if (TAIL && t == tiles - 1)
#pragma unroll
                for (int j = 0; j < TILE / 8; j++)
#pragma unroll
                    for (int e = 0; e < 4; e++)
                        if (t * TILE + j * 8 + lane % 4 * 2 + e % 2 >= s)
                            score[m][j][e] = MINUS_INF;
            update_largest(score[m], out[m], largest[m], total[m], scale);
        }
        add_outputs(out, score, largest, total, scale, at_v + stage * 2 * TILE_BYTES);
        next = stage;
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    __syncwarp();
#pragma unroll
    for (int m = 0; m < SLABS; m++)
        store_rows(o + head, out[m], total[m], (warp * SLABS + m) * 16, row0, s);
}
