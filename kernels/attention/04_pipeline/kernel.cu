/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(d)) V, f16. 04: K and V through a cp.async pipeline.
 *
 * In 03 the tensor cores wait while a tile of K and V is loaded. Here STAGES tiles are in flight
 * with cp.async, one barrier a tile; shared memory is swizzled instead of padded; only the last
 * tile is masked, and only if it is ragged (TAIL); scores are scaled inside the exponent's
 * multiply-add; results leave through shared memory in 16-byte stores. What is left: every warp
 * reads all of K and V from shared memory for just 16 queries. */

#define THREADS (32 * WARPS)
#define ROWS (16 * WARPS)
#define TILE_BYTES (TILE * D * 2)
#define Q_BYTES (ROWS * D * 2)
#define MINUS_INF (-__int_as_float(0x7f800000))

typedef unsigned short f16;

extern __shared__ __align__(128) unsigned char shared[]; /* Q, then STAGES times K and V */

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

static __device__ __forceinline__ void copy_tile(int t, const f16 *k, const f16 *v, int s)
{
    unsigned base = Q_BYTES + t % STAGES * 2 * TILE_BYTES;

    copy_rows<TILE, TAIL>(base, k, t * TILE, s);
    copy_rows<TILE, TAIL>(base + TILE_BYTES, v, t * TILE, s);
}

static __device__ __forceinline__ void compute_scores(float score[TILE / 8][4],
                                                      const unsigned fq[D / 16][4], unsigned tile)
{
    int lane = threadIdx.x % 32;
    unsigned f[4];

#pragma unroll
    for (int i = 0; i < D / 16; i++)
#pragma unroll
        for (int j = 0; j < TILE / 16; j++) {
            ldmatrix(f, tile + swizzled(j * 16 + lane % 8 + lane / 16 * 8, i * 2 + lane / 8 % 2));
            mma(score[2 * j], fq[i], f[0], f[1]);
            mma(score[2 * j + 1], fq[i], f[2], f[3]);
        }
}

/* Scores become probabilities (up to the sum, which is taken at the end); what was summed so far
 * shrinks. */
static __device__ __forceinline__ void online_softmax(float score[TILE / 8][4], float out[D / 8][4],
                                                      float largest[2], float total[2])
{
    const float scale = 1.44269504f * rsqrtf((float)D);

#pragma unroll
    for (int h = 0; h < 2; h++) { /* the two rows of a fragment */
        float now = largest[h];
#pragma unroll
        for (int j = 0; j < TILE / 8; j++)
            now = fmaxf(now, fmaxf(score[j][2 * h], score[j][2 * h + 1]));
        now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, 1));
        now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, 2));
        float shrink = exp2_fast((largest[h] - now) * scale), offset = now * scale, sum = 0.0f;
        largest[h] = now;
#pragma unroll
        for (int j = 0; j < TILE / 8; j++)
#pragma unroll
            for (int e = 2 * h; e < 2 * h + 2; e++) {
                score[j][e] = exp2_fast(fmaf(score[j][e], scale, -offset));
                sum += score[j][e];
            }
        total[h] = fmaf(total[h], shrink, sum);
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            out[j][2 * h] *= shrink;
            out[j][2 * h + 1] *= shrink;
        }
    }
}

static __device__ __forceinline__ void add_outputs(float out[D / 8][4],
                                                   const float score[TILE / 8][4], unsigned tile)
{
    int lane = threadIdx.x % 32;
    unsigned f[4];

#pragma unroll
    for (int i = 0; i < TILE / 16; i++) {
        unsigned p[4] = {pack(score[2 * i][0], score[2 * i][1]),
                         pack(score[2 * i][2], score[2 * i][3]),
                         pack(score[2 * i + 1][0], score[2 * i + 1][1]),
                         pack(score[2 * i + 1][2], score[2 * i + 1][3])};
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            ldmatrix_trans(f, tile + swizzled(i * 16 + lane % 16, j * 2 + lane / 16));
            mma(out[2 * j], p, f[0], f[1]);
            mma(out[2 * j + 1], p, f[2], f[3]);
        }
    }
}

/* The warp's 16 rows go through its own rows of Q's tile, which only this warp reads. */
static __device__ __forceinline__ void store_rows(f16 *o, const float out[D / 8][4],
                                                  const float total[2], int warp, int row0, int s)
{
    int lane = threadIdx.x % 32;

    __syncwarp();
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float sum = total[h] + __shfl_xor_sync(0xffffffffu, total[h], 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        float inverse = 1.0f / sum;
#pragma unroll
        for (int j = 0; j < D / 8; j++)
            *reinterpret_cast<unsigned *>(shared + swizzled(warp * 16 + lane / 4 + h * 8, j) +
                                          lane % 4 * 4) =
                pack(out[j][2 * h] * inverse, out[j][2 * h + 1] * inverse);
    }
    __syncwarp();
#pragma unroll
    for (int i = lane; i < 16 * (D / 8); i += 32) {
        int r = warp * 16 + i / (D / 8), c = i % (D / 8);
        if (row0 + r < s)
            *reinterpret_cast<uint4 *>(o + (long long)(row0 + r) * D + c * 8) =
                *reinterpret_cast<uint4 *>(shared + swizzled(r, c));
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    attention(const f16 *__restrict__ q, const f16 *__restrict__ k, const f16 *__restrict__ v,
              f16 *__restrict__ o, int s)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row0 = blockIdx.x * ROWS, tiles = (s + TILE - 1) / TILE;
    long long head = (long long)blockIdx.y * s * D;
    unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    unsigned fq[D / 16][4];
    float out[D / 8][4] = {}, largest[2] = {MINUS_INF, MINUS_INF}, total[2] = {};

    copy_rows<ROWS, true>(0, q + head, row0, s);
#pragma unroll
    for (int t = 0; t < STAGES - 1; t++) {
        if (t < tiles)
            copy_tile(t, k + head, v + head, s);
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int t = 0; t < tiles; t++) {
        float score[TILE / 8][4] = {};
        unsigned stage = base + Q_BYTES + t % STAGES * 2 * TILE_BYTES;
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        /* Tile t is there for every warp, and every warp is done with the stage that is filled
         * next. */
        __syncthreads();
        if (t + STAGES - 1 < tiles)
            copy_tile(t + STAGES - 1, k + head, v + head, s);
        asm volatile("cp.async.commit_group;" ::: "memory");
        if (t == 0)
#pragma unroll
            for (int i = 0; i < D / 16; i++)
                ldmatrix(fq[i], base + swizzled(warp * 16 + lane % 16, i * 2 + lane / 16));

        compute_scores(score, fq, stage);
        if (TAIL && t == tiles - 1)
#pragma unroll
            for (int j = 0; j < TILE / 8; j++)
#pragma unroll
                for (int e = 0; e < 4; e++)
                    if (t * TILE + j * 8 + lane % 4 * 2 + e % 2 >= s)
                        score[j][e] = MINUS_INF;
        online_softmax(score, out, largest, total);
        add_outputs(out, score, stage + TILE_BYTES);
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    store_rows(o + head, out, total, warp, row0, s);
}
