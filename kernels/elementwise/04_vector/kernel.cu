/* SPDX-License-Identifier: MIT */
/* Bias + GELU 4: one 16-byte access a thread, and nothing else.
   Several rows a thread spread each block over distant pages. With enough threads resident, one load each is plenty in
   flight, and the blocks in flight cover one contiguous stretch of memory. The grid's y is the row, so the column comes
   without a division.
   Loses: tanhf takes some thirty instructions an element, close to what the issue slots have. */

#if VEC == 4
typedef float4 pack;
#else
typedef float pack;
#endif

static __device__ __forceinline__ float gelu_of(float v)
{
  return 0.5f * v * (1.0f + tanhf(0.7978845608f * (v + 0.044715f * v * v * v)));
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
    y[at] = apply(x[at], b);
  }
}
