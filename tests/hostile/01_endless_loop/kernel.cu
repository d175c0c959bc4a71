// Never ends: the parent has to stop it.
extern "C" __global__ void softmax(const float *x, float *y, int cols)
{
    volatile float *spin = y;
    while (spin[0] != 12345.0f) {
    }
}
