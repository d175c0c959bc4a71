/* SPDX-License-Identifier: MIT */
/* Bias + GELU 3: a plain grid, several rows in flight a thread.
   Persistent blocks moved in step. Here a thread keeps its column's bias in registers, loads ROWS rows of that column
   before it computes any, and stores them after: ROWS independent 16-byte loads in flight, one bias read for all of
   them. Neighbouring blocks take neighbouring columns, so that what is in flight together lies together in memory.
   Loses: rows are far apart, so each block touches ROWS DRAM pages. */

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
  const pack b = bias[c];
  for (long long first = (long long)blockIdx.y * ROWS; first < rows; first += (long long)gridDim.y * ROWS) {
    pack v[ROWS];
#pragma unroll
    for (int k = 0; k < ROWS; k++)
      if (first + k < rows)
        v[k] = get(&x[(first + k) * packs + c]);
#pragma unroll
    for (int k = 0; k < ROWS; k++)
      if (first + k < rows)
        put(&y[(first + k) * packs + c], apply(v[k], b));
  }
}
