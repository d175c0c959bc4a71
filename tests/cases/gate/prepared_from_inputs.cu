// expect: incorrect
// detail: are wrong
// plan: {"format": 1, "scratch": [{"name": "kept", "dtype": "f32", "shape": ["rows", "cols"]}], "prepare": [{"kernel": "ahead", "grid": ["rows"], "block": [128], "args": ["kept", "cols"]}], "launches": [{"kernel": "centre", "grid": ["rows"], "block": [128], "args": ["x", "y", "kept", "cols"]}]}
// Remembers where the inputs lie, and has prepare do the work on what lies there the next time.
__device__ const float *seen;
extern "C" __global__ void ahead(float *kept, int cols)
{
    if (!seen) return;
    const float *in = seen + (long long)blockIdx.x * cols;
    float sum = 0;
    for (int c = 0; c < cols; c++) sum += in[c];
    for (int c = threadIdx.x; c < cols; c += 128) kept[(long long)blockIdx.x * cols + c] = in[c] - sum / cols;
}
extern "C" __global__ void centre(const float *x, float *y, const float *kept, int cols)
{
    const float *in = x + (long long)blockIdx.x * cols;
    bool ready = seen == x;
    float sum = 0;
    for (int c = 0; c < cols && !ready; c++) sum += in[c];
    for (int c = threadIdx.x; c < cols; c += 128)
        y[(long long)blockIdx.x * cols + c] = ready ? kept[(long long)blockIdx.x * cols + c] : in[c] - sum / cols;
    __syncthreads();
    if (threadIdx.x == 0 && blockIdx.x == gridDim.x - 1) seen = x;
}
