/* SPDX-License-Identifier: MIT */
/* Layer normalisation by Welford's update, merged over the block by Chan's formula. */

#define BLOCK 128

static __device__ void merge(float &n, float &mean, float &m2, float bn, float bmean, float bm2)
{
  float all = n + bn, delta = bmean - mean;
  if (bn == 0.0f)
    return;
  mean += delta * (bn / all);
  m2 += bm2 + delta * delta * (n * bn / all);
  n = all;
}

extern "C" __global__ void __launch_bounds__(BLOCK)
layernorm(const float *x, const float *weight, const float *bias, float eps, float *y, int cols)
{
  __shared__ float ns[BLOCK], means[BLOCK], m2s[BLOCK];
  const long long row = (long long)blockIdx.x * cols;
  float n = 0.0f, mean = 0.0f, m2 = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK) {
    float v = x[row + c], delta = v - mean;
    n += 1.0f;
    mean += delta / n;
    m2 += delta * (v - mean);
  }
  ns[threadIdx.x] = n, means[threadIdx.x] = mean, m2s[threadIdx.x] = m2;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      int other = threadIdx.x + step;
      merge(n, mean, m2, ns[other], means[other], m2s[other]);
      ns[threadIdx.x] = n, means[threadIdx.x] = mean, m2s[threadIdx.x] = m2;
    }
    __syncthreads();
  }
  mean = means[0];
  float scale = rsqrtf(m2s[0] / cols + eps);
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    y[row + c] = (x[row + c] - mean) * scale * weight[c] + bias[c];
}
