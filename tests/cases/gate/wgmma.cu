// expect: accepted
// needs: the simulator
// An instruction of sm_90a alone, which the simulator has, too.
extern "C" __global__ void centre(const float *x, float *y, int cols)
{
    __shared__ float part[4];
    const float *in = x + (long long)blockIdx.x * cols;
    float *out = y + (long long)blockIdx.x * cols;
    float sum = 0;
    for (int c = threadIdx.x; c < cols; c += 128) sum += in[c];
    for (int s = 16; s > 0; s /= 2) sum += __shfl_xor_sync(~0u, sum, s);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
    __syncthreads();
    float mean = (part[0] + part[1] + part[2] + part[3]) / cols;
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int c = threadIdx.x; c < cols; c += 128) out[c] = in[c] - mean;
}
