/* SPDX-License-Identifier: MIT */
/* Triplet margin loss: the mean over rows of max(|a - p + eps| - |a - n + eps| + margin, 0) with Euclidean norms and
   eps = 1e-6, in double: one block a row, then one block over rows. */

static __device__ double block_sum(double v)
{
  __shared__ double cell[256];
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = 128; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  double result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void triplet_reference(const float *a, const float *p, const float *n, double *loss, float margin,
                                             long long cols)
{
  long long row = blockIdx.x * cols;
  double near = 0, far = 0;
  for (long long c = row + threadIdx.x; c < row + cols; c += 256) {
    double to_p = (double)a[c] - (double)p[c] + 1e-6, to_n = (double)a[c] - (double)n[c] + 1e-6;
    near += to_p * to_p;
    far += to_n * to_n;
  }
  near = block_sum(near);
  far = block_sum(far);
  if (threadIdx.x == 0)
    loss[blockIdx.x] = fmax(sqrt(near) - sqrt(far) + (double)margin, 0.0);
}

extern "C" __global__ void triplet_finish(const double *loss, float *y, long long rows)
{
  double sum = 0;
  for (long long r = threadIdx.x; r < rows; r += 256)
    sum += loss[r];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    y[0] = (float)(sum / (double)rows);
}
