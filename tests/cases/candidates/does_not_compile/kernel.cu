extern "C" __global__ void softmax(const float *x, float *y, int cols)
{
    y[threadIdx.x] = undeclared + x[cols - 1];
}
