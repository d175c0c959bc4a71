/* SPDX-License-Identifier: MIT */
/* Batch norm (training) 2: a team of TEAM blocks holds as much of a channel on chip as it can.
   The form before read x three times. Here all blocks of the device (fewer for small channels) share a channel: a
   thread keeps REGS packs in registers and KEEP - AHEAD in a ring of KEEP slots of shared memory, filled by cp.async
   (with MIX as soon as a slot is free, else when the channel is stored); the other slots already take the next channel,
   so that memory doesn't rest while the blocks meet. The rest is read last and again first, in reverse, while L2 still
   has it. Mean and squared deviations are taken a few packs at a time as they arrive, and merged. Each block posts its
   pair as one 8-byte word to its box in `mail`, which starts as a pattern that nobody posts, and asks the boxes of its
   team until they are full: no fence, no counter, one trip through L2. The launch is cooperative, so that all blocks
   are there.
   Loses: all blocks wait for each other once a channel. */

#define THREAD ((int)threadIdx.x)
#define EMPTY 0xffffffffffffffffull
typedef unsigned long long word;
constexpr int PLANE = HW / VEC;                           /* packs of a channel of a sample */
constexpr long long PACKS = (long long)SAMPLES * PLANE;   /* of a channel */
constexpr int SHARE = (int)((PACKS + TEAM - 1) / TEAM);   /* of a block */
constexpr int ROUNDS = (SHARE + BLOCK - 1) / BLOCK;       /* of a thread */
constexpr int IN_REGS = ROUNDS < REGS ? ROUNDS : REGS;
constexpr int IN_SHARED = ROUNDS - IN_REGS < KEEP - AHEAD ? ROUNDS - IN_REGS : KEEP - AHEAD;
constexpr int ON_CHIP = IN_REGS + IN_SHARED;
constexpr int SPARE = KEEP - IN_SHARED < IN_SHARED ? KEEP - IN_SHARED : IN_SHARED; /* slots for the next channel */
constexpr int SLOTS = IN_SHARED + SPARE;
constexpr int UNROLL = 8;
constexpr bool EVEN = PACKS % TEAM == 0 && SHARE % BLOCK == 0; /* every thread has ROUNDS packs */
static_assert(PACKS < 1LL << 31, "packs of a channel are ints");

#if VEC == 4
typedef float4 pack;
static __device__ __forceinline__ pack none() { return make_float4(0, 0, 0, 0); }
static __device__ __forceinline__ float total(pack v) { return (v.x + v.y) + (v.z + v.w); }
static __device__ __forceinline__ float squares(pack v, float m)
{
  v = make_float4(v.x - m, v.y - m, v.z - m, v.w - m);
  return fmaf(v.x, v.x, v.y * v.y) + fmaf(v.z, v.z, v.w * v.w);
}
static __device__ __forceinline__ pack apply(pack v, float m, float a, float b)
{
  return make_float4(fmaf(v.x - m, a, b), fmaf(v.y - m, a, b), fmaf(v.z - m, a, b), fmaf(v.w - m, a, b));
}
#else
typedef float pack;
static __device__ __forceinline__ pack none() { return 0.0f; }
static __device__ __forceinline__ float total(pack v) { return v; }
static __device__ __forceinline__ float squares(pack v, float m) { return (v - m) * (v - m); }
static __device__ __forceinline__ pack apply(pack v, float m, float a, float b) { return fmaf(v - m, a, b); }
#endif

/* Where this thread's pack of round k is; `first` is the team member's first. What the channels have in common is hidden
   from the compiler, which would keep it in registers for every k. */
static __device__ __forceinline__ long long place(int c, int first, int k)
{
  int i = first + k * BLOCK + THREAD;
  asm volatile("" : "+r"(i));
  return ((long long)(i / PLANE) * CHANNELS + c) * PLANE + i % PLANE;
}

