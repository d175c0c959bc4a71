/* SPDX-License-Identifier: MIT */
/* y = A @ x, f32. 02: pieces of ROWS rows by PIECE columns, a block each.
 *
 * A warp a row leaves most of the GPU idle when rows are few and long, and reads x again for every
 * row. Here a block takes PIECE columns of ROWS rows: each 16 bytes of x serve ROWS rows, ROWS*UNROLL
 * independent 16-byte loads are under way in every thread, and there are blocks enough for any GPU.
 * Sums are short: a thread's own, a shuffle, the warps', and then `finish` adds a row's pieces in a
 * fixed order, in double. */

typedef long long i64;

static __device__ __forceinline__ float4 load4(const float *p, i64 valid)
{
    float4 v = make_float4(0, 0, 0, 0);

#if ALIGNED
    if (valid > 0)
        v = __ldcs(reinterpret_cast<const float4 *>(p));
#else
    v.x = valid > 0 ? __ldcs(p) : 0;
    v.y = valid > 1 ? __ldcs(p + 1) : 0;
    v.z = valid > 2 ? __ldcs(p + 2) : 0;
    v.w = valid > 3 ? __ldcs(p + 3) : 0;
#endif
    return v;
}

static __device__ __forceinline__ float4 vector4(const float *x, i64 valid)
{
    float4 v = make_float4(0, 0, 0, 0);

    if (valid > 3)
        return __ldg(reinterpret_cast<const float4 *>(x));
    v.x = valid > 0 ? x[0] : 0;
    v.y = valid > 1 ? x[1] : 0;
    v.z = valid > 2 ? x[2] : 0;
    return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
    matvec(const float *__restrict__ a, const float *__restrict__ x, float *__restrict__ part,
           i64 rows, i64 cols)
{
    __shared__ float sums[ROWS][BLOCK / 32];
    i64 pieces = (cols + PIECE - 1) / PIECE, piece = blockIdx.x % pieces;
    i64 first = blockIdx.x / pieces * ROWS, end = min(cols, (piece + 1) * PIECE);
    float4 sum[ROWS] = {};

#pragma unroll UNROLL
    for (i64 i = piece * PIECE + threadIdx.x * 4; i < end; i += BLOCK * 4) {
        float4 v[ROWS], w = vector4(x + i, cols - i);
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            v[r] = load4(a + (first + r) * cols + i, first + r < rows ? cols - i : 0);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            sum[r].x += v[r].x * w.x;
            sum[r].y += v[r].y * w.y;
            sum[r].z += v[r].z * w.z;
            sum[r].w += v[r].w * w.w;
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float s = (sum[r].x + sum[r].y) + (sum[r].z + sum[r].w);
#pragma unroll
        for (int d = 16; d; d /= 2)
            s += __shfl_xor_sync(0xffffffffu, s, d);
        if (threadIdx.x % 32 == 0)
            sums[r][threadIdx.x / 32] = s;
    }
    __syncthreads();
    if (threadIdx.x < ROWS && first + threadIdx.x < rows) {
        float s = 0;
#pragma unroll
        for (int w = 0; w < BLOCK / 32; w++)
            s += sums[threadIdx.x][w];
        part[(first + threadIdx.x) * pieces + piece] = s;
    }
}

/* A warp a row. */
extern "C" __global__ void __launch_bounds__(256)
    finish(const float *__restrict__ part, float *__restrict__ y, i64 rows, i64 cols)
{
    i64 pieces = (cols + PIECE - 1) / PIECE, row = blockIdx.x * 8LL + threadIdx.x / 32;
    double s = 0;

    if (row >= rows)
        return;
    for (i64 i = threadIdx.x % 32; i < pieces; i += 32)
        s += part[row * pieces + i];
#pragma unroll
    for (int d = 16; d; d /= 2)
        s += __shfl_xor_sync(0xffffffffu, s, d);
    if (threadIdx.x % 32 == 0)
        y[row] = (float)s;
}
