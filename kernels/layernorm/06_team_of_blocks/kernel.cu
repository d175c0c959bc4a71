/* SPDX-License-Identifier: MIT */
/* LayerNorm 6: a team of TEAM blocks holds a row on chip, for rows of megabytes.
   The forms before give a row to one block at most: sixteen rows of 16 MB keep sixteen multiprocessors busy. Here the
   blocks of a team share a row, HOLD packs of 16 bytes a thread: REGS in registers, the others in a ring of KEEP slots
   of shared memory, filled by cp.async or, with BULK, by one bulk copy a slot (sm_90). All of the row is in flight at
   once, and slots beyond its own already take the next row, so that memory doesn't rest while a team meets. With MIX a
   slot is filled anew as soon as its pack is stored, else all are when the row is. Mean and squared deviations are
   taken a few packs at a time as they arrive, and merged. Each block posts its pair as one 8-byte word to its box in
   `mail`, which starts as a pattern that nobody posts, and asks the boxes of its team until they are full: no fence, no
   counter, one trip through L2. The launch is cooperative, so that all blocks are there; STAGGER spreads the teams'
   starts over so many ns, for they would meet at the same time ever after.
   Rows of odd length start anywhere: the elements before the first 16-byte boundary and after the last are taken one by
   one. What even all blocks don't hold is read again, the last part first, since L2 still has that.
   Loses: for rows of a few KB the memset and the exchange are dear. Every row takes all weights out of L2 again. */

#define THREAD ((int)threadIdx.x)
#define EMPTY 0xffffffffffffffffull
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

/* How many elements a member takes. */
static __device__ __forceinline__ int elements_of(long long r, int member)
{
  const int head = (int)min(-(r * COLS) & 3, (long long)COLS), tail = (int)((COLS - head) % 4);
  const long long packs = (COLS - head) / 4, from = min(member * SHARE, packs);
  return 4 * (int)min(SHARE, packs - from) + (member == 0 ? head : 0) + (member == TEAM - 1 ? tail : 0);
}

/* Count, mean and sum of squared deviations; two of them merge without cancellation (Chan, Golub, LeVeque 1979). */
struct moments {
  float n, mean, m2;
};

static __device__ __forceinline__ moments merge(moments a, moments b)
{
  const float n = a.n + b.n, part = b.n > 0.0f ? __fdividef(b.n, n) : 0.0f, d = b.mean - a.mean;
  return {n, fmaf(d, part, a.mean), a.m2 + fmaf(d * d, a.n * part, b.m2)};
}

static __device__ __forceinline__ float squares(float4 v, float m)
{
  v = make_float4(v.x - m, v.y - m, v.z - m, v.w - m);
  return fmaf(v.x, v.x, v.y * v.y) + fmaf(v.z, v.z, v.w * v.w);
}

/* Of the first `valid` of N packs; the others are zero. */
template <int N> static __device__ __forceinline__ void add(moments &m, const float4 (&v)[N], int valid)
{
  float sum = 0.0f, m2 = 0.0f;
#pragma unroll
  for (int k = 0; k < N; k++)
    sum += (v[k].x + v[k].y) + (v[k].z + v[k].w);
  const float n = 4.0f * min(max(valid, 0), N), mean = n > 0.0f ? __fdividef(sum, n) : 0.0f;
#pragma unroll
  for (int k = 0; k < N; k++)
    m2 += k < valid ? squares(v[k], mean) : 0.0f;
  m = merge(m, {n, mean, m2});
}

/* What an element of a row becomes; `weight` and `bias` are those of the share's first pack. */
struct rule {
  const float *weight, *bias;
  float mean, scale;
};

static __device__ __forceinline__ float apply(float v, const rule &q, int i)
{
  return fmaf((v - q.mean) * q.scale, __ldg(q.weight + i), __ldg(q.bias + i));
}

/* Pack i of the share. Where rows have an odd length, weights aren't aligned as x is. */
static __device__ __forceinline__ float4 apply_pack(float4 v, const rule &q, int i)
{
  if (COLS % 4)
    return make_float4(apply(v.x, q, 4 * i), apply(v.y, q, 4 * i + 1), apply(v.z, q, 4 * i + 2), apply(v.w, q, 4 * i + 3));
  const float4 w = __ldg((const float4 *)q.weight + i), b = __ldg((const float4 *)q.bias + i);
  return make_float4(fmaf((v.x - q.mean) * q.scale, w.x, b.x), fmaf((v.y - q.mean) * q.scale, w.y, b.y),
                     fmaf((v.z - q.mean) * q.scale, w.z, b.z), fmaf((v.w - q.mean) * q.scale, w.w, b.w));
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
  return EVEN || i < s.packs ? read((const float4 *)(x + s.at) + i) : make_float4(0, 0, 0, 0);
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

/* Adds the packs in shared memory in the order of their arrival, four at a time. */
template <int K> static __device__ __forceinline__ void add_kept(const float4 *keep, const ring &q, const slice &s, moments &m)
{
  if constexpr (K < IN_SHARED) {
    constexpr int N = IN_SHARED - K < 4 ? IN_SHARED - K : 4;
    float4 v[N];
    if (BULK)
      for (int k = 0; k < N; k++)
        wait_kept(q, K + k);
    else
      asm volatile("cp.async.wait_group %0;" ::"n"(IN_SHARED - N - K + SPARE) : "memory");
    int valid = 0;
#pragma unroll
    for (int k = 0; k < N; k++) {
      const bool whole = EVEN || (IN_REGS + K + k) * BLOCK + THREAD < s.packs;
      v[k] = whole ? keep[slot_of(q.base, K + k)] : make_float4(0, 0, 0, 0);
      valid += whole;
    }
    add(m, v, valid);
    add_kept<K + N>(keep, q, s, m);
  }
}

static __device__ __forceinline__ void add_streamed(const float *x, const slice &s, moments &m)
{
  const float4 *in = (const float4 *)(x + s.at) + THREAD;
  for (int k = ON_CHIP; k < ROUNDS; k += UNROLL) {
    float4 v[UNROLL];
    int valid = 0;
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      const bool whole = EVEN || (k + u) * BLOCK + THREAD < s.packs;
      v[u] = whole ? in[(k + u) * BLOCK] : make_float4(0, 0, 0, 0);
      valid += whole;
    }
    add(m, v, valid);
  }
}

