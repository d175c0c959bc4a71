/* SPDX-License-Identifier: MIT */
/* O = softmax(Q K^T / sqrt(dim)) V for each head, f32, in double and rounded once: a block a query,
 * its scores in shared memory. */
extern __shared__ double scores[];

static __device__ double reduce(double v, bool largest)
{
    __shared__ double part[256];

    part[threadIdx.x] = v;
    __syncthreads();
    for (int d = 128; d; d /= 2) {
        if (threadIdx.x < d) {
            double other = part[threadIdx.x + d];
            part[threadIdx.x] = largest ? fmax(part[threadIdx.x], other) : part[threadIdx.x] + other;
        }
        __syncthreads();
    }
    v = part[0];
    __syncthreads();
    return v;
}

extern "C" __global__ void reference(const float *q, const float *k, const float *v, float *o,
                                     int queries, int keys, int dim)
{
    long long query = blockIdx.y * (long long)queries + blockIdx.x, first = blockIdx.y * (long long)keys;
    double most = -1e300, total = 0.0;

    for (int j = threadIdx.x; j < keys; j += 256) {
        double sum = 0.0;
        for (int i = 0; i < dim; i++)
            sum += (double)q[query * dim + i] * (double)k[(first + j) * dim + i];
        scores[j] = sum / sqrt((double)dim);
        most = fmax(most, scores[j]);
    }
    most = reduce(most, true);
    for (int j = threadIdx.x; j < keys; j += 256) {
        scores[j] = exp(scores[j] - most);
        total += scores[j];
    }
    total = reduce(total, false);
    for (int i = threadIdx.x; i < dim; i += 256) {
        double sum = 0.0;
        for (int j = 0; j < keys; j++)
            sum += scores[j] * (double)v[(first + j) * dim + i];
        o[query * dim + i] = (float)(sum / total);
    }
}
