/* SPDX-License-Identifier: MIT */
/* Place of the maximum or minimum over an axis 2: the axis split over blocks and warps, UNROLL rows in flight a thread, a
   second kernel to join. A block takes BX columns and one of SPLIT parts of the axis; each of its BY groups of warps
   takes a stretch of that part, so that every thread meets its rows in order and the first of equals stays by itself;
   joining in order keeps that true. Each thread issues UNROLL loads before it uses the first.
   Loses: a second launch, and value and place kept apart are two selects a row. */

#define WORST __int_as_float(OP == 0 ? 0xff800000 : 0x7f800000)

struct place {
  float best;
  int at;
};

/* Does v come before `best`, which was seen earlier? A NaN comes before any number, the first of equals stays. */
static __device__ __forceinline__ bool beats(float v, float best)
{
  return best == best && !(OP == 0 ? v <= best : v >= best);
}

static __device__ __forceinline__ place join(place a, place b)
{
  return beats(b.best, a.best) ? b : a;
}

static __device__ __forceinline__ float get(const float *p)
{
#if STREAM
  return __ldcs(p);
#else
  return __ldg(p);
#endif
}

/* Rows from .. to-1 of a column; the first of them where all are the worst there is. */
static __device__ __forceinline__ place walk(const float *column, int from, int to, long long inner)
{
  place p = {WORST, from};
  const float *in = column + from * inner;
  int r = from;
  for (; r + UNROLL <= to; r += UNROLL, in += UNROLL * inner) {
    float t[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      t[u] = get(in + u * inner);
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      if (beats(t[u], p.best))
        p.best = t[u], p.at = r + u;
  }
  for (; r < to; r++, in += inner) {
    const float t = get(in);
    if (beats(t, p.best))
      p.best = t, p.at = r;
  }
  return p;
}

extern "C" __global__ void __launch_bounds__(BX *BY) parts(const float *__restrict__ x, float *__restrict__ part_best,
                                                           int *__restrict__ part_at, int rows, int inner)
{
  __shared__ place cell[BY][BX];
  const int strips = (inner + BX - 1) / BX;
  const int c = blockIdx.x % strips * BX + threadIdx.x, split = blockIdx.x / strips % SPLIT;
  const long long outer = blockIdx.x / (strips * SPLIT);
  const int share = (rows + SPLIT * BY - 1) / (SPLIT * BY);
  const int from = min((split * BY + (int)threadIdx.y) * share, rows), to = min(from + share, rows);

  place p = {WORST, rows};
  if (c < inner && from < to)
    p = walk(x + outer * rows * inner + c, from, to, inner);
  cell[threadIdx.y][threadIdx.x] = p;
  __syncthreads();
  if (threadIdx.y || c >= inner)
    return;
#pragma unroll
  for (int g = 1; g < BY; g++)
    p = join(p, cell[g][threadIdx.x]);
  part_best[(outer * SPLIT + split) * inner + c] = p.best;
  part_at[(outer * SPLIT + split) * inner + c] = p.at;
}

extern "C" __global__ void __launch_bounds__(128) join_parts(const float *__restrict__ part_best,
                                                             const int *__restrict__ part_at, long long *__restrict__ y,
                                                             long long count, int inner)
{
  const long long i = (long long)blockIdx.x * 128 + threadIdx.x;
  if (i >= count)
    return;
  const long long first = i / inner * SPLIT * inner + i % inner;
  place p = {__ldg(part_best + first), __ldg(part_at + first)};
#pragma unroll
  for (int s = 1; s < SPLIT; s++) {
    const long long at = first + (long long)s * inner;
    p = join(p, {__ldg(part_best + at), __ldg(part_at + at)});
  }
  y[i] = p.at;
}
