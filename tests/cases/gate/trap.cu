// expect: launch_error
// Stops the GPU.
extern "C" __global__ void centre(const float *x, float *y, int cols)
{
    asm("trap;");
    (void)x;
    (void)y;
    (void)cols;
}
