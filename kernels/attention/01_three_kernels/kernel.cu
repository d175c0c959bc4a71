/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(d)) V, bf16. 01: three kernels, one thread an output, scores in global
 * memory.
 *
 * The first version a competent person writes: all scores, then softmax along each row, then the
 * product with V, each kernel with neighbouring threads on neighbouring outputs. The s x s scores
 * pass through memory four times in f32, and every multiply-add reads both operands from L1. */
#include <cuda_bf16.h>

/* One thread a score. K is read across rows: lanes walk down different rows, which L1 serves after
 * the first touch. */
extern "C" __global__ void __launch_bounds__(BLOCK)
    scores(const __nv_bfloat16 *__restrict__ q, const __nv_bfloat16 *__restrict__ k,
           float *__restrict__ p, int s, int d)
{
    int key = blockIdx.x * BLOCK + threadIdx.x, query = blockIdx.y;
    long long head = (long long)blockIdx.z * s;

    if (key >= s)
        return;
    const __nv_bfloat16 *rq = q + (head + query) * d, *rk = k + (head + key) * d;
    float sum = 0.0f;
    for (int i = 0; i < d; i++)
        sum = fmaf(__bfloat162float(rq[i]), __bfloat162float(rk[i]), sum);
    p[(head + query) * s + key] = sum * rsqrtf((float)d);
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
    outputs(const float *__restrict__ p, const __nv_bfloat16 *__restrict__ v,
            __nv_bfloat16 *__restrict__ o, int s, int d)
{
    int query = blockIdx.x * (BLOCK / d) + threadIdx.x / d, c = threadIdx.x % d;
    long long head = (long long)blockIdx.y * s;

    if (query >= s)
        return;
    const float *row = p + (head + query) * s;
    const __nv_bfloat16 *column = v + head * d + c;
    float sum = 0.0f;
    for (int j = 0; j < s; j++)
        sum = fmaf(row[j], __bfloat162float(column[(long long)j * d]), sum);
    o[(head + query) * d + c] = __float2bfloat16(sum);
}
