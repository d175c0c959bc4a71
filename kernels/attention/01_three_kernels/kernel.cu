/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(d)) V, f16. 01: three kernels, one thread an output, scores in global
 * memory.
 *
 * The first version a competent person writes: all scores, then softmax along each row, then the
 * product with V, each kernel with neighbouring threads on neighbouring outputs. The s x s scores
 * pass through memory four times in f32, and every multiply-add reads both operands from L1. */
#include <cuda_fp16.h>

/* One thread a score. Lanes stand for keys, so K would be read down its columns; tiles of Q and K
 * go through shared memory to keep the loads coalesced. */
extern "C" __global__ void __launch_bounds__(1024)
    scores(const __half *__restrict__ q, const __half *__restrict__ k, float *__restrict__ p, int s,
           int d)
{
    __shared__ float tile_q[32][33];
    __shared__ float tile_k[32][33];
    int tx = threadIdx.x, ty = threadIdx.y;
    int key0 = blockIdx.x * 32, query = blockIdx.y * 32 + ty;
    long long head = (long long)blockIdx.z * s;
    float sum = 0.0f;

    for (int i0 = 0; i0 < d; i0 += 32) {
        tile_q[ty][tx] = query < s ? __half2float(q[(head + query) * d + i0 + tx]) : 0.0f;
        tile_k[ty][tx] = key0 + ty < s ? __half2float(k[(head + key0 + ty) * d + i0 + tx]) : 0.0f;
        __syncthreads();
        for (int i = 0; i < 32; i++)
            sum = fmaf(tile_q[ty][i], tile_k[tx][i], sum);
        __syncthreads();
    }
    if (query < s && key0 + tx < s)
        p[(head + query) * s + key0 + tx] = sum * rsqrtf((float)d);
}

static __device__ __forceinline__ float block_reduce(float v, bool largest)
{
    __shared__ float cell[BLOCK];

    cell[threadIdx.x] = v;
    __syncthreads();
    for (int step = BLOCK / 2; step > 0; step /= 2) {
        if (threadIdx.x < step) {
            float other = cell[threadIdx.x + step];
            cell[threadIdx.x] =
                largest ? fmaxf(cell[threadIdx.x], other) : cell[threadIdx.x] + other;
        }
        __syncthreads();
    }
    v = cell[0];
    __syncthreads();
    return v;
}

/* One block a row, in place. */
extern "C" __global__ void __launch_bounds__(BLOCK) softmax(float *p, int s)
{
    float *row = p + ((long long)blockIdx.y * s + blockIdx.x) * s;
    float largest = -__int_as_float(0x7f800000), total = 0.0f;

    for (int j = threadIdx.x; j < s; j += BLOCK)
        largest = fmaxf(largest, row[j]);
    largest = block_reduce(largest, true);
    for (int j = threadIdx.x; j < s; j += BLOCK) {
        row[j] = expf(row[j] - largest);
        total += row[j];
    }
    total = block_reduce(total, false);
    for (int j = threadIdx.x; j < s; j += BLOCK)
        row[j] /= total;
}

/* One thread an output, the lanes of a warp along d. */
extern "C" __global__ void __launch_bounds__(BLOCK)
    outputs(const float *__restrict__ p, const __half *__restrict__ v, __half *__restrict__ o,
            int s, int d)
{
    int query = blockIdx.x * (BLOCK / d) + threadIdx.x / d, c = threadIdx.x % d;
    long long head = (long long)blockIdx.y * s;

    if (query >= s)
        return;
    const float *row = p + (head + query) * s;
    const __half *column = v + head * d + c;
    float sum = 0.0f;
    for (int j = 0; j < s; j++)
        sum = fmaf(row[j], __half2float(column[(long long)j * d]), sum);
    o[(head + query) * d + c] = __float2half(sum);
}
