/* SPDX-License-Identifier: MIT */
/* Row scaling 2: 16-byte accesses, ROWS rows in flight a thread.
   One float a thread has 4 bytes in flight, and pays the address arithmetic for each. Here a thread takes one pack of
   columns in ROWS neighbouring rows, whose loads are all issued before the first product. b is read once and past its
   use: loads that give way (LOAD 1 to 3) leave L2 to the stores, whose last tens of megabytes then needn't reach memory
   before the kernel ends. */

#if VEC == 4
typedef float4 pack;
static __device__ __forceinline__ pack times(float s, pack v) { return make_float4(s * v.x, s * v.y, s * v.z, s * v.w); }
#else
typedef float pack;
static __device__ __forceinline__ pack times(float s, pack v) { return s * v; }
#endif

/* LOAD: 0 plain, 1 streaming, 2 past L1, 3 that and first to leave L2. STORE: 0 plain, 1 streaming, 2 last to leave L2. */
static __device__ __forceinline__ pack get(const pack *p)
{
#if LOAD == 0
  return __ldg(p);
#elif LOAD == 1 || VEC == 1
  return __ldcs(p);
#elif LOAD == 2
  pack v;
  asm("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p));
  return v;
#else
  pack v;
  unsigned long long policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  asm("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.f32 {%0, %1, %2, %3}, [%4], %5;"
      : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p), "l"(policy));
  return v;
#endif
}
static __device__ __forceinline__ void put(pack *p, pack v)
{
#if STORE == 0
  *p = v;
#elif STORE == 1 || VEC == 1
  __stcs(p, v);
#else
  unsigned long long policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  asm volatile("st.global.L2::cache_hint.v4.f32 [%0], {%1, %2, %3, %4}, %5;"
               :: "l"(p), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w), "l"(policy) : "memory");
#endif
}

extern "C" __global__ void __launch_bounds__(BLOCK)
diagonal(const float *__restrict__ d, const pack *__restrict__ b, pack *__restrict__ y, long long rows, long long packs)
{
  const long long c = (long long)blockIdx.x * BLOCK + threadIdx.x;
  if (c >= packs)
    return;
  for (long long r = (long long)blockIdx.y * ROWS; r < rows; r += (long long)gridDim.y * ROWS) {
    pack v[ROWS];
    float s[ROWS];
#pragma unroll
    for (int k = 0; k < ROWS; k++)
      if (r + k < rows) {
        v[k] = get(&b[(r + k) * packs + c]);
        s[k] = __ldg(&d[r + k]);
      }
#pragma unroll
    for (int k = 0; k < ROWS; k++)
      if (r + k < rows)
        put(&y[(r + k) * packs + c], times(s[k], v[k]));
  }
}
