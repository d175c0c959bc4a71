/* SPDX-License-Identifier: MIT */
/* Row norm 5: as the row on chip, filled by bulk copies (sm_90).
   A cp.async a pack is a thousand requests of 16 bytes for 16 KB, mixed with the stores of the row before. Here one thread
   asks for 16 KB at once, KEEP times, when the row before has left, and an mbarrier a slot says when it is there. ONCE: a
   block a row, in place of blocks that walk the rows; they get out of step, so that some read while others write.
   Loses: nothing is in flight in a block while it adds up or stores; the other multiprocessors are at other points. */

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

/* Asks for a slot's packs; one thread does. `bar` completes when they are there. */
static __device__ __forceinline__ void start_slot(float4 *slot, const row &s, int k, unsigned bar)
{
  const long long from = (long long)(IN_REGS + k) * BLOCK;
  const unsigned bytes = (unsigned)max(0LL, min((long long)BLOCK, s.packs - from)) * 16;
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
  if (bytes > 0)
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   (unsigned)__cvta_generic_to_shared(slot)),
                 "l"(s.in + from), "r"(bytes), "r"(bar)
                 : "memory");
}

static __device__ __forceinline__ void wait_slot(unsigned bar, unsigned parity)
{
  unsigned ok;
  do
    asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
                 : "=r"(ok)
                 : "r"(bar), "r"(parity)
                 : "memory");
  while (!ok);
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
  return i < s.packs ? s.in[i] : make_float4(0, 0, 0, 0);
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
        v[u] = s.in[(k + u) * BLOCK + THREAD];
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
  extern __shared__ float4 keep[]; /* KEEP slots of BLOCK packs */
  __shared__ double cell[2][32];
  __shared__ __align__(8) unsigned long long bars[KEEP];
  const unsigned bar = (unsigned)__cvta_generic_to_shared(bars);
  float4 reg[IN_REGS + 1];
  long long r = blockIdx.x;
  row s = row_at(x, y, r);
  if (THREAD == 0) {
    for (int k = 0; k < IN_SHARED; k++)
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(bar + 8 * k) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async;" ::: "memory");
    for (int k = 0; k < IN_SHARED; k++)
      start_slot(keep + k * BLOCK, s, k, bar + 8 * k);
  }
#pragma unroll
  for (int k = 0; k < IN_REGS; k++)
    reg[k] = load_pack(s, k);
  __syncthreads(); /* the barriers are there */

  for (int side = 0; r < rows; side ^= 1) {
    const float edge = s.edge >= 0 ? x[s.edge] : 0.0f;
    float sum = weigh(edge);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++)
      sum += weigh(reg[k]);
#pragma unroll
    for (int k = 0; k < IN_SHARED; k++) {
      wait_slot(bar + 8 * k, side);
      if ((IN_REGS + k) * BLOCK + THREAD < s.packs)
        sum += weigh(keep[k * BLOCK + THREAD]);
    }
    const float scale = inverse_norm(block_sum(cell, side, sum + add_streamed(s)));

    if (s.edge >= 0)
      y[s.edge] = edge * scale;
    store_streamed(s, scale);
#pragma unroll
    for (int k = 0; k < IN_SHARED; k++) {
      const int i = (IN_REGS + k) * BLOCK + THREAD;
      if (i < s.packs)
        write(s.out + i, times(keep[k * BLOCK + THREAD], scale));
    }
    float4 *const out = s.out;
    const long long packs = s.packs;
    r += gridDim.x;
    s = row_at(x, y, min(r, rows - 1));
    __syncthreads(); /* all slots were read */
    if (THREAD == 0 && r < rows)
      for (int k = 0; k < IN_SHARED; k++)
        start_slot(keep + k * BLOCK, s, k, bar + 8 * k);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++) {
      if (k * BLOCK + THREAD < packs)
        write(out + k * BLOCK + THREAD, times(reg[k], scale));
      if (r < rows)
        reg[k] = load_pack(s, k);
    }
  }
}
