/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(d)) V, f16. 02: one kernel, online softmax, f32 FMA.
 *
 * 01 sends s x s scores through memory four times. Here they never leave the registers: a block
 * takes ROWS queries and walks the keys in tiles of TILE held in shared memory; LANES lanes share a
 * query, each with D / LANES columns of Q and of the output. The softmax is online: when a larger
 * score appears, the sum and the output so far are scaled down. What is left: the f32 units, and
 * one shuffle chain a score. */
#include <cuda_fp16.h>

#define THREADS (ROWS * LANES)
#define COLS (D / LANES)

/* Element (j, c) of a tile lies so that the LANES lanes of a query read neighbouring 8-byte pairs.
 */
extern "C" __global__ void __launch_bounds__(THREADS)
    attention(const __half *__restrict__ q, const __half *__restrict__ k,
              const __half *__restrict__ v, __half *__restrict__ o, int s)
{
    extern __shared__ float2 shared[];
    float2 *tile_k = shared, *tile_v = shared + TILE * (D / 2);
    int lane = threadIdx.x % LANES, query = blockIdx.x * ROWS + threadIdx.x / LANES;
    long long head = (long long)blockIdx.y * s * D;
    const __half2 *k2 = reinterpret_cast<const __half2 *>(k + head);
    const __half2 *v2 = reinterpret_cast<const __half2 *>(v + head);
    float2 mine[COLS / 2], sum[COLS / 2] = {};
    float largest = -__int_as_float(0x7f800000), total = 0.0f;
    /* Scores in units of log2, so that exp2f serves. */
    float scale = 1.44269504f * rsqrtf((float)D);

#pragma unroll
    for (int i = 0; i < COLS / 2; i++) {
        float2 x = make_float2(0.0f, 0.0f);
        if (query < s)
            x = __half22float2(reinterpret_cast<const __half2 *>(
                q + head)[(long long)query * (D / 2) + i * LANES + lane]);
        mine[i] = make_float2(x.x * scale, x.y * scale);
    }
    for (int j0 = 0; j0 < s; j0 += TILE) {
        int keys = min(TILE, s - j0);
        __syncthreads();
        for (int i = threadIdx.x; i < keys * (D / 2); i += THREADS) {
            tile_k[i] = __half22float2(k2[(long long)j0 * (D / 2) + i]);
            tile_v[i] = __half22float2(v2[(long long)j0 * (D / 2) + i]);
        }
        __syncthreads();
        for (int j = 0; j < keys; j++) {
            float score = 0.0f;
#pragma unroll
            for (int i = 0; i < COLS / 2; i++) {
                float2 x = tile_k[j * (D / 2) + i * LANES + lane];
                score = fmaf(mine[i].x, x.x, fmaf(mine[i].y, x.y, score));
            }
#pragma unroll
            for (int step = LANES / 2; step > 0; step /= 2)
                score += __shfl_xor_sync(0xffffffffu, score, step);
            if (score > largest) {
                float shrink = exp2f(largest - score);
                largest = score;
                total *= shrink;
#pragma unroll
                for (int i = 0; i < COLS / 2; i++)
                    sum[i] = make_float2(sum[i].x * shrink, sum[i].y * shrink);
            }
            float p = exp2f(score - largest);
            total += p;
#pragma unroll
            for (int i = 0; i < COLS / 2; i++) {
                float2 x = tile_v[j * (D / 2) + i * LANES + lane];
                sum[i] = make_float2(fmaf(p, x.x, sum[i].x), fmaf(p, x.y, sum[i].y));
            }
        }
    }
    if (query >= s)
        return;
#pragma unroll
    for (int i = 0; i < COLS / 2; i++)
        reinterpret_cast<__half2 *>(o + head)[(long long)query * (D / 2) + i * LANES + lane] =
            __floats2half2_rn(sum[i].x / total, sum[i].y / total);
}
