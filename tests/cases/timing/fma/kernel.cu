/* Gelu with ROUNDS multiply-adds for every element, and EXTRA per cent more of them, whose result never matters but can't
   be left out: a kernel that is bound by arithmetic. */

#define ALL (ROUNDS + ROUNDS * EXTRA / 100)

static __device__ __forceinline__ float gelu(float v)
{
  float u = 0.7978845608f * (v + 0.044715f * v * v * v);
  return v / (1.0f + __expf(-2.0f * u));
}

extern "C" __global__ void __launch_bounds__(256) busy_gelu(const float *__restrict__ x, const float *__restrict__ bias,
                                                            float *__restrict__ y, long long n, int cols)
{
  long long at = 4ll * (blockIdx.x * 256ll + threadIdx.x);
  float v[4], z[4];
  for (int k = 0; k < 4; k++)
    z[k] = v[k] = at + k < n ? x[at + k] + bias[(at + k) % cols] : 0.0f;
#pragma unroll 4
  for (int i = 0; i < ALL; i++)
    for (int k = 0; k < 4; k++)
      z[k] = __fmaf_rn(z[k], 0.5f, v[k]);
  for (int k = 0; k < 4; k++)
    if (at + k < n)
      y[at + k] = z[k] > 1.0e30f ? z[k] : gelu(v[k]);
}
