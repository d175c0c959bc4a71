/* SPDX-License-Identifier: MIT */
/* LayerNorm 1: what one writes first. One thread a row finds mean and variance; a second kernel runs one thread an
   output, coalesced.
   Loses: neighbouring lanes of the first kernel read a whole row apart, and x is read three times. */

extern "C" __global__ void row_stats(const float *x, float eps, float *mean, float *scale, int rows, int cols)
{
  int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows)
    return;
  const float *in = x + (long long)row * cols;
  float sum = 0.0f;
  for (int c = 0; c < cols; c++)
    sum += in[c];
  float middle = sum / cols;
  /* The centred sum would be 0 but for rounding of the long chain above: it corrects the mean. */
  float squares = 0.0f, rest = 0.0f;
  for (int c = 0; c < cols; c++) {
    float d = in[c] - middle;
    squares += d * d;
    rest += d;
  }
  float shift = rest / cols;
  mean[row] = middle + shift;
  scale[row] = rsqrtf(squares / cols - shift * shift + eps);
}

extern "C" __global__ void apply(const float *x, const float *weight, const float *bias, const float *mean,
                                 const float *scale, float *y, long long count, int cols)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  long long row = i / cols;
  int c = (int)(i - row * cols);
  y[i] = (x[i] - mean[row]) * scale[row] * weight[c] + bias[c];
}
