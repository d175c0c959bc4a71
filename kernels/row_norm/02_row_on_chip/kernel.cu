/* SPDX-License-Identifier: MIT */
/* Row norm 2: a block holds the whole row, so that x is read once.
   The walks before read x twice from DRAM. A row of 262 KB is more than the registers or the shared memory of a
   multiprocessor, but fits into both together: a thread keeps REGS packs of 16 bytes in registers and KEEP in shared memory,
   which cp.async fills, so that all of the row is in flight at once. While a row is scaled and stored, the slots that it
   leaves take the next row. A thread reads back only what it copied itself, so the exchange of sums is the only barrier.
   Rows of odd length start anywhere: the elements before the first 16-byte boundary and after the last are taken one by
   one. What doesn't fit (a longer row) is read again, last part first.
   ONCE: a block a row, in place of blocks that walk the rows. MIX: the next row is asked for between stores, else after them.
   Loses: a row longer than a block can hold is read twice, and a single row keeps one multiprocessor busy. */

#define THREAD ((int)threadIdx.x)
constexpr long long ROUNDS = (COLS / 4 + BLOCK - 1) / BLOCK; /* packs of a thread */
constexpr int IN_REGS = ROUNDS < REGS ? ROUNDS : REGS;
constexpr int IN_SHARED = ROUNDS - IN_REGS < KEEP ? ROUNDS - IN_REGS : KEEP;
constexpr int ON_CHIP = IN_REGS + IN_SHARED;
constexpr int UNROLL = 4;

struct row {
  const float4 *in;
  float4 *out;
  long long edge; /* the element that this thread takes alone, or -1 */
  long long packs;
};

static __device__ __forceinline__ row row_at(const float *x, float *y, long long r)
{
  const long long start = r * COLS;
  const long long head = min(-start & 3, (long long)COLS), packs = (COLS - head) / 4, tail = COLS - head - 4 * packs;
  row s = {(const float4 *)(x + start + head), (float4 *)(y + start + head), -1, packs};
  if (COLS % 4 && THREAD < head)
    s.edge = start + THREAD;
  else if (COLS % 4 && THREAD >= 4 && THREAD < 4 + tail)
    s.edge = start + head + 4 * packs + THREAD - 4;
  return s;
}

static __device__ __forceinline__ float weigh(float v) { return OP == 1 ? fabsf(v) : v * v; }

static __device__ __forceinline__ float weigh(float4 v) { return (weigh(v.x) + weigh(v.y)) + (weigh(v.z) + weigh(v.w)); }

static __device__ __forceinline__ float4 times(float4 v, float s) { return make_float4(v.x * s, v.y * s, v.z * s, v.w * s); }

/* LOAD: 0 plain, 1 past L1 and marked as used once, 2 and 3 past L1 in stretches of 128 and 256 bytes. */
static __device__ __forceinline__ float4 read(const float4 *p) { return LOAD == 1 ? __ldcs(p) : *p; }

static __device__ __forceinline__ void copy_async(float4 *to, const float4 *from)
{
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
#if LOAD == 0
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#elif LOAD == 1
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#elif LOAD == 2
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#endif
}

/* STORE: 0 plain, 1 marked as used once. */
static __device__ __forceinline__ void write(float4 *p, float4 v)
{
  if (STORE)
    __stcs(p, v);
  else
    *p = v;
}

static __device__ __forceinline__ float4 load_pack(const row &s, int k)
{
  const long long i = (long long)k * BLOCK + THREAD;
  return i < s.packs ? read(s.in + i) : make_float4(0, 0, 0, 0);
}

