/* SPDX-License-Identifier: MIT */
/* Row softmax 2: a team of TEAM blocks holds a row on chip, so that x is read once.
   Walking a row of 1.5 MB again means DRAM again. Here the blocks of a team share a row, HOLD packs of 16 bytes a
   thread: REGS in registers, the others in a ring of KEEP slots of shared memory, filled by cp.async or, with BULK, by
   one bulk copy a slot (sm_90). All of the row is in flight at once, and slots beyond its own already take the next
   row, so that memory doesn't rest while a team meets. With MIX a slot is filled anew as soon as its pack is stored,
   else all are when the row is. As packs arrive a thread carries its maximum and its sum of exponentials; each block
   posts both as one 8-byte word to its box in `mail`, which starts as a pattern that nobody posts, and asks the boxes
   of its team until they are full: no fence, no counter, one trip through L2. The launch is cooperative, so that all
   blocks are there; STAGGER spreads the teams' starts over so many ns, for they would meet at the same time ever after.
   Rows of odd length start anywhere: the elements before the first 16-byte boundary and after the last are taken one by
   one. What even all blocks don't hold is read again, the last part first, since L2 still has that.
   Loses: the exponential is taken twice, which only pays as long as memory is the limit. */

#define THREAD ((int)threadIdx.x)
#define EMPTY 0xffffffffffffffffull
#define FLOOR (-1.0e38f) /* finite, so that a thread without elements never forms inf - inf */
#define PADDING __int_as_float(0xff800000) /* -inf: its exponential is 0 */
#define LOG2E 1.4426950408889634f
typedef unsigned long long word;
constexpr long long SHARE = (COLS / 4 + TEAM - 1) / TEAM; /* packs of a block */
constexpr int ROUNDS = (SHARE + BLOCK - 1) / BLOCK; /* of a thread */
constexpr int IN_REGS = ROUNDS < REGS ? ROUNDS : REGS;
constexpr int IN_SHARED = ROUNDS - IN_REGS < KEEP ? ROUNDS - IN_REGS : KEEP;
constexpr int ON_CHIP = IN_REGS + IN_SHARED;
constexpr int SPARE = KEEP - IN_SHARED < IN_SHARED ? KEEP - IN_SHARED : IN_SHARED; /* slots for the row after this one */
constexpr int SLOTS = IN_SHARED + SPARE;
constexpr int UNROLL = 4;
constexpr bool EVEN = COLS % (4 * TEAM) == 0 && SHARE % BLOCK == 0; /* every thread has ROUNDS whole packs */

constexpr int NO_EDGE = (int)0x80000000;
static_assert(SHARE < 1 << 28, "offsets within a share are ints");

struct slice {
  long long at; /* of its first pack, in elements */
  int packs;
  int edge; /* the element that this thread takes alone, counted from `at`; NO_EDGE: none */
};

static __device__ __forceinline__ slice slice_of(long long r, int member)
{
  const long long start = r * COLS;
  const int head = (int)min(-start & 3, (long long)COLS), tail = (int)((COLS - head) % 4);
  const long long packs = (COLS - head) / 4, from = min(member * SHARE, packs);
  slice s = {start + head + 4 * from, (int)min(SHARE, packs - from), NO_EDGE};
  if (COLS % 4 && member == 0 && THREAD < head)
    s.edge = THREAD - head;
  if (COLS % 4 && member == TEAM - 1 && THREAD >= 4 && THREAD < 4 + tail)
    s.edge = 4 * s.packs + THREAD - 4;
  return s;
}

/* The sum of exp(x - peak) over some x, and their maximum. */
struct tally {
  float peak, sum;
};

static __device__ __forceinline__ float exp2_of(float v)
{
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}

static __device__ __forceinline__ float exp_of(float v) { return exp2_of(v * LOG2E); }

static __device__ __forceinline__ void add(tally &t, float4 v)
{
  const float peak = fmaxf(fmaxf(t.peak, v.x), fmaxf(fmaxf(v.y, v.z), v.w));
  t.sum = fmaf(t.sum, exp_of(t.peak - peak),
               (exp_of(v.x - peak) + exp_of(v.y - peak)) + (exp_of(v.z - peak) + exp_of(v.w - peak)));
  t.peak = peak;
}

static __device__ __forceinline__ float4 padding() { return make_float4(PADDING, PADDING, PADDING, PADDING); }

/* `norm` is 1 / sum, or its logarithm. */
static __device__ __forceinline__ float result(float v, float peak, float norm)
{
  return OP == 1 ? exp_of(v - peak) * norm : v - peak - norm;
}

static __device__ __forceinline__ float4 result(float4 v, float peak, float norm)
{
  return make_float4(result(v.x, peak, norm), result(v.y, peak, norm), result(v.z, peak, norm), result(v.w, peak, norm));
}

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

static __device__ __forceinline__ float4 load_pack(const float *x, const slice &s, int k)
{
  const int i = k * BLOCK + THREAD;
  return EVEN || i < s.packs ? read((const float4 *)(x + s.at) + i) : padding();
}

