/* SPDX-License-Identifier: MIT */
/* RMSNorm over channels 2: all channels of a pixel stay in registers, so that x is read once.
   One thread a pixel walked its channels twice. Here a thread has VEC pixels and every SPLIT-th channel of them, KEEP at
   most in registers: all of its loads are on their way before the first is used. The SPLIT sums of a pixel meet in shared
   memory. Channels beyond SPLIT * KEEP are read again, the last first.
   Loses: a block loads, waits, then stores; only other blocks of the multiprocessor fill the gaps. */

constexpr int MINE = (CHANNELS + SPLIT - 1) / SPLIT; /* channels of a thread */
constexpr int HELD = MINE < KEEP ? MINE : KEEP;

#if VEC == 4
typedef float4 pack;
static __device__ __forceinline__ pack none() { return make_float4(0, 0, 0, 0); }
static __device__ __forceinline__ pack squares(pack s, pack v)
{
  return make_float4(fmaf(v.x, v.x, s.x), fmaf(v.y, v.y, s.y), fmaf(v.z, v.z, s.z), fmaf(v.w, v.w, s.w));
}
static __device__ __forceinline__ pack add(pack a, pack b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
static __device__ __forceinline__ pack times(pack a, pack b) { return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w); }
static __device__ __forceinline__ float scale_of(float s, float eps) { return rsqrtf(s / CHANNELS + eps); }
static __device__ __forceinline__ pack scales(pack s, float eps)
{
  return make_float4(scale_of(s.x, eps), scale_of(s.y, eps), scale_of(s.z, eps), scale_of(s.w, eps));
}
#elif VEC == 2
typedef float2 pack;
static __device__ __forceinline__ pack none() { return make_float2(0, 0); }
static __device__ __forceinline__ pack squares(pack s, pack v) { return make_float2(fmaf(v.x, v.x, s.x), fmaf(v.y, v.y, s.y)); }
static __device__ __forceinline__ pack add(pack a, pack b) { return make_float2(a.x + b.x, a.y + b.y); }
static __device__ __forceinline__ pack times(pack a, pack b) { return make_float2(a.x * b.x, a.y * b.y); }
static __device__ __forceinline__ pack scales(pack s, float eps)
{
  return make_float2(rsqrtf(s.x / CHANNELS + eps), rsqrtf(s.y / CHANNELS + eps));
}
#else
typedef float pack;
static __device__ __forceinline__ pack none() { return 0.0f; }
static __device__ __forceinline__ pack squares(pack s, pack v) { return fmaf(v, v, s); }
static __device__ __forceinline__ pack add(pack a, pack b) { return a + b; }
static __device__ __forceinline__ pack times(pack a, pack b) { return a * b; }
static __device__ __forceinline__ pack scales(pack s, float eps) { return rsqrtf(s / CHANNELS + eps); }
#endif

/* LOAD: 0 plain, 1 marked as used once. */
static __device__ __forceinline__ pack read(const pack *p) { return LOAD ? __ldcs(p) : *p; }

/* STORE: the same. */
static __device__ __forceinline__ void write(pack *p, pack v)
{
  if (STORE)
    __stcs(p, v);
  else
    *p = v;
}

extern "C" __global__ void __launch_bounds__(LANES *SPLIT)
channel_rmsnorm(const pack *__restrict__ x, float eps, pack *__restrict__ y, long long packs, unsigned tiles)
{
  __shared__ pack cell[SPLIT][LANES];
  const int lane = threadIdx.x, first = threadIdx.y;
  const long long sample = blockIdx.x / tiles, p = (long long)(blockIdx.x % tiles) * LANES + lane;
  const bool alive = p < packs;
  const long long at = (sample * CHANNELS + first) * packs + p, step = SPLIT * packs;

  pack v[HELD], sum = none();
#pragma unroll
  for (int k = 0; k < HELD; k++)
    v[k] = alive && k * SPLIT + first < CHANNELS ? read(x + at + k * step) : none();
#pragma unroll
  for (int k = 0; k < HELD; k++)
    sum = squares(sum, v[k]);
#pragma unroll 4
  for (int k = HELD; k < MINE; k++)
    if (alive && k * SPLIT + first < CHANNELS)
      sum = squares(sum, x[at + k * step]);

  cell[first][lane] = sum;
  __syncthreads();
  sum = cell[0][lane];
#pragma unroll
  for (int s = 1; s < SPLIT; s++)
    sum = add(sum, cell[s][lane]);
  const pack scale = scales(sum, eps);

#pragma unroll 4
  for (int k = MINE - 1; k >= HELD; k--)
    if (alive && k * SPLIT + first < CHANNELS)
      write(y + at + k * step, times(x[at + k * step], scale));
#pragma unroll
  for (int k = 0; k < HELD; k++)
    if (alive && k * SPLIT + first < CHANNELS)
      write(y + at + k * step, times(v[k], scale));
}