static __device__ __forceinline__ void start_pack(float4 *keep, const row &s, int k)
{
  const long long i = (long long)(IN_REGS + k) * BLOCK + THREAD;
  if (i < s.packs)
    copy_async(keep + k * BLOCK + THREAD, s.in + i);
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Adds the packs in shared memory in the order of their arrival. */
template <int K> static __device__ __forceinline__ void add_kept(const float4 *keep, const row &s, float &sum)
{
  if constexpr (K < IN_SHARED) {
    asm volatile("cp.async.wait_group %0;" ::"n"(IN_SHARED - 1 - K) : "memory");
    if ((IN_REGS + K) * BLOCK + THREAD < s.packs)
      sum += weigh(keep[K * BLOCK + THREAD]);
    add_kept<K + 1>(keep, s, sum);
  }
}

static __device__ __forceinline__ double add_streamed(const row &s)
{
  double sum = 0.0;
  for (long long k = ON_CHIP; k < ROUNDS; k += UNROLL) {
    float4 v[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      v[u] = (k + u) * BLOCK + THREAD < s.packs ? s.in[(k + u) * BLOCK + THREAD] : make_float4(0, 0, 0, 0);
    sum += (weigh(v[0]) + weigh(v[1])) + (weigh(v[2]) + weigh(v[3]));
  }
  return sum;
}

/* The last first: L2 has it. */
static __device__ __forceinline__ void store_streamed(const row &s, float scale)
{
  for (long long k = ROUNDS - UNROLL; k > ON_CHIP - UNROLL; k -= UNROLL) {
    float4 v[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      if (k + u >= ON_CHIP && (k + u) * BLOCK + THREAD < s.packs)
        v[u] = read(s.in + (k + u) * BLOCK + THREAD);
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      if (k + u >= ON_CHIP && (k + u) * BLOCK + THREAD < s.packs)
        write(s.out + (k + u) * BLOCK + THREAD, times(v[u], scale));
  }
}

/* The sum over the block, for everybody. Two sets of cells in turn: one barrier a row is enough. */
static __device__ __forceinline__ double block_sum(double (*cell)[32], int side, double v)
{
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  if (THREAD % 32 == 0)
    cell[side][THREAD / 32] = v;
  __syncthreads();
  v = THREAD % 32 < BLOCK / 32 ? cell[side][THREAD % 32] : 0.0;
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
}

static __device__ __forceinline__ float inverse_norm(double sum)
{
  return OP == 1 ? (float)((double)COLS / sum) : (float)(1.0 / sqrt(sum));
}

extern "C" __global__ void __launch_bounds__(BLOCK) row_norm(const float *__restrict__ x, float *__restrict__ y,
                                                             long long rows)
{
  extern __shared__ float4 keep[]; /* KEEP packs of each thread */
  __shared__ double cell[2][32];
  float4 reg[IN_REGS + 1];
  long long r = blockIdx.x;
  row s = row_at(x, y, r);
#pragma unroll
  for (int k = 0; k < IN_REGS; k++)
    reg[k] = load_pack(s, k);
#pragma unroll
  for (int k = 0; k < IN_SHARED; k++)
    start_pack(keep, s, k);

  for (int side = 0; r < rows; side ^= 1) {
    const float edge = s.edge >= 0 ? x[s.edge] : 0.0f;
    float sum = weigh(edge);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++)
      sum += weigh(reg[k]);
    add_kept<0>(keep, s, sum);
    const float scale = inverse_norm(block_sum(cell, side, sum + add_streamed(s)));

    r += gridDim.x;
    const row next = row_at(x, y, min(r, rows - 1));
    const bool more = r < rows;
    if (s.edge >= 0)
      y[s.edge] = edge * scale;
    store_streamed(s, scale);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++) {
      if (k * BLOCK + THREAD < s.packs)
        write(s.out + k * BLOCK + THREAD, times(reg[k], scale));
      if (MIX && more)
        reg[k] = load_pack(next, k);
    }
#pragma unroll
    for (int k = 0; k < IN_SHARED; k++) {
      const int i = (IN_REGS + k) * BLOCK + THREAD;
      if (i < s.packs)
        write(s.out + i, times(keep[k * BLOCK + THREAD], scale));
      if (MIX && more)
        start_pack(keep, next, k);
    }
    if (!MIX && more) {
#pragma unroll
      for (int k = 0; k < IN_REGS; k++)
        reg[k] = load_pack(next, k);
#pragma unroll
      for (int k = 0; k < IN_SHARED; k++)
        start_pack(keep, next, k);
    }
    s = next;
  }
}
