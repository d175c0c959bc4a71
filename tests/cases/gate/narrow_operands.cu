// expect: incorrect
// detail: the error looks like tf32 or f16
// Operands cut to the eleven bits of tf32: what a tensor core would see.
extern "C" __global__ void centre(const float *x, float *y, int cols)
{
    __shared__ float part[4];
    const float *in = x + (long long)blockIdx.x * cols;
    float *out = y + (long long)blockIdx.x * cols;
    float sum = 0;
    for (int c = threadIdx.x; c < cols; c += 128) sum += __uint_as_float((__float_as_uint(in[c]) + 0x1000) & 0xffffe000);
    for (int s = 16; s > 0; s /= 2) sum += __shfl_xor_sync(~0u, sum, s);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
    __syncthreads();
    float mean = (part[0] + part[1] + part[2] + part[3]) / cols;
    for (int c = threadIdx.x; c < cols; c += 128)
        out[c] = __uint_as_float((__float_as_uint(in[c]) + 0x1000) & 0xffffe000) - mean;
}