/* The last first: L2 has it. */
static __device__ __forceinline__ void store_streamed(const float *x, float *y, const slice &s, const rule &q)
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
        write(out + (k + u) * BLOCK, apply_pack(v[u], q, (k + u) * BLOCK + THREAD));
  }
}

static __device__ __forceinline__ moments warp_merge(moments m)
{
  for (int step = 16; step > 0; step /= 2)
    m = merge(m, {__shfl_down_sync(0xffffffffu, m.n, step), __shfl_down_sync(0xffffffffu, m.mean, step),
                  __shfl_down_sync(0xffffffffu, m.m2, step)});
  return m; /* whole in the first lane */
}

static __device__ __forceinline__ void post(word *box, moments m)
{
  const word w = (word)__float_as_uint(m.mean) << 32 | __float_as_uint(m.m2);
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(box), "l"(w == EMPTY ? w >> 1 : w) : "memory");
}

static __device__ __forceinline__ moments fetch(const word *box, int count)
{
  word w;
  for (;; __nanosleep(20)) {
    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(w) : "l"(box) : "memory");
    if (w != EMPTY)
      break;
  }
  return {(float)count, __uint_as_float((unsigned)(w >> 32)), __uint_as_float((unsigned)w)};
}

/* Of all threads of the team, for everybody. */
static __device__ __forceinline__ moments team_moments(moments *cell, word *mail, long long r, int member, moments m)
{
  m = warp_merge(m);
  if (THREAD % 32 == 0)
    cell[THREAD / 32] = m;
  __syncthreads();
  if (THREAD < 32) {
    m = {0.0f, 0.0f, 0.0f};
    if (THREAD < BLOCK / 32)
      m = cell[THREAD];
    m = warp_merge(m);
    if (TEAM > 1) {
      if (THREAD == 0)
        post(mail + r * TEAM + member, m);
      m = {0.0f, 0.0f, 0.0f};
      for (int other = THREAD; other < TEAM; other += 32)
        m = merge(m, fetch(mail + r * TEAM + other, elements_of(r, other)));
      m = warp_merge(m);
    }
    if (THREAD == 0)
      cell[32] = m;
  }
  __syncthreads();
  return cell[32];
}

extern "C" __global__ void __launch_bounds__(BLOCK, 1)
layernorm(const float *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ bias, float eps,
          float *__restrict__ y, word *mail, long long rows)
{
  __shared__ __align__(8) unsigned long long bars[SLOTS + 1];
  extern __shared__ float4 keep[]; /* KEEP packs of each thread */
  __shared__ moments cell[33];
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
    const bool has_edge = s.edge != NO_EDGE;
    const float edge = has_edge ? x[s.at + s.edge] : 0.0f;
    moments m = {has_edge ? 1.0f : 0.0f, edge, 0.0f};
    int valid = 0;
#pragma unroll
    for (int k = 0; k < IN_REGS; k++)
      valid += EVEN || k * BLOCK + THREAD < s.packs;
    reg[IN_REGS] = make_float4(0, 0, 0, 0);
    add(m, reg, valid);
    add_kept<0>(keep, q, s, m);
    add_streamed(x, s, m);
    m = team_moments(cell, mail, r, member, m);
    const float scale = rsqrtf(m.m2 / COLS + eps);
    const long long at = s.at - r * COLS;
    const rule u = {weight + at, bias + at, m.mean, scale};

    r += teams;
    const bool more = r < rows, yet_more = r + teams < rows;
    const slice after = slice_of(min(r + teams, rows - 1), member);
    float4 *out = (float4 *)(y + s.at) + THREAD;
    if (has_edge)
      y[s.at + s.edge] = apply(edge, u, s.edge);
    const auto refill = [&](int k) { /* the slot of the row's pack k is free */
      if (k + SPARE < IN_SHARED)
        start_pack(keep + slot_of(q.base, k), x, next, k + SPARE, more);
      else
        start_pack(keep + slot_of(q.base, k), x, after, k + SPARE - IN_SHARED, yet_more);
    };
    store_streamed(x, y, s, u);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++) {
      if (EVEN || k * BLOCK + THREAD < s.packs)
        write(out + k * BLOCK, apply_pack(reg[k], u, k * BLOCK + THREAD));
      if (MIX && more)
        reg[k] = load_pack(x, next, k);
    }
#pragma unroll
    for (int k = 0; k < IN_SHARED; k++) {
      if (EVEN || (IN_REGS + k) * BLOCK + THREAD < s.packs)
        write(out + (IN_REGS + k) * BLOCK, apply_pack(keep[slot_of(q.base, k)], u, (IN_REGS + k) * BLOCK + THREAD));
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
