/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(dim)) V, f32. 01: three kernels, one thread an output, scores in memory.
 *
 * The first version a competent person writes: all scores, softmax along each row, the product with
 * V, each with neighbouring threads on neighbouring outputs, in f32 all the way. */

/* One thread a score; tiles of Q and K go through shared memory to keep the loads coalesced. */
extern "C" __global__ void __launch_bounds__(1024)
    scores(const float *__restrict__ q, const float *__restrict__ k, float *__restrict__ p, int queries,
           int keys, int dim)
{
    __shared__ float tile_q[32][33], tile_k[32][33];
    int tx = threadIdx.x, ty = threadIdx.y, query = blockIdx.y * 32 + ty, key0 = blockIdx.x * 32;
    long long head = blockIdx.z;
    float sum = 0.0f;

    for (int i0 = 0; i0 < dim; i0 += 32) {
        bool in = i0 + tx < dim;
        tile_q[ty][tx] = in && query < queries ? q[(head * queries + query) * dim + i0 + tx] : 0.0f;
        tile_k[ty][tx] = in && key0 + ty < keys ? k[(head * keys + key0 + ty) * dim + i0 + tx] : 0.0f;
        __syncthreads();
        for (int i = 0; i < 32; i++)
            sum = fmaf(tile_q[ty][i], tile_k[tx][i], sum);
        __syncthreads();
    }
    if (query < queries && key0 + tx < keys)
        p[(head * queries + query) * keys + key0 + tx] = sum * rsqrtf((float)dim);
}

/* A warp a row, in place. */
extern "C" __global__ void __launch_bounds__(BLOCK) softmax(float *p, long long rows, int keys)
{
    long long row = (blockIdx.x * (long long)BLOCK + threadIdx.x) / 32;
    int lane = threadIdx.x % 32;
    float most = -__int_as_float(0x7f800000), total = 0.0f;

    if (row >= rows)
        return;
    p += row * keys;
    for (int j = lane; j < keys; j += 32)
        most = fmaxf(most, p[j]);
    for (int d = 16; d; d /= 2)
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, d));
    for (int j = lane; j < keys; j += 32) {
        p[j] = expf(p[j] - most);
        total += p[j];
    }
    for (int d = 16; d; d /= 2)
        total += __shfl_xor_sync(0xffffffffu, total, d);
    for (int j = lane; j < keys; j += 32)
        p[j] /= total;
}

/* One thread an output, the lanes of a warp along dim. */
extern "C" __global__ void __launch_bounds__(BLOCK)
    outputs(const float *__restrict__ p, const float *__restrict__ v, float *__restrict__ o,
            int queries, int keys, int dim)
{
    int i = blockIdx.x * BLOCK + threadIdx.x;
    long long query = blockIdx.z * (long long)queries + blockIdx.y;
    float sum = 0.0f;

    if (i >= dim)
        return;
    v += blockIdx.z * (long long)keys * dim + i;
    for (int j = 0; j < keys; j++)
        sum = fmaf(p[query * keys + j], v[(long long)j * dim], sum);
    o[query * dim + i] = sum;
}
