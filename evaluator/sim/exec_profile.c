/* SPDX-License-Identifier: MIT */
/* Figures for the time model: the traffic of each request. */
#include "evaluator/sim/exec_parts.h"

#include <stdlib.h>

const struct exec_latency *exec_latency_default(void)
{
    /* Cycles on Hopper as microbenchmarks report them (Luo et al. 2024, "Benchmarking and
     * Dissecting the Nvidia Hopper GPU Architecture": shared 29 to 33, L2 hit about 260, DRAM about
     * 480 to 660; arithmetic 4, MUFU and shuffles in the twenties, mma about 33). `global` is a mix
     * of L2 and DRAM. */
    static const struct exec_latency latency = {.alu = 5,
                                                .fma = 4,
                                                .f64 = 8,
                                                .sfu = 20,
                                                .tensor = 33,
                                                .shuffle = 24,
                                                .shared = 30,
                                                .l1 = 35,
                                                .global = 500,
                                                .global_atomic = 700,
                                                .constant = 30,
                                                .barrier = 20};
    return &latency;
}

static void add_traffic(struct exec_traffic *to, const struct exec_traffic *from)
{
    to->requests += from->requests;
    to->sectors += from->sectors;
    to->lines += from->lines;
    to->bytes += from->bytes;
}

void exec_counts_add(struct exec_counts *to, const struct exec_counts *from)
{
    to->blocks += from->blocks;
    to->warps += from->warps;
    to->warp_insts += from->warp_insts;
    to->lane_insts += from->lane_insts;
    for (unsigned i = 0; i < EXEC_PIPE_COUNT; i++)
        to->issue[i] += from->issue[i];
    for (unsigned i = 0; i < EXEC_TENSOR_COUNT; i++)
        to->tensor_flops[i] += from->tensor_flops[i];
    to->barriers += from->barriers;
    add_traffic(&to->global_load, &from->global_load);
    add_traffic(&to->global_store, &from->global_store);
    add_traffic(&to->global_atomic, &from->global_atomic);
    add_traffic(&to->async_copy, &from->async_copy);
    add_traffic(&to->local, &from->local);
    to->shared_requests += from->shared_requests;
    to->shared_wavefronts += from->shared_wavefronts;
    to->shared_bytes += from->shared_bytes;
    to->atomic_serial += from->atomic_serial;
    to->chain_cycles += from->chain_cycles;
    to->chain_memory += from->chain_memory;
    to->warp_cycles += from->warp_cycles;
    to->load_cycles += from->load_cycles;
}

/* A set of up to 64 numbers, for what a request touches: sectors, lines, words of a bank. */
struct small_set {
    uint64_t key[128];
    uint32_t n;
};

static bool set_add(struct small_set *s, uint64_t v)
{
    uint32_t h = (uint32_t)(v * 0x9e3779b97f4a7c15ull >> 57);
    while (s->key[h] && s->key[h] != v + 1)
        h = (h + 1) & 127;
    if (s->key[h])
        return false;
    s->key[h] = v + 1;
    s->n++;
    return true;
}

static void trace_put(struct exec_scratch *x, uint64_t entry)
{
    if (x->n_trace == x->cap_trace) {
        size_t cap = x->cap_trace ? x->cap_trace * 2 : 1 << 16;
        uint64_t *more = realloc(x->trace, cap * sizeof(*more));
        if (!more)
            return; /* a trace is a help, not a result */
        x->trace = more;
        x->cap_trace = cap;
    }
    x->trace[x->n_trace++] = entry;
}

void profile_block_start(struct exec_scratch *x)
{
    if (!x->l1)
        x->l1 = l1_new();
    l1_reset(x->l1, x->launch->l1_bytes);
}

/* One sector of a request: into L1, and into the trace. */
static void touch(struct exec_scratch *x, struct chain *c, uint64_t sector, unsigned kind)
{
    if (kind == EXEC_TRACE_LOAD && !l1_load(x->l1, sector * 32))
        kind = EXEC_TRACE_MISS;
    c->missed = c->missed || kind == EXEC_TRACE_MISS;
    if (x->launch->trace)
        trace_put(x, sector * 32 | kind);
}

static void global_contiguous(struct exec_scratch *x, struct chain *c, const struct access *a,
                              unsigned kind, struct exec_traffic *t)
{
    uint64_t lo = a->addr[0], hi = lo - 1 + (a->shape == ACCESS_WHOLE ? 32ull : 1) * a->bytes;
    t->sectors = hi / 32 - lo / 32 + 1;
    t->lines = hi / 128 - lo / 128 + 1;
    for (uint64_t s = lo / 32; s <= hi / 32; s++)
        touch(x, c, s, kind);
}

