// expect: incorrect
// detail: (never written)
// Does nothing: the poison stays.
extern "C" __global__ void centre(const float *x, float *y, int cols)
{
    (void)x;
    (void)y;
    (void)cols;
}
