// SPDX-License-Identifier: MIT
// A kernel a layer. Weights are turned round once, before the first run, so that lanes read neighbours.
extern "C" __global__ void pack(const float *weight, float *packed, int layer, int wide)
{
    packed[(layer * wide + threadIdx.x) * wide + threadIdx.y] = weight[threadIdx.y * wide + threadIdx.x];
}

extern "C" __global__ void layer(const float *from, float *to, const float *packed, const float *bias, int layer,
                                 int wide)
{
    int row = blockIdx.x, out = threadIdx.x;
    float sum = bias[out];
    for (int k = 0; k < wide; k++) {
        sum += from[row * wide + k] * packed[(layer * wide + k) * wide + out];
    }
    to[row * wide + out] = from[row * wide + out] + tanhf(sum) / 8;
}
