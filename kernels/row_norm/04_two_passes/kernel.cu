/* SPDX-License-Identifier: MIT */
/* Row norm 4: two plain passes, for rows that the whole device can't hold.
   Of such a row next to nothing stays on chip, and a team that meets once a row has one block a multiprocessor. Here SPLIT
   blocks a row, as many as fit at once, leave a sum each in scratch; the second kernel adds those in a fixed order and
   scales. It walks from the end to the start, so that it begins with what L2 still holds. Loads are 16 bytes, UNROLL of
   them in flight, and the elements before the first 16-byte boundary and after the last are taken one by one.
   Loses: x is read twice. */

#define THREAD ((int)threadIdx.x)
constexpr long long STEP = (long long)BLOCK * UNROLL * SPLIT; /* packs that the blocks of a row take at once */

struct row {
  long long start, head, packs, tail;
};

static __device__ __forceinline__ row row_at(long long r)
{
  row s = {r * COLS};
  s.head = min(-s.start & 3, (long long)COLS);
  s.packs = (COLS - s.head) / 4;
  s.tail = COLS - s.head - 4 * s.packs;
  return s;
}

/* LOAD: 0 plain, 1 marked as used once. */
static __device__ __forceinline__ float4 read(const float4 *p) { return LOAD ? __ldcs(p) : *p; }

/* STORE: the same. */
static __device__ __forceinline__ void write(float4 *p, float4 v)
{
  if (STORE)
    __stcs(p, v);
  else
    *p = v;
}

/* The element that this thread of the row's first block takes alone, or -1. */
static __device__ __forceinline__ long long edge_of(const row &s)
{
  if (COLS % 4 == 0 || blockIdx.x > 0)
    return -1;
  if (THREAD < s.head)
    return s.start + THREAD;
  return THREAD >= 4 && THREAD < 4 + s.tail ? s.start + s.head + 4 * s.packs + THREAD - 4 : -1;
}

static __device__ __forceinline__ float weigh(float v) { return OP == 1 ? fabsf(v) : v * v; }

static __device__ __forceinline__ float weigh(float4 v) { return (weigh(v.x) + weigh(v.y)) + (weigh(v.z) + weigh(v.w)); }

static __device__ __forceinline__ double block_sum(double *cell, double v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  __syncthreads();
  if (THREAD % 32 == 0)
    cell[THREAD / 32] = v;
  __syncthreads();
  v = THREAD % 32 < BLOCK / 32 ? cell[THREAD % 32] : 0.0;
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
}

extern "C" __global__ void __launch_bounds__(BLOCK, BLOCKS_PER_SM)
row_sum(const float *__restrict__ x, double *__restrict__ partial, long long rows)
{
  __shared__ double cell[32];
  for (long long r = blockIdx.y; r < rows; r += gridDim.y) {
    const row s = row_at(r);
    const float4 *in = (const float4 *)(x + s.start + s.head);
    const long long edge = edge_of(s);
    double sum = edge >= 0 ? weigh(x[edge]) : 0.0f;
    for (long long i = (long long)blockIdx.x * BLOCK * UNROLL + THREAD; i < s.packs; i += STEP) {
      float4 v[UNROLL];
#pragma unroll
      for (int u = 0; u < UNROLL; u++)
        v[u] = i + u * BLOCK < s.packs ? read(in + i + u * BLOCK) : make_float4(0, 0, 0, 0);
      float part = 0.0f;
#pragma unroll
      for (int u = 0; u < UNROLL; u++)
        part += weigh(v[u]);
      sum += part;
    }
    sum = block_sum(cell, sum);
    if (THREAD == 0)
      partial[r * SPLIT + blockIdx.x] = sum;
  }
}

extern "C" __global__ void __launch_bounds__(BLOCK, BLOCKS_PER_SM)
row_scale(const float *__restrict__ x, const double *__restrict__ partial, float *__restrict__ y, long long rows)
{
  __shared__ double cell[32];
  for (long long r = rows - 1 - blockIdx.y; r >= 0; r -= gridDim.y) {
    const row s = row_at(r);
    const float4 *in = (const float4 *)(x + s.start + s.head);
    float4 *out = (float4 *)(y + s.start + s.head);
    double sum = 0.0;
    for (int k = THREAD; k < SPLIT; k += BLOCK)
      sum += partial[r * SPLIT + k];
    sum = block_sum(cell, sum);
    const float scale = (float)(OP == 1 ? (double)COLS / sum : 1.0 / sqrt(sum));
    const long long edge = edge_of(s);
    if (edge >= 0)
      y[edge] = x[edge] * scale;
    const long long first = (long long)blockIdx.x * BLOCK * UNROLL;
    if (first >= s.packs)
      continue;
    for (long long i = first + (s.packs - 1 - first) / STEP * STEP + THREAD; i >= 0; i -= STEP) {
      float4 v[UNROLL];
#pragma unroll
      for (int u = 0; u < UNROLL; u++)
        if (i + u * BLOCK < s.packs)
          v[u] = read(in + i + u * BLOCK);
#pragma unroll
      for (int u = 0; u < UNROLL; u++)
        if (i + u * BLOCK < s.packs)
          write(out + i + u * BLOCK, make_float4(v[u].x * scale, v[u].y * scale, v[u].z * scale, v[u].w * scale));
    }
  }
}
