/* SPDX-License-Identifier: MIT */
/* Kullback-Leibler divergence of q from t: the sum of t (log t - log q) over all elements by the number of rows, in double.
   An element of t that is 0 adds nothing. One block a share of the elements, then one block over the shares. */

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
  return cell[0];
}

extern "C" __global__ void kl_reference(const float *q, const float *t, double *part, long long n)
{
  double sum = 0;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < n; i += gridDim.x * 256ll)
    sum += t[i] == 0 ? 0 : (double)t[i] * (log((double)t[i]) - log((double)q[i]));
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    part[blockIdx.x] = sum;
}

extern "C" __global__ void kl_finish(const double *part, float *y, int parts, long long rows)
{
  double sum = 0;
  for (int i = threadIdx.x; i < parts; i += 256)
    sum += part[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    y[0] = (float)(sum / (double)rows);
}
