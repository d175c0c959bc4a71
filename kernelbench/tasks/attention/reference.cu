/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(d)) V for each batch and head, not causal; all tensors f16 [b,h,s,d], d
 * is 64 or 128. Here everything is computed in double and rounded once to f16: one block takes four
 * queries (so that a key is converted once for all of them), puts the scores of all keys in shared
 * memory, takes the plain softmax (largest score subtracted), then thread c sums column c of V. A
 * candidate accumulates scores, softmax and output in f32 or wider; it may round the probabilities
 * to f16 before the second product. */
#include <cuda_fp16.h>

#define QUERIES 4

extern "C" __global__ void reference(const __half *q, const __half *k,
                                     const __half *v, __half *o, int s, int d)
{
    extern __shared__ double p[]; /* [QUERIES][s] scores, then [QUERIES][d] queries */
    double *query = p + QUERIES * (long long)s;
    __shared__ double total[QUERIES];
    long long head = (long long)blockIdx.y * s * d;
    int first = blockIdx.x * QUERIES, c = threadIdx.x;

    for (int n = 0; n < QUERIES; n++) {
        int row = min(first + n, s - 1); /* what is past the end is computed and not written */
        query[n * d + c] = (double)__half2float(q[head + (long long)row * d + c]);
    }
    __syncthreads();

    for (int j = c; j < s; j += blockDim.x) {
        double sum[QUERIES] = {0.0, 0.0, 0.0, 0.0};
        for (int i = 0; i < d; i++) {
            double key = (double)__half2float(k[head + (long long)j * d + i]);
            for (int n = 0; n < QUERIES; n++)
                sum[n] += query[n * d + i] * key;
        }
        for (int n = 0; n < QUERIES; n++)
            p[n * s + j] = sum[n] / sqrt((double)d);
    }
    __syncthreads();

    /* One warp a query: the largest score, the exponentials, their sum. */
    for (int n = c / 32; n < QUERIES; n += blockDim.x / 32) {
        double largest = p[n * s], sum = 0.0;
        for (int j = c % 32; j < s; j += 32)
            largest = fmax(largest, p[n * s + j]);
        for (int step = 16; step; step /= 2)
            largest = fmax(largest, __shfl_xor_sync(0xffffffffu, largest, step));
        for (int j = c % 32; j < s; j += 32) {
            p[n * s + j] = exp(p[n * s + j] - largest);
            sum += p[n * s + j];
        }
        for (int step = 16; step; step /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, step);
        if (c % 32 == 0)
            total[n] = sum;
    }
    __syncthreads();

    double out[QUERIES] = {0.0, 0.0, 0.0, 0.0};
    for (int j = 0; j < s; j++) {
        double value = (double)__half2float(v[head + (long long)j * d + c]);
        for (int n = 0; n < QUERIES; n++)
            out[n] += p[n * s + j] * value;
    }
    for (int n = 0; n < QUERIES && first + n < s; n++)
        o[head + (long long)(first + n) * d + c] = __double2half(out[n] / total[n]);
}
