/* SPDX-License-Identifier: MIT */
/* Softmax 1: what one writes first. One thread a row finds the row's maximum and its sum of exponentials; a second
   kernel then runs one thread an output, coalesced.
   Loses: a row is walked by a single thread, so neighbouring lanes read addresses a whole row apart, only `rows`
   threads are alive in the first kernel, and x is read three times. */

extern "C" __global__ void row_stats(const float *x, float *peak, float *norm, long long rows, int cols)
{
  long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows)
    return;
  const float *in = x + row * cols;
  float top = in[0];
  for (int c = 1; c < cols; c++)
    top = fmaxf(top, in[c]);
  float sum = 0.0f;
  for (int c = 0; c < cols; c++)
    sum += expf(in[c] - top);
  peak[row] = top;
  norm[row] = 1.0f / sum;
}

extern "C" __global__ void normalise(const float *x, const float *peak, const float *norm, float *y, long long count,
                                     int cols)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  long long row = i / cols;
  y[i] = expf(x[i] - peak[row]) * norm[row];
}
