/* SPDX-License-Identifier: MIT */
/* Pooling over up to three dimensions, in double, one thread an output: y = maximum (OP 0) or mean (OP 1) of the taps
   x[p, od*SD - PD + i*DD, oh*SH - PH + j*DH, ow*SW - PW + k*DW]. Padding counts as -infinity in a maximum and as zero in
   a mean, which always divides by KD*KH*KW; a NaN in the window makes a maximum NaN. Simple and slow on purpose. */

extern "C" __global__ void pooling_reference(const float *x, float *y, long long count)
{
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count)
    return;
  const int ow = i % OW, oh = i / OW % OH, od = i / OW / OH % OD;
  const float *in = x + i / OW / OH / OD * D * H * W;
  double best = __longlong_as_double(0xfff0000000000000), sum = 0; /* -infinity */
  for (int a = 0; a < KD; a++)
    for (int b = 0; b < KH; b++)
      for (int c = 0; c < KW; c++) {
        int z = od * SD - PD + a * DD, r = oh * SH - PH + b * DH, q = ow * SW - PW + c * DW;
        if (z < 0 || z >= D || r < 0 || r >= H || q < 0 || q >= W)
          continue;
        double v = in[((long long)z * H + r) * W + q];
        if (v > best || v != v)
          best = v;
        sum += v;
      }
  y[i] = (float)(OP == 0 ? best : sum / (KD * KH * KW));
}
