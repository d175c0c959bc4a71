// SPDX-License-Identifier: MIT
// 0 and 1 are right; 2 ignores the scalar, 3 leaves the elements behind the last whole block unwritten.
extern "C" __global__ void difference(const float *a, const float *b, float alpha, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (VARIANT == 3 ? n / 256 * 256 : n)) {
        return;
    }
    y[i] = VARIANT == 0 ? alpha * a[i] - b[i] : VARIANT == 1 ? fmaf(alpha, a[i], -b[i]) : 2.0f * a[i] - b[i];
}
