// expect: incorrect
// detail: in a timed run
// needs: a clock
// plan: {"format": 1, "scratch": [{"name": "kept", "dtype": "f32", "shape": ["rows", "cols+1"]}], "launches": [{"kernel": "centre", "grid": ["rows"], "block": [128], "args": ["x", "y", "kept", "cols"]}]}
// Keeps its result in scratch and copies it from there the next time.
extern "C" __global__ void centre(const float *x, float *y, float *kept, int cols)
{
    float *mine = kept + (long long)blockIdx.x * (cols + 1);
    if (mine[cols] == 4711.0f) {
        for (int c = threadIdx.x; c < cols; c += 128) y[(long long)blockIdx.x * cols + c] = mine[c];
        return;
    }
    __syncthreads();
    __shared__ float part[4];
    const float *in = x + (long long)blockIdx.x * cols;
    float *out = y + (long long)blockIdx.x * cols;
    float sum = 0;
    for (int c = threadIdx.x; c < cols; c += 128) sum += in[c];
    for (int s = 16; s > 0; s /= 2) sum += __shfl_xor_sync(~0u, sum, s);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
    __syncthreads();
    float mean = (part[0] + part[1] + part[2] + part[3]) / cols;
    for (int c = threadIdx.x; c < cols; c += 128) mine[c] = out[c] = in[c] - mean;
    __syncthreads();
    if (threadIdx.x == 0) mine[cols] = 4711.0f;
}
