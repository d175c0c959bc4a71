// expect: accepted
// detail: two runs on the same inputs differ
// Right within the tolerance, but not the same from run to run.
__device__ unsigned calls;
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
    float odd = calls / gridDim.x % 2 ? 1.000001f : 1.0f;
    for (int c = threadIdx.x; c < cols; c += 128) out[c] = (in[c] - mean) * odd;
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(&calls, 1u);
}
