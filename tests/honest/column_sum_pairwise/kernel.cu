/* SPDX-License-Identifier: MIT */
/* Column sums added pairwise: a stack of partial sums, one for each power of two. */

extern "C" __global__ void column_sum(const float *x, float *y, int rows, int cols)
{
  int c = blockIdx.x * 64 + threadIdx.x;
  if (c >= cols)
    return;
  float stack[24];
  for (int level = 0; level < 24; level++)
    stack[level] = 0.0f;
  for (unsigned r = 0; r < rows; r++) {
    float v = x[(long long)r * cols + c];
    unsigned full = r + 1;
    int level = 0;
#pragma unroll
    for (int i = 0; i < 24; i++)
      if (level == i && !(full & 1)) {
        v += stack[i];
        stack[i] = 0.0f;
        full >>= 1;
        level++;
      }
#pragma unroll
    for (int i = 0; i < 24; i++)
      if (level == i)
        stack[i] = v;
  }
  float sum = 0.0f;
  for (int level = 0; level < 24; level++)
    sum += stack[level];
  y[c] = sum;
}
