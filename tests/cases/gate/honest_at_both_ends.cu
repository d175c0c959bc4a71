// expect: incorrect
// detail: in a timed run
// needs: a clock
// Skips the work in the middle of timing only, where only an audit can see it.
__device__ unsigned calls;
extern "C" __global__ void centre(const float *x, float *y, int cols)
{
    if (calls > 8 * gridDim.x && calls < 28 * gridDim.x) {
        if (threadIdx.x == 0) atomicAdd(&calls, 1u);
        return;
    }
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
    if (threadIdx.x == 0) atomicAdd(&calls, 1u);
}
