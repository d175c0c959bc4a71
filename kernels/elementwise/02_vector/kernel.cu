/* SPDX-License-Identifier: MIT */
/* Bias + GELU 2: 16-byte accesses on a two-dimensional grid.
   One thread an element divided 64-bit indices and moved 4 bytes a request. Here the grid's y is the row, so the column
   comes without a division, and a thread moves four neighbours with one load and one store.
   Loses: tanhf is still long enough to fill the issue slots. */

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
