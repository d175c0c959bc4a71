/* SPDX-License-Identifier: MIT */
/* RMSNorm over channels 1: what one writes first. One thread a pixel; neighbouring threads have neighbouring pixels, so
   that every walk over the channels is coalesced. The first sums squares, the second scales.
   Loses: by the second walk x has left the caches, so it is read twice, and loads are 4 bytes. */

extern "C" __global__ void __launch_bounds__(BLOCK) channel_rmsnorm(const float *x, float eps, float *y, long long pixels,
                                                                    int channels, long long hw)
{
  const long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (i >= pixels)
    return;
  const long long at = i / hw * channels * hw + i % hw;
  float sum = 0.0f;
  for (int c = 0; c < channels; c++)
    sum += x[at + c * hw] * x[at + c * hw];
  const float scale = rsqrtf(sum / channels + eps);
  for (int c = 0; c < channels; c++)
    y[at + c * hw] = x[at + c * hw] * scale;
}