static void global_scattered(struct exec_scratch *x, struct chain *c, const struct access *a,
                             unsigned kind, struct exec_traffic *t)
{
    struct small_set sectors = {.n = 0}, lines = {.n = 0};
    for (uint32_t m = a->mask; m; m &= m - 1) {
        uint64_t lo = a->addr[__builtin_ctz(m)], hi = lo + a->bytes - 1;
        for (uint64_t s = lo / 32; s <= hi / 32; s++)
            if (set_add(&sectors, s))
                touch(x, c, s, kind);
        set_add(&lines, lo / 128);
    }
    t->sectors = sectors.n;
    t->lines = lines.n;
}

/* Passes through shared memory: for the lanes that go together (all, half or a quarter of the warp,
 * by the size of the access), the most different words that any of the 32 banks must give. */
static uint32_t shared_passes(const struct access *a)
{
    uint32_t lanes = a->bytes <= 4 ? 32 : 128 / a->bytes, passes = 0;
    uint32_t words = a->bytes <= 4 ? 1 : a->bytes / 4;
    for (uint32_t first = 0; first < 32; first += lanes) {
        uint32_t part = lanes == 32 ? a->mask : a->mask & (((1u << lanes) - 1) << first);
        struct small_set set = {.n = 0};
        uint32_t bank[32] = {0}, most = 0;
        for (; part; part &= part - 1) {
            uint64_t word = (a->addr[__builtin_ctz(part)] & 0xffffffff) / 4;
            for (uint32_t k = 0; k < words; k++)
                if (set_add(&set, word + k) && ++bank[(word + k) % 32] > most)
                    most = bank[(word + k) % 32];
        }
        passes += most;
    }
    return passes;
}

static void profile_shared(struct exec_scratch *x, const struct access *a)
{
    uint32_t lanes = (uint32_t)__builtin_popcount(a->mask);
    x->counts.shared_requests++;
    x->counts.shared_bytes += (uint64_t)lanes * a->bytes;
    x->counts.shared_wavefronts += a->shape == ACCESS_WHOLE     ? (a->bytes + 3) / 4
                                   : a->shape == ACCESS_UNIFORM ? 1
                                                                : shared_passes(a);
}

/* Atomics on one address are done one after the other. */
static uint32_t same_address(const struct access *a)
{
    uint32_t most = 1;
    for (uint32_t m = a->mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint32_t n = 0;
        for (uint32_t k = a->mask; k; k &= k - 1)
            n += a->addr[__builtin_ctz(k)] == a->addr[lane];
        most = n > most ? n : most;
    }
    return most;
}

void profile_access(struct exec_scratch *x, struct warp *w, const struct insn *in,
                    const struct access *a)
{
    struct exec_counts *c = &x->counts;
    struct exec_traffic t = {.requests = 1};
    unsigned kind = a->atomic     ? EXEC_TRACE_ATOMIC
                    : a->write    ? EXEC_TRACE_STORE
                    : in->past_l1 ? EXEC_TRACE_MISS
                                  : EXEC_TRACE_LOAD;
    w->chain.missed = false;
    if (a->atomic && in->kind == INSN_ATOM) /* a warp's lanes ask an mbarrier at once */
        c->atomic_serial += same_address(a) - 1;
    if (a->space == PTX_SHARED) {
        profile_shared(x, a);
        return;
    }
    t.bytes = (uint64_t)__builtin_popcount(a->mask) * a->bytes;
    if (a->space == PTX_LOCAL) { /* interleaved by lane in the machine: always whole lines */
        t.sectors = (t.bytes + 31) / 32;
        t.lines = (t.bytes + 127) / 128;
        add_traffic(&c->local, &t);
        return;
    }
    if (a->space != PTX_GLOBAL)
        return;
    if (a->shape == ACCESS_WHOLE || a->shape == ACCESS_UNIFORM)
        global_contiguous(x, &w->chain, a, kind, &t);
    else
        global_scattered(x, &w->chain, a, kind, &t);
    add_traffic(in->kind == INSN_CP_ASYNC || in->kind == INSN_BULK_LOAD ? &c->async_copy
                : a->atomic               ? &c->global_atomic
                : a->write                ? &c->global_store
                                          : &c->global_load,
                &t);
    if (!a->write)
        c->load_cycles += t.sectors * 32 * x->latency->global;
}
