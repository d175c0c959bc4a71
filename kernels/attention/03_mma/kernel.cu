/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(d)) V, f16. 03: both products on tensor cores, softmax in registers.
 *
 * 02 is bound by the f32 units. Here each of WARPS warps owns 16 queries, and keeps Q and the
 * output as fragments; S = Q K^T comes out of mma.sync in just the layout that P V wants as its
 * left operand, so the probabilities never leave the registers. Four lanes share a row, so its
 * maximum takes two shuffles a tile. What is left: a tile is loaded, then computed, then the next
 * one loaded. */

#define THREADS (32 * WARPS)
#define ROWS (16 * WARPS)
#define LD (D + 8) /* 16 bytes of padding keep ldmatrix free of bank conflicts */
#define MINUS_INF (-__int_as_float(0x7f800000))

typedef unsigned short f16;

extern __shared__ __align__(128) unsigned char shared[];

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

static __device__ __forceinline__ void load_tile(f16 *tile, const f16 *src, int row0, int rows,
                                                 int s)
{
    for (int i = threadIdx.x; i < rows * (D / 8); i += THREADS) {
        int r = i / (D / 8), c = i % (D / 8) * 8;
        uint4 x = make_uint4(0, 0, 0, 0);
        if (row0 + r < s)
            x = *reinterpret_cast<const uint4 *>(src + (long long)(row0 + r) * D + c);
        *reinterpret_cast<uint4 *>(tile + r * LD + c) = x;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    attention(const f16 *__restrict__ q, const f16 *__restrict__ k, const f16 *__restrict__ v,
              f16 *__restrict__ o, int s)
{
    f16 *tile_q = reinterpret_cast<f16 *>(shared), *tile_k = tile_q + ROWS * LD,
        *tile_v = tile_k + TILE * LD;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row0 = blockIdx.x * ROWS;
    long long head = (long long)blockIdx.y * s * D;
    unsigned at_k = (unsigned)__cvta_generic_to_shared(tile_k + (lane % 8 + lane / 16 * 8) * LD +
                                                       lane / 8 % 2 * 8);
    unsigned at_v = (unsigned)__cvta_generic_to_shared(tile_v + lane % 16 * LD + lane / 16 * 8);
    unsigned at_q =
        (unsigned)__cvta_generic_to_shared(tile_q + (warp * 16 + lane % 16) * LD + lane / 16 * 8);
    unsigned fq[D / 16][4];
    float out[D / 8][4] = {}, largest[2] = {MINUS_INF, MINUS_INF}, total[2] = {};
    const float scale = 1.44269504f * rsqrtf((float)D);

    load_tile(tile_q, q + head, row0, ROWS, s);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < D / 16; i++)
        ldmatrix(fq[i], at_q + i * 32);

    for (int j0 = 0; j0 < s; j0 += TILE) {
        float score[TILE / 8][4] = {};
        unsigned f[4];
        load_tile(tile_k, k + head, j0, TILE, s);
        load_tile(tile_v, v + head, j0, TILE, s);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < D / 16; i++)
#pragma unroll
            for (int j = 0; j < TILE / 16; j++) {
                ldmatrix(f, at_k + 2 * (j * 16 * LD + i * 16));
                mma(score[2 * j], fq[i], f[0], f[1]);
                mma(score[2 * j + 1], fq[i], f[2], f[3]);
            }
#pragma unroll
        for (int h = 0; h < 2; h++) { /* the two rows of a fragment */
            float now = largest[h];
#pragma unroll
            for (int j = 0; j < TILE / 8; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    if (j0 + j * 8 + lane % 4 * 2 + e >= s)
                        score[j][2 * h + e] = MINUS_INF;
                    now = fmaxf(now, score[j][2 * h + e]);
                }
            now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, 1));
            now = fmaxf(now, __shfl_xor_sync(0xffffffffu, now, 2));
            float shrink = exp2_fast((largest[h] - now) * scale), sum = 0.0f;
            largest[h] = now;
#pragma unroll
            for (int j = 0; j < TILE / 8; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    score[j][2 * h + e] = exp2_fast(score[j][2 * h + e] * scale - now * scale);
                    sum += score[j][2 * h + e];
                }
            total[h] = total[h] * shrink + sum;
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                out[j][2 * h] *= shrink;
                out[j][2 * h + 1] *= shrink;
            }
        }
#pragma unroll
        for (int i = 0; i < TILE / 16; i++) {
            unsigned p[4] = {pack(score[2 * i][0], score[2 * i][1]),
                             pack(score[2 * i][2], score[2 * i][3]),
                             pack(score[2 * i + 1][0], score[2 * i + 1][1]),
                             pack(score[2 * i + 1][2], score[2 * i + 1][3])};
#pragma unroll
            for (int j = 0; j < D / 16; j++) {
                ldmatrix_trans(f, at_v + 2 * (i * 16 * LD + j * 16));
                mma(out[2 * j], p, f[0], f[1]);
                mma(out[2 * j + 1], p, f[2], f[3]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int row = row0 + warp * 16 + lane / 4 + h * 8;
        float sum = total[h] + __shfl_xor_sync(0xffffffffu, total[h], 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (row >= s)
            continue;
#pragma unroll
        for (int j = 0; j < D / 8; j++)
            *reinterpret_cast<unsigned *>(o + head + (long long)row * D + j * 8 + lane % 4 * 2) =
                pack(out[j][2 * h] / sum, out[j][2 * h + 1] / sum);
    }
}
