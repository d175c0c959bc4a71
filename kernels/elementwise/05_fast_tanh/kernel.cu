/* SPDX-License-Identifier: MIT */
/* Bias + GELU 5: tanh through one exp2 and one reciprocal.
   tanhf nearly fills the issue slots, and would on a device with more bandwidth a multiprocessor. v/2 * (1 + tanh(u)) =
   v * sigmoid(2u) = v / (1 + exp(-2u)), which is an ex2.approx and a rcp.approx, both exact to about 1e-7, and free of
   the cancellation that 1 + tanh has on the left. (tanh.approx would be one instruction, but is wrong in the eleventh
   bit: far outside f32 tolerance.) */

#if VEC == 4
typedef float4 pack;
#else
typedef float pack;
#endif

/* HINT: 1 marks loads as streaming (each line is used once), 2 stores, 3 both, 0 neither. */
static __device__ __forceinline__ pack get(const pack *p)
{
#if HINT & 1
  return __ldcs(p);
#else
  return __ldg(p);
#endif
}

static __device__ __forceinline__ void put(pack *p, pack v)
{
#if HINT & 2
  __stcs(p, v);
#else
  *p = v;
#endif
}

static __device__ __forceinline__ float gelu_of(float v)
{
  /* -2 * sqrt(2/pi) * log2(e) * (v + 0.044715 v^3), as v * (a + b v^2) */
  float u = v * fmaf(v * v, -0.10294324f, -2.3022082f), e, r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(u));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(1.0f + e));
  return v * r;
}
static __device__ __forceinline__ pack apply(pack x, pack b)
{
#if VEC == 4
  return make_float4(gelu_of(x.x + b.x), gelu_of(x.y + b.y), gelu_of(x.z + b.z), gelu_of(x.w + b.w));
#else
  return gelu_of(x + b);
#endif
}

extern "C" __global__ void __launch_bounds__(BLOCK)
gelu(const pack *__restrict__ x, const pack *__restrict__ bias, pack *__restrict__ y, int rows, int packs)
{
  int c = blockIdx.x * BLOCK + threadIdx.x;
  if (c >= packs)
    return;
  pack b = bias[c];
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    long long at = (long long)row * packs + c;
    put(&y[at], apply(get(&x[at]), b));
  }
}
