/* SPDX-License-Identifier: MIT */
/* Reduction over an axis 2: the axis split over blocks and warps, UNROLL rows in flight a thread, a second kernel to join.
   One thread an output had one load in flight and left the last wave ragged. Here a block takes BX columns and one of
   SPLIT parts of the axis, its BY groups of warps take rows in turn, and each thread issues UNROLL loads before it uses
   the first. Blocks that follow each other read neighbouring columns of the same rows. Parts are joined in a fixed order.
   Loses: a second launch; 4-byte loads, which straddle sectors where rows aren't multiples of 32 bytes. */

#define NEUTRAL (OP < 2 ? 0.0f : __int_as_float(OP == 2 ? 0xff800000 : 0x7f800000))

/* NaN wins in a maximum or minimum, as in PyTorch. */
static __device__ __forceinline__ float join(float a, float v)
{
  float r = a + v;
#if OP == 2
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(v));
#elif OP == 3
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(v));
#endif
  return r;
}

static __device__ __forceinline__ float get(const float *p)
{
#if STREAM
  return __ldcs(p);
#else
  return __ldg(p);
#endif
}

/* Joins every BY-th row of `n`, the first at `in`. */
static __device__ __forceinline__ float walk(const float *in, int n, int inner)
{
  const long long step = (long long)BY * inner;
  float v = NEUTRAL;
  int r = threadIdx.y;
  for (; r + (UNROLL - 1) * BY < n; r += UNROLL * BY) {
    float t[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      t[u] = get(in + u * step);
    in += UNROLL * step;
#pragma unroll
    for (int width = UNROLL / 2; width > 0; width /= 2)
#pragma unroll
      for (int u = 0; u < width; u++)
        t[u] = join(t[u], t[u + width]);
    v = join(v, t[0]);
  }
  for (; r < n; r += BY, in += step)
    v = join(v, get(in));
  return v;
}

extern "C" __global__ void __launch_bounds__(BX *BY) parts(const float *__restrict__ x, float *__restrict__ part, int rows,
                                                           int inner)
{
  __shared__ float cell[BY][BX];
  const int strips = (inner + BX - 1) / BX;
  const int c = blockIdx.x % strips * BX + threadIdx.x, split = blockIdx.x / strips % SPLIT;
  const long long outer = blockIdx.x / (strips * SPLIT);
  const int share = (rows + SPLIT - 1) / SPLIT, from = min(split * share, rows), to = min(from + share, rows);

  float v = NEUTRAL;
  if (c < inner)
    v = walk(x + (outer * rows + from + threadIdx.y) * inner + c, to - from, inner);
  cell[threadIdx.y][threadIdx.x] = v;
  __syncthreads();
  if (threadIdx.y || c >= inner)
    return;
#pragma unroll
  for (int g = 1; g < BY; g++)
    v = join(v, cell[g][threadIdx.x]);
  part[(outer * SPLIT + split) * inner + c] = v;
}

extern "C" __global__ void __launch_bounds__(128) join_parts(const float *__restrict__ part, float *__restrict__ y,
                                                             long long count, int rows, int inner)
{
  const long long i = (long long)blockIdx.x * 128 + threadIdx.x;
  if (i >= count)
    return;
  const float *in = part + i / inner * SPLIT * inner + i % inner;
  float v = NEUTRAL;
#pragma unroll
  for (int s = 0; s < SPLIT; s++)
    v = join(v, __ldg(in + (long long)s * inner));
  y[i] = OP == 1 ? v / rows : v;
}
