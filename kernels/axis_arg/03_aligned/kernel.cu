/* SPDX-License-Identifier: MIT */
/* Place of the maximum or minimum over an axis 3: equal shares of one long walk, in aligned 16-byte loads whatever the
   rows' length is. Rows of an odd length begin anywhere within 16 bytes, so the split form read 4 bytes a load; and its
   blocks didn't end together. Here each block takes the same number of rows of all outer slices in one stretch of memory,
   quad by aligned quad. A row's first quad begins at its column a, 0..3, the same for every PHASES-th row, and its last
   may end in the next row, where it holds the columns before that row's first quad: all quads but a stretch's last are
   whole, and place p of a row, a .. INNER+2, is column p % INNER (of the next row where p >= INNER). A thread keeps four
   bests a phase, meeting its rows in order, so the first of equals stays by itself; where threads meet, in shared memory
   and in the second kernel, the lower row wins among equals. NONE stands for a column of nothing but the worst value. */

#define WORST __int_as_float(OP == 0 ? 0xff800000 : 0x7f800000)
#define NONE 0x7fffffff
#define WIDTH (4 * BX + 4) /* a strip's places, and what sticks out */
#define BEHIND (INNER < 3 ? 3 : 1) /* rows that a quad can reach into */

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
  const bool same = a.best == b.best || (a.best != a.best && b.best != b.best);
  return (same ? b.at < a.at : beats(b.best, a.best)) ? b : a;
}

static __device__ __forceinline__ void meet(place &p, float v, int row)
{
  if (beats(v, p.best))
    p.best = v, p.at = row;
}

/* Joins a thread's quads of rows from .. to-1 (of all slices), `base` being the first of the slice; from the last row's
   nothing that is behind it. */
static __device__ __forceinline__ void walk(const float *x, long long base, long long from, long long to, int k,
                                            const int (&a)[PHASES], place (&own)[PHASES][4])
{
  const long long group = PHASES * UNROLL * BY, whole = from + max(to - BEHIND - from, 0ll) / group * group;
  const float *row[PHASES];
  int over[PHASES]; /* components of a quad from this one on belong to the next row */
  int at = (int)(from - base) + threadIdx.y * (PHASES * UNROLL);
#pragma unroll
  for (int p = 0; p < PHASES; p++) {
    over[p] = INNER - a[p] - k;
    row[p] = x + (from + threadIdx.y * (PHASES * UNROLL) + p) * INNER + a[p] + k;
  }
  for (long long r = from; r < whole; r += group, at += (int)group) {
    float4 v[UNROLL][PHASES];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
#pragma unroll
      for (int p = 0; p < PHASES; p++)
        v[u][p] = over[p] > 0 ? __ldg((const float4 *)(row[p] + u * PHASES * INNER)) : make_float4(WORST, WORST, WORST, WORST);
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
#pragma unroll
      for (int p = 0; p < PHASES; p++) {
        const int here = at + u * PHASES + p;
        meet(own[p][0], v[u][p].x, here);
        meet(own[p][1], v[u][p].y, here);
        meet(own[p][2], v[u][p].z, here);
        meet(own[p][3], v[u][p].w, here);
      }
#pragma unroll
    for (int p = 0; p < PHASES; p++)
      row[p] += group * INNER;
  }
  for (long long r = whole + threadIdx.y * PHASES; r < to; r += PHASES * BY)
#pragma unroll
    for (int p = 0; p < PHASES; p++) {
      const long long first = (r + p) * INNER + a[p] + k;
      if (r + p < to && over[p] > 0) /* a quad of the last row may end behind it */
#pragma unroll
        for (int j = 0; j < 4; j++)
          if (first + j < to * INNER)
            meet(own[p][j], __ldg(x + first + j), (int)(r + p - base));
    }
#pragma unroll
  for (int p = 0; p < PHASES; p++)
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (j >= over[p] && own[p][j].at != NONE)
        own[p][j].at += 1 + (j - over[p]) / INNER;
}

extern "C" __global__ void __launch_bounds__(BX *BY, BLOCKS_PER_SM)
parts(const float *__restrict__ x, float *__restrict__ part_best, int *__restrict__ part_at, int rows, long long all,
      long long share)
{
  __shared__ place strip[WIDTH];
  const int thread = threadIdx.y * BX + threadIdx.x, first = blockIdx.x * (4 * BX), k = first + threadIdx.x * 4;
  long long r = blockIdx.y * share, out = ((long long)blockIdx.y * SLICES * STRIPS + blockIdx.x) * WIDTH;
  const long long to = min(r + share, all);

  for (; r < to; out += STRIPS * WIDTH) {
    const long long base = r / rows * rows, end = min(base + rows, to);
    int a[PHASES];
    place own[PHASES][4];
#pragma unroll
    for (int p = 0; p < PHASES; p++) {
      a[p] = (int)(-(r + p) * INNER & 3);
#pragma unroll
      for (int j = 0; j < 4; j++)
        own[p][j] = {WORST, NONE};
    }
    walk(x, base, r, end, k, a, own);
    for (int e = thread; e < WIDTH; e += BX * BY)
      strip[e] = {WORST, NONE};
    __syncthreads();
    for (int g = 0; g < BY; g++) {
#pragma unroll
      for (int p = 0; p < PHASES; p++) {
        if (threadIdx.y == g)
#pragma unroll
          for (int j = 0; j < 4; j++)
            if (a[p] + k < INNER)
              strip[a[p] + k + j - first] = join(strip[a[p] + k + j - first], own[p][j]);
        __syncthreads();
      }
    }
    if (first == 0 && thread < a[0]) { /* what is before the first row's first quad */
      const long long i = r * INNER + thread;
      if (i < end * INNER)
        strip[thread] = join(strip[thread], {x[i], (int)(r - base + thread / INNER)});
    }
    __syncthreads();
    for (int e = thread; e < WIDTH; e += BX * BY)
      part_best[out + e] = strip[e].best, part_at[out + e] = strip[e].at;
    __syncthreads();
    r = end;
  }
}

extern "C" __global__ void __launch_bounds__(128)
join_parts(const float *__restrict__ part_best, const int *__restrict__ part_at, long long *__restrict__ y, int rows,
           long long all, long long share)
{
  const int groups = (INNER + 127) / 128, c = blockIdx.x % groups * 128 + threadIdx.x;
  const long long slice = blockIdx.x / groups;
  if (c >= INNER)
    return;
  const long long last = (min((slice + 1) * rows, all) - 1) / share;
  place v = {WORST, NONE};
  for (long long b = slice * rows / share; b <= last; b++) {
    const long long in = (b * SLICES + slice - b * share / rows) * (STRIPS * WIDTH);
    for (int p = c; p < INNER + 3; p += INNER) {
      const int strip = p / (4 * BX), at = p % (4 * BX);
      if (strip < STRIPS)
        v = join(v, {__ldg(part_best + in + strip * WIDTH + at), __ldg(part_at + in + strip * WIDTH + at)});
      if (strip > 0 && at < 3)
        v = join(v, {__ldg(part_best + in + strip * WIDTH - 4 + at), __ldg(part_at + in + strip * WIDTH - 4 + at)});
    }
  }
  y[slice * INNER + c] = v.at == NONE ? 0 : v.at;
}
