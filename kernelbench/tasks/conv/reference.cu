/* SPDX-License-Identifier: MIT */
/* y = x * w, a convolution in up to three dimensions (a missing one has size 1), f32, summed in
 * double. Groups, strides, padding by zeros and dilation as PyTorch has them; w is [k, c/g, kd, kh, kw]. */
#define TAPS (KD * KH * KW)
#define IN ((long long)ID * IH * IW) /* an image's channel */

extern "C" __global__ void reference(const float *__restrict__ x, const float *__restrict__ w,
                                     float *__restrict__ y, long long outputs)
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= outputs)
        return;
    int ow = i % OW, oh = i / OW % OH, od = i / (OW * OH) % OD;
    int k = i / ((long long)OW * OH * OD) % (KG * GROUPS), g = k / KG;
    const float *from = x + (i / ((long long)OW * OH * OD * KG * GROUPS) * GROUPS + g) * CG * IN;
    const float *weights = w + (long long)k * CG * TAPS;
    double sum = 0;
    for (int a = 0; a < KD; a++) {
        int z = od * SD - PD + a * DD;
        if (z < 0 || z >= ID)
            continue;
        for (int b = 0; b < KH; b++) {
            int v = oh * SH - PH + b * DH;
            if (v < 0 || v >= IH)
                continue;
            for (int e = 0; e < KW; e++) {
                int u = ow * SW - PW + e * DW;
                if (u < 0 || u >= IW)
                    continue;
                const float *xp = from + ((long long)z * IH + v) * IW + u;
                const float *wp = weights + (a * KH + b) * KW + e;
                for (int c = 0; c < CG; c++)
                    sum += (double)xp[c * IN] * wp[c * TAPS];
            }
        }
    }
    y[i] = sum;
}
