/* SPDX-License-Identifier: MIT */
/* KL divergence 1: a thread adds every gridDim * BLOCK-th element, a block joins its threads, a second launch adds the
   blocks' parts in order. */

/* The block's sum, whole in thread 0. A barrier must stand between two calls. */
static __device__ __forceinline__ double block_sum(double v)
{
  __shared__ double cell[BLOCK / 32];
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int w = 1; w < BLOCK / 32; w++)
      v += cell[w];
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
kl_parts(const float *__restrict__ q, const float *__restrict__ t, double *part, long long n)
{
  double sum = 0;
  for (long long i = (long long)blockIdx.x * BLOCK + threadIdx.x; i < n; i += (long long)gridDim.x * BLOCK)
    sum += t[i] == 0.0f ? 0.0 : (double)(t[i] * (logf(t[i]) - logf(q[i])));
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    part[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
kl_mean(const double *__restrict__ part, float *__restrict__ y, int parts, long long rows)
{
  double sum = 0;
  for (int i = threadIdx.x; i < parts; i += BLOCK)
    sum += part[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    y[0] = (float)(sum / (double)rows);
}
