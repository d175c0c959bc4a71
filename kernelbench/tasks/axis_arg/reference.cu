/* SPDX-License-Identifier: MIT */
/* y[o, i] = the first r at which x[o, r, i] is the maximum (OP 0) or minimum (OP 1) over r, one thread an output. A NaN
   comes before any number. Simple and slow on purpose. */

extern "C" __global__ void axis_arg_reference(const float *x, long long *y, long long count, long long rows, long long inner)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const float *in = x + i / inner * rows * inner + i % inner;
  float v = in[0];
  long long at = 0;
  for (long long r = 1; r < rows && v == v; r++) {
    float t = in[r * inner];
    if (t != t || (OP == 0 ? t > v : t < v)) {
      v = t;
      at = r;
    }
  }
  y[i] = at;
}
