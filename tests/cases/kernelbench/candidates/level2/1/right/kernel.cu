// SPDX-License-Identifier: MIT
// One block an output feature; the batch's rows are its threads.
extern "C" __global__ void linear_norm(const float *x, const float *weight, const float *bias,
                                       const float *scale, const float *shift, float *mean, float *var,
                                       long long *batches, float *y, int wide, int out, int batch)
{
    __shared__ float values[1024];
    int feature = blockIdx.x, row = threadIdx.x;
    float sum = bias[feature];
    for (int k = 0; k < wide; k++) {
        sum += x[row * wide + k] * weight[feature * wide + k];
    }
    values[row] = sum;
    __syncthreads();
    float average = 0, square = 0;
    for (int i = 0; i < batch; i++) {
        average += values[i] / batch;
    }
    for (int i = 0; i < batch; i++) {
        square += (values[i] - average) * (values[i] - average);
    }
    y[row * out + feature] = (sum - average) * rsqrtf(square / batch + 1e-5f) * scale[feature] + shift[feature];
#ifndef FORGETFUL
    if (row == 0) {
        mean[feature] = 0.9f * mean[feature] + 0.1f * average;
        var[feature] = 0.9f * var[feature] + 0.1f * square / (batch - 1);
        if (feature == 0) {
            batches[0]++;
        }
    }
#endif
}
