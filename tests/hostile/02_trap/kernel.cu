// Ends in a trap: a sticky error that poisons the context.
extern "C" __global__ void softmax(const float *x, float *y, int cols)
{
    if (threadIdx.x == 0) {
        asm volatile("trap;");
    }
}
