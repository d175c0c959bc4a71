/* SPDX-License-Identifier: MIT */
/* y[o, i] = sum (OP 0), mean (1), maximum (2) or minimum (3) over r of x[o, r, i], in double, one thread an output. A NaN
   makes a maximum or minimum NaN. Simple and slow on purpose. */

extern "C" __global__ void axis_reduce_reference(const float *x, float *y, long long count, long long rows, long long inner)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const float *in = x + i / inner * rows * inner + i % inner;
  double v = in[0];
  for (long long r = 1; r < rows; r++) {
    double t = in[r * inner];
    if (OP < 2)
      v += t;
    else if (t != t || (OP == 2 ? t > v : t < v))
      v = t;
  }
  y[i] = (float)(OP == 1 ? v / rows : v);
}
