// expect: accepted|unsupported
// plan: {"format": 1, "launches": [{"kernel": "centre", "grid": ["2*ceildiv(rows,2)"], "block": [128], "args": ["x", "y", "cols", "rows"], "cluster": [2]}]}
// Launched in clusters of two blocks.
extern "C" __global__ void centre(const float *x, float *y, int cols, int rows)
{
    if (blockIdx.x >= rows) return;
    __shared__ float part[4];
    const float *in = x + (long long)blockIdx.x * cols;
    float *out = y + (long long)blockIdx.x * cols;
    float sum = 0;
    for (int c = threadIdx.x; c < cols; c += 128) sum += in[c];
    for (int s = 16; s > 0; s /= 2) sum += __shfl_xor_sync(~0u, sum, s);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
    __syncthreads();
    float mean = (part[0] + part[1] + part[2] + part[3]) / cols;
    for (int c = threadIdx.x; c < cols; c += 128) out[c] = in[c] - mean;
}
