// SPDX-License-Identifier: MIT
// 0 and 1 are right (1 pads with zeros, and inputs aren't below them); 2 has a window of two, 3 no padding.
extern "C" __global__ void pool(const float *x, float *y, int planes, int wide, int high)
{
    int w = (wide + 1) / 2, h = (high + 1) / 2, i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= planes * w * h) {
        return;
    }
    int plane = i / (w * h), row = i / h % w, col = i % h, first = VARIANT == 3 ? 0 : -1;
    float best = VARIANT == 1 ? 0.0f : -3e38f;
    for (int r = first; r < first + (VARIANT == 2 ? 2 : 3); r++) {
        for (int c = first; c < first + (VARIANT == 2 ? 2 : 3); c++) {
            int at = 2 * row + r, on = 2 * col + c;
            if (at >= 0 && at < wide && on >= 0 && on < high) {
                best = fmaxf(best, x[(plane * wide + at) * high + on]);
            }
        }
    }
    y[i] = best;
}
