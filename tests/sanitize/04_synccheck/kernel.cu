/* Right on this hardware, and undefined: half of a warp waits at one barrier, the other half at another. */

static __device__ __forceinline__ float tree(float *cell, float v, bool want_max)
{
  cell[threadIdx.x] = v;
  __syncthreads();
  for (int step = BLOCK / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      float other = cell[threadIdx.x + step];
      cell[threadIdx.x] = want_max ? fmaxf(cell[threadIdx.x], other) : cell[threadIdx.x] + other;
    }
    __syncthreads();
  }
  float result = cell[0];
  __syncthreads();
  return result;
}

extern "C" __global__ void __launch_bounds__(BLOCK) softmax(const float *x, float *y, int cols)
{
  __shared__ float cell[BLOCK];
  const float *in = x + (long long)blockIdx.x * cols;
  float *out = y + (long long)blockIdx.x * cols;

  float peak = -3.402823466e38f;
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    peak = fmaxf(peak, in[c]);
  peak = tree(cell, peak, true);

  float sum = 0.0f;
  for (int c = threadIdx.x; c < cols; c += BLOCK)
    sum += expf(in[c] - peak);
  float norm = 1.0f / tree(cell, sum, false);

  for (int c = threadIdx.x; c < cols; c += BLOCK)
    out[c] = expf(in[c] - peak) * norm;

  if (threadIdx.x % 32 < 16)
    asm volatile("bar.sync 1;" ::: "memory");
  else
    asm volatile("bar.sync 1;" ::: "memory");
}
