// What an export has to carry: weights laid out anew once, scratch memory, a memset, several launches as a graph,
// more shared memory than comes unasked, buffers that are updated.
extern "C" __global__ void turn(const float *weight, float *turned, int rows, int cols)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < rows * cols) turned[i % cols * rows + i / cols] = weight[i];
}

extern "C" __global__ void product(const float *x, const float *turned, const float *bias, float *z, float *sums,
                                   int wide, int out)
{
    int o = threadIdx.x, row = blockIdx.x;
    float v = bias[o];
    for (int k = 0; k < wide; k++) v += x[row * wide + k] * turned[k * out + o];
    z[row * out + o] = v;
    atomicAdd(&sums[o], v);
}

extern "C" __global__ void apply(const float *z, const float *sums, const float *scale, const float *shift,
                                float *mean, float *var, long long *batches, float *y, int batch, int out)
{
    extern __shared__ float squares[];
    int o = threadIdx.x;
    float m = sums[o] / batch;
    squares[o] = 0;
    for (int r = 0; r < batch; r++) {
        float d = z[r * out + o] - m;
        squares[o] += d * d;
    }
    float v = squares[o] / batch, a = scale[o] * rsqrtf(v + 1e-5f);
    for (int r = 0; r < batch; r++) y[r * out + o] = (z[r * out + o] - m) * a + shift[o];
    mean[o] = 0.9f * mean[o] + 0.1f * m;
    var[o] = 0.9f * var[o] + 0.1f * squares[o] / (batch - 1);
    if (o == 0) batches[0]++;
}
