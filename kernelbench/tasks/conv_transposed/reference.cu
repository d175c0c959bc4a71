/* SPDX-License-Identifier: MIT */
/* The transposed convolution of x with w in up to three dimensions (a missing one has size 1), f32,
 * summed in double, by gathering: each output asks which inputs reach it. Groups, strides, padding and
 * dilation as PyTorch has them, output_padding is in od, oh, ow; w is [c, k/g, kd, kh, kw]. */
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
    const float *weights = w + ((long long)(g * CG) * KG + k % KG) * TAPS;
    double sum = 0;
    for (int a = 0; a < KD; a++) {
        int z = od + PD - a * DD;
        if (z < 0 || z % SD || z / SD >= ID)
            continue;
        for (int b = 0; b < KH; b++) {
            int v = oh + PH - b * DH;
            if (v < 0 || v % SH || v / SH >= IH)
                continue;
            for (int e = 0; e < KW; e++) {
                int u = ow + PW - e * DW;
                if (u < 0 || u % SW || u / SW >= IW)
                    continue;
                const float *xp = from + ((long long)(z / SD) * IH + v / SH) * IW + u / SW;
                const float *wp = weights + (a * KH + b) * KW + e;
                for (int c = 0; c < CG; c++)
                    sum += (double)xp[c * IN] * wp[(long long)c * KG * TAPS];
            }
        }
    }
    y[i] = sum;
}
