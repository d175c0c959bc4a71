// expect: accepted
// plan: {"format": 1, "graph": true, "scratch": [{"name": "sum", "dtype": "f32", "shape": ["rows"]}], "launches": [{"memset": "sum", "value": 0}, {"kernel": "sums", "grid": ["rows"], "block": [128], "args": ["x", "sum", "cols"]}, {"kernel": "centre", "grid": ["rows"], "block": [128], "args": ["x", "sum", "y", "cols"]}]}
// The same two kernels, recorded as a graph.
extern "C" __global__ void sums(const float *x, float *sum, int cols)
{
    float part = 0;
    for (int c = threadIdx.x; c < cols; c += 128) part += x[(long long)blockIdx.x * cols + c];
    atomicAdd(&sum[blockIdx.x], part);
}
extern "C" __global__ void centre(const float *x, const float *sum, float *y, int cols)
{
    float mean = sum[blockIdx.x] / cols;
    for (int c = threadIdx.x; c < cols; c += 128)
        y[(long long)blockIdx.x * cols + c] = x[(long long)blockIdx.x * cols + c] - mean;
}
