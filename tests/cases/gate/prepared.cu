// expect: accepted
// plan: {"format": 1, "scratch": [{"name": "sum", "dtype": "f32", "shape": ["rows"]}, {"name": "one", "dtype": "f32", "shape": [1]}], "prepare": [{"kernel": "table", "grid": [1], "block": [1], "args": ["one"]}], "launches": [{"kernel": "sums", "grid": ["rows"], "block": [32], "args": ["x", "sum", "cols"]}, {"kernel": "centre", "grid": ["rows"], "block": [128], "args": ["x", "sum", "one", "y", "cols"]}]}
// A prepare step writes scratch that every launch reads.
extern "C" __global__ void table(float *one)
{
    one[0] = 1;
}
extern "C" __global__ void sums(const float *x, float *sum, int cols)
{
    float part = 0;
    for (int c = threadIdx.x; c < cols; c += 32) part += x[(long long)blockIdx.x * cols + c];
    for (int s = 16; s > 0; s /= 2) part += __shfl_xor_sync(~0u, part, s);
    if (threadIdx.x == 0) sum[blockIdx.x] = part;
}
extern "C" __global__ void centre(const float *x, const float *sum, const float *one, float *y, int cols)
{
    float mean = sum[blockIdx.x] / cols * one[0];
    for (int c = threadIdx.x; c < cols; c += 128)
        y[(long long)blockIdx.x * cols + c] = x[(long long)blockIdx.x * cols + c] - mean;
}
