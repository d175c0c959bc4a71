/* SPDX-License-Identifier: MIT */
/* Running sums and products along the rows of x, in double, by operation code: 1 sum, 2 product, 3 sum from the right,
   4 sum of what stands to the left (the first is 0). A warp walks a row, 32 elements at a step. */

static __device__ double join(double a, double b) { return OP == 2 ? a * b : a + b; }

extern "C" __global__ void scan_reference(const float *x, float *y, long long rows, long long cols)
{
  long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  int lane = threadIdx.x % 32;
  if (row >= rows)
    return;
  double carry = OP == 2 ? 1 : 0;
  for (long long first = 0; first < cols; first += 32) {
    long long p = first + lane, at = row * cols + (OP == 3 ? cols - 1 - p : p);
    double v = p < cols ? (double)x[at] : OP == 2 ? 1 : 0;
    for (int step = 1; step < 32; step *= 2) {
      double left = __shfl_up_sync(0xffffffffu, v, step);
      v = lane >= step ? join(left, v) : v;
    }
    double before = __shfl_up_sync(0xffffffffu, v, 1);
    before = lane ? join(carry, before) : carry;
    v = join(carry, v);
    if (p < cols)
      y[at] = (float)(OP == 4 ? before : v);
    carry = __shfl_sync(0xffffffffu, v, 31);
  }
}
