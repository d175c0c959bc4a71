/* SPDX-License-Identifier: MIT */
/* Row norm 1: what one writes first. One block a row sums |x| (OP 1) or x*x (OP 2), coalesced, 4 bytes a load, and then
   walks the row again to divide.
   Loses: a long row has left the caches when it is read again, a single load is in flight, and one row (a norm of a whole
   tensor) is one block. */

static __device__ __forceinline__ double tree(double *cell, double v)
{
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      cell[threadIdx.x] += cell[threadIdx.x + step];
    __syncthreads();
  }
  return cell[0];
}

extern "C" __global__ void __launch_bounds__(BLOCK) row_norm(const float *x, float *y, long long cols)
{
  __shared__ double cell[BLOCK];
  const float *in = x + blockIdx.x * cols;
  float *out = y + blockIdx.x * cols;
  double sum = 0.0;
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    sum += OP == 1 ? fabsf(in[c]) : in[c] * in[c];
  sum = tree(cell, sum);
  float norm = (float)(OP == 1 ? sum / (double)cols : sqrt(sum));
  for (long long c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = in[c] / norm;
}
