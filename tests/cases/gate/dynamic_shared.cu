// expect: accepted
// plan: {"format": 1, "launches": [{"kernel": "centre", "grid": ["rows"], "block": [128], "args": ["x", "y", "cols"], "shared": "100000"}]}
// More dynamic shared memory than a kernel gets without asking.
extern __shared__ float row[];
extern "C" __global__ void centre(const float *x, float *y, int cols)
{
    const float *in = x + (long long)blockIdx.x * cols;
    float *out = y + (long long)blockIdx.x * cols;
    for (int c = threadIdx.x; c < cols; c += 128) row[c] = in[c];
    __syncthreads();
    float sum = 0;
    for (int c = 0; c < cols; c++) sum += row[c];
    float mean = sum / cols;
    for (int c = threadIdx.x; c < cols; c += 128) out[c] = row[c] - mean;
}
