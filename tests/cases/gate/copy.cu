// expect: incorrect
// detail: elements are wrong
// Copies the input.
extern "C" __global__ void centre(const float *x, float *y, int cols)
{
    for (int c = threadIdx.x; c < cols; c += 128)
        y[(long long)blockIdx.x * cols + c] = x[(long long)blockIdx.x * cols + c];
}
