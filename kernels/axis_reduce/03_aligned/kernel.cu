/* SPDX-License-Identifier: MIT */
/* Reduction over an axis 3: equal shares of one long walk, in aligned 16-byte loads whatever the rows' length is.
   Rows of an odd length begin anywhere within 16 bytes, so the split form read 4 bytes a load; and its blocks didn't end
   together. Here each block takes the same number of rows of all outer slices in one stretch of memory, quad by aligned
   quad. A row's first quad begins at its column a, 0..3, the same for every PHASES-th row, and its last may end in the
   next row, where it holds the columns before that row's first quad: all quads but a stretch's last are whole, and
   place p of a row, a .. INNER+2, is column p % INNER. A thread keeps four sums a phase, which meet in shared memory when
   a slice or the stretch ends. The 3 places that stick out of a strip are kept beside it, and a second kernel joins the
   few parts of every slice in a fixed order. */

#define NEUTRAL (OP < 2 ? 0.0f : __int_as_float(OP == 2 ? 0xff800000 : 0x7f800000))
#define WIDTH (4 * BX + 4) /* a strip's places, and what sticks out */
#define BEHIND (INNER < 3 ? 3 : 1) /* rows that a quad can reach into */

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

static __device__ __forceinline__ void join4(float *sum, float4 v)
{
  sum[0] = join(sum[0], v.x), sum[1] = join(sum[1], v.y), sum[2] = join(sum[2], v.z), sum[3] = join(sum[3], v.w);
}

/* Joins a thread's quads of rows from .. to-1 (of all slices); from the last row's nothing that is behind it. */
static __device__ __forceinline__ void walk(const float *x, long long from, long long to, int k, const int (&a)[PHASES],
                                            float (&sum)[PHASES][4])
{
  const long long group = PHASES * UNROLL * BY, whole = from + max(to - BEHIND - from, 0ll) / group * group;
  const float *row[PHASES];
  bool has[PHASES]; /* does the row have this quad? One that begins in it is its own, though it ends in the next. */
#pragma unroll
  for (int p = 0; p < PHASES; p++) {
    has[p] = a[p] + k < INNER;
    row[p] = x + (from + threadIdx.y * (PHASES * UNROLL) + p) * INNER + a[p] + k;
  }
  for (long long r = from; r < whole; r += group) {
    float4 v[UNROLL][PHASES];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
#pragma unroll
      for (int p = 0; p < PHASES; p++)
        v[u][p] = has[p] ? __ldg((const float4 *)(row[p] + u * PHASES * INNER)) : make_float4(NEUTRAL, NEUTRAL, NEUTRAL, NEUTRAL);
#pragma unroll
    for (int p = 0; p < PHASES; p++)
      row[p] += group * INNER;
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
#pragma unroll
      for (int p = 0; p < PHASES; p++)
        join4(sum[p], v[u][p]);
  }
  for (long long r = whole + threadIdx.y * PHASES; r < to; r += PHASES * BY)
#pragma unroll
    for (int p = 0; p < PHASES; p++) {
      const long long at = (r + p) * INNER + a[p] + k;
      if (r + p < to && has[p]) /* a quad of the last row may end behind it */
#pragma unroll
        for (int j = 0; j < 4; j++)
          if (at + j < to * INNER)
            sum[p][j] = join(sum[p][j], __ldg(x + at + j));
    }
}

extern "C" __global__ void __launch_bounds__(BX *BY, BLOCKS_PER_SM)
parts(const float *__restrict__ x, float *__restrict__ part, int rows,
      long long all, long long share)
{
  __shared__ float strip[WIDTH];
  const int thread = threadIdx.y * BX + threadIdx.x, first = blockIdx.x * (4 * BX), k = first + threadIdx.x * 4;
  long long r = blockIdx.y * share;
  const long long to = min(r + share, all);
  float *out = part + (long long)blockIdx.y * SLICES * STRIPS * WIDTH + blockIdx.x * WIDTH;

  for (; r < to; out += STRIPS * WIDTH) {
    const long long end = min((r / rows + 1) * rows, to);
    int a[PHASES];
    float sum[PHASES][4];
#pragma unroll
    for (int p = 0; p < PHASES; p++) {
      a[p] = (int)(-(r + p) * INNER & 3);
      sum[p][0] = sum[p][1] = sum[p][2] = sum[p][3] = NEUTRAL;
    }
    walk(x, r, end, k, a, sum);
    for (int e = thread; e < WIDTH; e += BX * BY)
      strip[e] = NEUTRAL;
    __syncthreads();
    for (int g = 0; g < BY; g++) {
#pragma unroll
      for (int p = 0; p < PHASES; p++) {
        if (threadIdx.y == g)
#pragma unroll
          for (int j = 0; j < 4; j++)
            if (a[p] + k < INNER)
              strip[a[p] + k + j - first] = join(strip[a[p] + k + j - first], sum[p][j]);
        __syncthreads();
      }
    }
    if (first == 0 && thread < a[0] && r * INNER + thread < end * INNER) /* what is before the first row's first quad */
      strip[thread] = join(strip[thread], x[r * INNER + thread]);
    __syncthreads();
    for (int e = thread; e < WIDTH; e += BX * BY)
      out[e] = strip[e];
    __syncthreads();
    r = end;
  }
}

extern "C" __global__ void __launch_bounds__(128) join_parts(const float *__restrict__ part, float *__restrict__ y, int rows,
                                                             long long all, long long share)
{
  const int groups = (INNER + 127) / 128, c = blockIdx.x % groups * 128 + threadIdx.x;
  const long long slice = blockIdx.x / groups;
  if (c >= INNER)
    return;
  const long long last = (min((slice + 1) * rows, all) - 1) / share;
  float v = NEUTRAL;
  for (long long b = slice * rows / share; b <= last; b++) {
    const float *in = part + (b * SLICES + slice - b * share / rows) * (STRIPS * WIDTH);
    for (int p = c; p < INNER + 3; p += INNER) {
      const int strip = p / (4 * BX), at = p % (4 * BX);
      if (strip < STRIPS)
        v = join(v, __ldg(in + strip * WIDTH + at));
      if (strip > 0 && at < 3)
        v = join(v, __ldg(in + (strip - 1) * WIDTH + 4 * BX + at));
    }
  }
  y[slice * INNER + c] = OP == 1 ? v / rows : v;
}
