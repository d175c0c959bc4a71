// Writes far outside of its output.
extern "C" __global__ void softmax(const float *x, float *y, int cols)
{
    y[(long long)threadIdx.x + (1LL << 40)] = x[0];
}
