/* SPDX-License-Identifier: MIT */
/* Running sums along the rows of x, of those elements whose mask is set, in double. A warp walks a row. */

extern "C" __global__ void masked_scan_reference(const float *x, const unsigned char *mask, float *y, long long rows,
                                                 long long cols)
{
  long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  if (row >= rows)
    return;
  double carry = 0;
  for (long long first = 0; first < cols; first += 32) {
    long long p = first + lane, at = row * cols + p;
    double v = p < cols && mask[at] ? (double)x[at] : 0;
    for (int step = 1; step < 32; step *= 2) {
      double left = __shfl_up_sync(0xffffffffu, v, step);
      v = lane >= step ? left + v : v;
    }
    v += carry;
    if (p < cols)
      y[at] = (float)v;
    carry = __shfl_sync(0xffffffffu, v, 31);
  }
}