static __device__ __forceinline__ int count_of(int member)
{
  return (int)max(0LL, min((long long)SHARE, PACKS - (long long)member * SHARE));
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

/* Of the first `valid` of N packs; the others are zero. */
template <int N> static __device__ __forceinline__ void add(moments &m, const pack (&v)[N], int valid)
{
  float sum = 0.0f, m2 = 0.0f;
#pragma unroll
  for (int k = 0; k < N; k++)
    sum += total(v[k]);
  const float n = (float)VEC * min(max(valid, 0), N), mean = n > 0.0f ? __fdividef(sum, n) : 0.0f;
#pragma unroll
  for (int k = 0; k < N; k++)
    m2 += k < valid ? squares(v[k], mean) : 0.0f;
  m = merge(m, {n, mean, m2});
}

/* LOAD: 0 plain, 1 past L1 and marked as used once, 2 and 3 past L1 in stretches of 128 and 256 bytes. */
static __device__ __forceinline__ pack read(const pack *p) { return LOAD == 1 ? __ldcs(p) : *p; }

static __device__ __forceinline__ void copy_async(pack *to, const pack *from)
{
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
#if VEC == 1
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(from) : "memory");
#elif LOAD == 0
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
static __device__ __forceinline__ void write(pack *p, pack v)
{
  if (STORE)
    __stcs(p, v);
  else
    *p = v;
}

static __device__ __forceinline__ pack load_pack(const pack *x, int c, int first, int n, int k)
{
  return EVEN || k * BLOCK + THREAD < n ? read(x + place(c, first, k)) : none();
}

/* Slots are a ring: a channel's pack k is k after its first. */
static __device__ __forceinline__ int slot_of(int base, int k)
{
  return (base + k < SLOTS ? base + k : base + k - SLOTS) * BLOCK + THREAD;
}

static __device__ __forceinline__ void start_pack(pack *slot, const pack *x, int c, int first, int n, int k)
{
  if (c < CHANNELS && (EVEN || (IN_REGS + k) * BLOCK + THREAD < n))
    copy_async(slot, x + place(c, first, IN_REGS + k));
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Adds the packs in shared memory in the order of their arrival, four at a time. */
template <int K> static __device__ __forceinline__ void add_kept(const pack *keep, int base, int n, moments &m)
{
  if constexpr (K < IN_SHARED) {
    constexpr int N = IN_SHARED - K < 4 ? IN_SHARED - K : 4;
    pack v[N];
    asm volatile("cp.async.wait_group %0;" ::"n"(IN_SHARED - N - K + SPARE) : "memory");
    int valid = 0;
#pragma unroll
    for (int k = 0; k < N; k++) {
      const bool whole = EVEN || (IN_REGS + K + k) * BLOCK + THREAD < n;
      v[k] = whole ? keep[slot_of(base, K + k)] : none();
      valid += whole;
    }
    add(m, v, valid);
    add_kept<K + N>(keep, base, n, m);
  }
}

static __device__ __forceinline__ void add_streamed(const pack *x, int c, int first, int n, moments &m)
{
  for (int k = ON_CHIP; k < ROUNDS; k += UNROLL) {
    pack v[UNROLL];
    int valid = 0;
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
      const bool whole = (k + u) * BLOCK + THREAD < n;
      v[u] = whole ? x[place(c, first, k + u)] : none();
      valid += whole;
    }
    add(m, v, valid);
  }
}

/* The last first: L2 has it. */
static __device__ __forceinline__ void store_streamed(const pack *x, pack *y, int c, int first, int n, float m, float a,
                                                      float b)
{
  for (int k = ROUNDS - UNROLL; k > ON_CHIP - UNROLL; k -= UNROLL) {
    pack v[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      if (k + u >= ON_CHIP && (k + u) * BLOCK + THREAD < n)
        v[u] = read(x + place(c, first, k + u));
#pragma unroll
    for (int u = 0; u < UNROLL; u++)
      if (k + u >= ON_CHIP && (k + u) * BLOCK + THREAD < n)
        write(y + place(c, first, k + u), apply(v[u], m, a, b));
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
static __device__ __forceinline__ moments team_moments(moments *cell, word *mail, int c, int member, moments m)
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
        post(mail + c * TEAM + member, m);
      m = {0.0f, 0.0f, 0.0f};
      for (int other = THREAD; other < TEAM; other += 32)
        m = merge(m, fetch(mail + c * TEAM + other, VEC * count_of(other)));
      m = warp_merge(m);
    }
    if (THREAD == 0)
      cell[32] = m;
  }
  __syncthreads();
  return cell[32];
}

static __device__ __forceinline__ void run_on(float *running, float momentum, float v)
{
  *running = (1.0f - momentum) * *running + momentum * v;
}

extern "C" __global__ void __launch_bounds__(BLOCK, 1)
batch_norm(const pack *__restrict__ x, const float *__restrict__ weight, const float *__restrict__ bias,
           float *running_mean, float *running_var, long long *batches, float eps, float momentum, pack *__restrict__ y,
           word *mail)
{
  extern __shared__ float4 shared[];
  pack *keep = (pack *)shared; /* KEEP packs of each thread */
  __shared__ moments cell[33];
  const int member = blockIdx.x % TEAM, teams = gridDim.x / TEAM, first = member * SHARE, n = count_of(member);
  pack reg[IN_REGS + 1];
  int c = blockIdx.x / TEAM;
#pragma unroll
  for (int k = 0; k < IN_REGS; k++)
    reg[k] = load_pack(x, c, first, n, k);
#pragma unroll
  for (int k = 0; k < IN_SHARED; k++)
    start_pack(keep + slot_of(0, k), x, c, first, n, k);
#pragma unroll
  for (int k = 0; k < SPARE; k++)
    start_pack(keep + slot_of(0, IN_SHARED + k), x, c + teams, first, n, k);

  for (int base = 0; c < CHANNELS; c += teams, base = slot_of(base, IN_SHARED) / BLOCK) {
    moments m = {0.0f, 0.0f, 0.0f};
    int valid = 0;
#pragma unroll
    for (int k = 0; k < IN_REGS; k++)
      valid += EVEN || k * BLOCK + THREAD < n;
    reg[IN_REGS] = none();
    add(m, reg, valid);
    add_kept<0>(keep, base, n, m);
    add_streamed(x, c, first, n, m);
    m = team_moments(cell, mail, c, member, m);
    const float count = (float)PACKS * VEC, a = rsqrtf(m.m2 / count + eps) * weight[c], b = bias[c];
    if (member == 0 && THREAD == 0) {
      run_on(running_mean + c, momentum, m.mean);
      run_on(running_var + c, momentum, m.m2 / (count - 1.0f));
      if (c == 0)
        *batches += 1;
    }

    const int next = c + teams;
    const bool more = next < CHANNELS;
    const auto refill = [&](int k) { /* the slot of the row's pack k is free */
      if (k + SPARE < IN_SHARED)
        start_pack(keep + slot_of(base, k), x, next, first, n, k + SPARE);
      else
        start_pack(keep + slot_of(base, k), x, next + teams, first, n, k + SPARE - IN_SHARED);
    };
    store_streamed(x, y, c, first, n, m.mean, a, b);
#pragma unroll
    for (int k = 0; k < IN_REGS; k++) {
      if (EVEN || k * BLOCK + THREAD < n)
        write(y + place(c, first, k), apply(reg[k], m.mean, a, b));
      if (MIX && more)
        reg[k] = load_pack(x, next, first, n, k);
    }
#pragma unroll
    for (int k = 0; k < IN_SHARED; k++) {
      if (EVEN || (IN_REGS + k) * BLOCK + THREAD < n)
        write(y + place(c, first, IN_REGS + k), apply(keep[slot_of(base, k)], m.mean, a, b));
      if (MIX)
        refill(k);
    }
    if (!MIX) {
#pragma unroll
      for (int k = 0; k < IN_REGS; k++)
        if (more)
          reg[k] = load_pack(x, next, first, n, k);
#pragma unroll
      for (int k = 0; k < IN_SHARED; k++)
        refill(k);
    }
  }
}
