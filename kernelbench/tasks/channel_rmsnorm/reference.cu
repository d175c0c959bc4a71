/* SPDX-License-Identifier: MIT */
/* y[s, :, p] = x[s, :, p] / sqrt(mean(x[s, :, p]^2) + eps) over the channels of a pixel, in double, one thread a pixel. */

extern "C" __global__ void channel_rmsnorm_reference(const float *x, float eps, float *y, long long samples,
                                                     long long channels, long long hw)
{
  long long i = blockIdx.x * 256LL + threadIdx.x;
  if (i >= samples * hw)
    return;
  long long at = i / hw * channels * hw + i % hw;
  double sum = 0;
  for (long long c = 0; c < channels; c++)
    sum += (double)x[at + c * hw] * (double)x[at + c * hw];
  double norm = sqrt(sum / (double)channels + (double)eps);
  for (long long c = 0; c < channels; c++)
    y[at + c * hw] = (float)((double)x[at + c * hw] / norm);
}