/* Slots are a ring: a row's pack k is k after its first. */
static __device__ __forceinline__ int slot_of(int base, int k)
{
  return (base + k < SLOTS ? base + k : base + k - SLOTS) * BLOCK + THREAD;
}

static __device__ __forceinline__ void start_pack(float4 *slot, const float *x, const slice &s, int k, bool wanted)
{
  const int i = (IN_REGS + k) * BLOCK + THREAD;
  if (wanted && (EVEN || i < s.packs))
    copy_async(slot, (const float4 *)(x + s.at) + i);
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/* BULK: one thread asks for a slot's packs at once; `bar` completes when they are there. */
static __device__ __forceinline__ void start_slot(float4 *slot, const float *x, const slice &s, int k, unsigned bar)
{
  const int from = (IN_REGS + k) * BLOCK;
  const unsigned bytes = EVEN ? BLOCK * 16 : max(0, min(BLOCK, s.packs - from)) * 16;
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
  if (bytes > 0)
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   (unsigned)__cvta_generic_to_shared(slot)),
                 "l"((const float4 *)(x + s.at) + from), "r"(bytes), "r"(bar)
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

/* Where the ring stands: the slot of the row's first pack, the phase that its barrier completes, the barriers. */
struct ring {
  int base;
  unsigned phase, bars;
};

/* Pack k of the row is there. */
static __device__ __forceinline__ void wait_kept(const ring &q, int k)
{
  const bool wraps = q.base + k >= SLOTS;
  wait_slot(q.bars + 8 * (wraps ? q.base + k - SLOTS : q.base + k), q.phase ^ wraps);
}

/* Adds the packs in shared memory in the order of their arrival. */
template <int K> static __device__ __forceinline__ void add_kept(const float4 *keep, const ring &q, const slice &s, tally &t)
{
  if constexpr (K < IN_SHARED) {
    if (BULK)
      wait_kept(q, K);
    else
      asm volatile("cp.async.wait_group %0;" ::"n"(IN_SHARED - 1 - K + SPARE) : "memory");
    if (EVEN || (IN_REGS + K) * BLOCK + THREAD < s.packs)
      add(t, keep[slot_of(q.base, K)]);
    add_kept<K + 1>(keep, q, s, t);
  }
}

static __device__ __forceinline__ void add_streamed(const float *x, const slice &s, tally &t)
{
  const float4 *in = (const float4 *)(x + s.at) + THREAD;
  for (int k = ON_CHIP; k < ROUNDS; k += UNROLL) {
    float4 v[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      v[u] = (k + u) * BLOCK + THREAD < s.packs ? in[(k + u) * BLOCK] : padding();
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      add(t, v[u]);
  }
}

/* The last first: L2 has it. */
static __device__ __forceinline__ void store_streamed(const float *x, float *y, const slice &s, float peak, float norm)
{
  const float4 *in = (const float4 *)(x + s.at) + THREAD;
  float4 *out = (float4 *)(y + s.at) + THREAD;
  for (int k = ROUNDS - UNROLL; k > ON_CHIP - UNROLL; k -= UNROLL) {
    float4 v[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      if (k + u >= ON_CHIP && (k + u) * BLOCK + THREAD < s.packs)
        v[u] = read(in + (k + u) * BLOCK);
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      if (k + u >= ON_CHIP && (k + u) * BLOCK + THREAD < s.packs)
        write(out + (k + u) * BLOCK, result(v[u], peak, norm));
  }
}

static __device__ __forceinline__ tally warp_merge(tally t)
{
  float top = t.peak;
  for (int step = 16; step > 0; step /= 2)
    top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
  float sum = t.sum * exp_of(t.peak - top);
  for (int step = 16; step > 0; step /= 2)
    sum += __shfl_xor_sync(0xffffffffu, sum, step);
  return {top, sum};
}

/* `peak` is never a NaN, so no word is EMPTY. */
static __device__ __forceinline__ void post(word *box, tally t)
{
  const word w = (word)__float_as_uint(t.peak) << 32 | __float_as_uint(t.sum);
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(box), "l"(w) : "memory");
}

static __device__ __forceinline__ tally fetch(const word *box)
{
  word w;
  for (;; __nanosleep(20)) {
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(w) : "l"(box) : "memory");
    if (w != EMPTY)
      break;
  }
  return {__uint_as_float((unsigned)(w >> 32)), __uint_as_float((unsigned)w)};
}

/* The tally of all threads of the team, for everybody. */
static __device__ __forceinline__ tally team_tally(tally *cell, word *mail, int member, tally t)
{
  t = warp_merge(t);
  if (THREAD % 32 == 0)
    cell[THREAD / 32] = t;
  __syncthreads();
  if (THREAD < 32) {
    t = {FLOOR, 0.0f};
    if (THREAD < BLOCK / 32)
      t = cell[THREAD];
    t = warp_merge(t);
    if (TEAM > 1) {
      if (THREAD == 0)
        post(mail + member, t);
      t = {FLOOR, 0.0f};
      for (int m = THREAD; m < TEAM; m += 32) {
        const tally u = fetch(mail + m);
        const float top = fmaxf(t.peak, u.peak);
        t = {top, t.sum * exp_of(t.peak - top) + u.sum * exp_of(u.peak - top)};
      }
      t = warp_merge(t);
    }
    if (THREAD == 0)
      cell[32] = t;
  }
  __syncthreads();
  return cell[32];
}

extern "C" __global__ void __launch_bounds__(BLOCK, 1) row_softmax(const float *__restrict__ x, float *__restrict__ y,
                                                                word *mail, long long rows)
{
  __shared__ __align__(8) unsigned long long bars[SLOTS + 1];
  extern __shared__ float4 keep[]; /* KEEP packs of each thread */
  __shared__ tally cell[33];
  const int member = blockIdx.x % TEAM, teams = gridDim.x / TEAM;
  float4 reg[IN_REGS + 1];
  long long r = blockIdx.x / TEAM;
  slice s = slice_of(r, member);
  if (STAGGER)
    __nanosleep((unsigned)(r * STAGGER / teams));
#pragma unroll
  for (int k = 0; k < IN_REGS; k++)
    reg[k] = load_pack(x, s, k);
  slice next = slice_of(min(r + teams, rows - 1), member);
  ring q = {0, 0, (unsigned)__cvta_generic_to_shared(bars)};
  if (BULK && THREAD == 0) {
    for (int k = 0; k < SLOTS; k++)
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(q.bars + 8 * k) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async;" ::: "memory");
    for (int k = 0; k < IN_SHARED; k++)
      start_slot(keep + k * BLOCK, x, s, k, q.bars + 8 * k);
    for (int k = 0; k < SPARE && r + teams < rows; k++)
      start_slot(keep + (IN_SHARED + k) * BLOCK, x, next, k, q.bars + 8 * (IN_SHARED + k));
  }
  if (BULK)
    __syncthreads(); /* the barriers are there */
#pragma unroll
  for (int k = 0; !BULK && k < IN_SHARED; k++)
    start_pack(keep + slot_of(0, k), x, s, k, true);
#pragma unroll
  for (int k = 0; !BULK && k < SPARE; k++)
    start_pack(keep + slot_of(0, IN_SHARED + k), x, next, k, r + teams < rows);

  while (r < rows) {
    const float edge = s.edge != NO_EDGE ? x[s.at + s.edge] : PADDING;
    tally t = {fmaxf(edge, FLOOR), 0.0f};
    t.sum = exp_of(edge - t.peak);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++)
      add(t, reg[k]);
    add_kept<0>(keep, q, s, t);
    add_streamed(x, s, t);
    t = team_tally(cell, mail + r * TEAM, member, t);
    const float norm = OP == 1 ? 1.0f / t.sum : logf(t.sum);

    r += teams;
    const bool more = r < rows, yet_more = r + teams < rows;
    const slice after = slice_of(min(r + teams, rows - 1), member);
    float4 *out = (float4 *)(y + s.at) + THREAD;
    if (s.edge != NO_EDGE)
      y[s.at + s.edge] = result(edge, t.peak, norm);
    const auto refill = [&](int k) { /* the slot of the row's pack k is free */
      if (k + SPARE < IN_SHARED)
        start_pack(keep + slot_of(q.base, k), x, next, k + SPARE, more);
      else
        start_pack(keep + slot_of(q.base, k), x, after, k + SPARE - IN_SHARED, yet_more);
    };
    store_streamed(x, y, s, t.peak, norm);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++) {
      if (EVEN || k * BLOCK + THREAD < s.packs)
        write(out + k * BLOCK, result(reg[k], t.peak, norm));
      if (MIX && more)
        reg[k] = load_pack(x, next, k);
    }
#pragma unroll
    for (int k = 0; k < IN_SHARED; k++) {
      if (EVEN || (IN_REGS + k) * BLOCK + THREAD < s.packs)
        write(out + (IN_REGS + k) * BLOCK, result(keep[slot_of(q.base, k)], t.peak, norm));
      if (MIX && !BULK)
        refill(k);
    }
    if (BULK) {
      __syncthreads(); /* all slots were read */
      if (THREAD == 0)
        for (int k = 0; k < IN_SHARED; k++) {
          const int slot = slot_of(q.base, k) / BLOCK;
          if (k + SPARE < IN_SHARED ? more : yet_more)
            start_slot(keep + slot * BLOCK, x, k + SPARE < IN_SHARED ? next : after,
                       k + SPARE < IN_SHARED ? k + SPARE : k + SPARE - IN_SHARED, q.bars + 8 * slot);
        }
    }
    if (!MIX) {
#pragma unroll
      for (int k = 0; k < IN_REGS; k++)
        if (more)
          reg[k] = load_pack(x, next, k);
#pragma unroll
      for (int k = 0; !BULK && k < IN_SHARED; k++)
        refill(k);
    }
    s = next;
    next = after;
    q.phase ^= q.base + IN_SHARED >= SLOTS;
    q.base = slot_of(q.base, IN_SHARED) / BLOCK;
  }
}
