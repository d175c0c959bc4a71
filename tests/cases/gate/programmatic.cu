// expect: accepted|unsupported
// plan: {"format": 1, "scratch": [{"name": "sum", "dtype": "f32", "shape": ["rows"]}], "launches": [{"kernel": "sums", "grid": ["rows"], "block": [32], "args": ["x", "sum", "cols"]}, {"kernel": "centre", "grid": ["rows"], "block": [128], "programmatic": true, "args": ["x", "sum", "y", "cols"]}]}
// The second kernel may start before the first has ended, and waits for it.
extern "C" __global__ void sums(const float *x, float *sum, int cols)
{
    float part = 0;
    for (int c = threadIdx.x; c < cols; c += 32) part += x[(long long)blockIdx.x * cols + c];
    for (int s = 16; s > 0; s /= 2) part += __shfl_xor_sync(~0u, part, s);
    if (threadIdx.x == 0) sum[blockIdx.x] = part;
}
extern "C" __global__ void centre(const float *x, const float *sum, float *y, int cols)
{
    asm volatile("griddepcontrol.wait;" ::: "memory");
    float mean = sum[blockIdx.x] / cols;
    for (int c = threadIdx.x; c < cols; c += 128)
        y[(long long)blockIdx.x * cols + c] = x[(long long)blockIdx.x * cols + c] - mean;
}
