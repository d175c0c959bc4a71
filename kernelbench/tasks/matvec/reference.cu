/* SPDX-License-Identifier: MIT */
/* y = A @ x for a row-major matrix: a block a row, summed in double in one order and rounded once. */
extern "C" __global__ void reference(const float *a, const float *x, float *y, long long cols)
{
    __shared__ double part[256];
    double sum = 0.0;

    for (long long i = threadIdx.x; i < cols; i += 256)
        sum += (double)a[blockIdx.x * cols + i] * (double)x[i];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int d = 128; d; d /= 2) {
        if (threadIdx.x < d)
            part[threadIdx.x] += part[threadIdx.x + d];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        y[blockIdx.x] = (float)part[0];
}
