/* SPDX-License-Identifier: MIT */
/* The mean over all elements of a loss of p and t, in double, by operation code: 1 squared error, 2 smooth L1 (threshold
   1), 3 hinge, max(0, 1 - p t). t has as many rows as p, or one, which then goes with every row. One block a share of
   the elements, then one block over the shares. */

static __device__ double element(double p, double t)
{
  double d = p - t;
  switch (OP) {
  case 1: return d * d;
  case 2: return fabs(d) < 1 ? 0.5 * d * d : fabs(d) - 0.5;
  default: return fmax(1 - p * t, 0.0);
  }
}

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

extern "C" __global__ void loss_reference(const float *p, const float *t, double *part, long long n, long long targets)
{
  double sum = 0;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < n; i += gridDim.x * 256ll)
    sum += element((double)p[i], (double)t[targets == n ? i : i % targets]);
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    part[blockIdx.x] = sum;
}

extern "C" __global__ void loss_finish(const double *part, float *y, int parts, long long n)
{
  double sum = 0;
  for (int i = threadIdx.x; i < parts; i += 256)
    sum += part[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    y[0] = (float)(sum / (double)n);
}
