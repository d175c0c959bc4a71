/* SPDX-License-Identifier: MIT */
/* Triplet loss 1: one block a row, both distances in one pass, joined by shuffles; a second launch averages the rows. */

static __device__ __forceinline__ float block_sum(float v)
{
  __shared__ float cell[BLOCK / 32];
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  __syncthreads();
  if (threadIdx.x % 32 == 0)
    cell[threadIdx.x / 32] = v;
  __syncthreads();
  v = cell[0];
  for (int w = 1; w < BLOCK / 32; w++)
    v += cell[w];
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
triplet_rows(const float *__restrict__ a, const float *__restrict__ p, const float *__restrict__ n,
             float *__restrict__ loss, float margin, long long cols)
{
  const long long row = blockIdx.x * cols;
  float near = 0.0f, far = 0.0f;
  for (long long c = row + threadIdx.x; c < row + cols; c += BLOCK) {
    float to_p = a[c] - p[c] + 1e-6f, to_n = a[c] - n[c] + 1e-6f;
    near += to_p * to_p;
    far += to_n * to_n;
  }
  near = block_sum(near);
  far = block_sum(far);
  if (threadIdx.x == 0)
    loss[blockIdx.x] = fmaxf(sqrtf(near) - sqrtf(far) + margin, 0.0f);
}

extern "C" __global__ void __launch_bounds__(BLOCK)
triplet_mean(const float *__restrict__ loss, float *__restrict__ y, long long rows)
{
  float sum = 0.0f;
  for (long long r = threadIdx.x; r < rows; r += BLOCK)
    sum += loss[r];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    y[0] = sum / (float)rows;
}
