// SPDX-License-Identifier: MIT
// 0 and 1 are right (1 walks from the end); 2 forgets the second half of a row, 3 finds the smallest.
extern "C" __global__ void argmax(const float *x, long long *y, int rows, int cols)
{
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) {
        return;
    }
    int best = VARIANT == 1 ? cols - 1 : 0, n = VARIANT == 2 ? cols / 2 : cols;
    for (int i = 0; i < n; i++) {
        int at = VARIANT == 1 ? cols - 1 - i : i;
        float v = x[row * cols + at], b = x[row * cols + best];
        bool better = VARIANT == 3 ? v < b : v > b || (v == b && at < best);
        best = better ? at : best;
    }
    y[row] = best;
}
