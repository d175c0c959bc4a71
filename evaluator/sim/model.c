/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/model.h"

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/model_reuse.h"

static unsigned round_up(unsigned n, unsigned to)
{
    return (n + to - 1) / to * to;
}

uint64_t model_cache_capacity(const struct machine *m)
{
    return (uint64_t)((double)m->l2 * m->l2_leaves);
}

unsigned model_blocks_per_sm(const struct machine *m, unsigned threads, unsigned regs,
                             unsigned shared)
{
    unsigned warps = (threads + 31) / 32;
    unsigned block_shared = round_up(shared + m->block_shared_reserved, m->shared_unit);
    unsigned warp_regs = round_up(MAX(regs, 1u) * 32, m->reg_unit);
    unsigned n = MIN(m->sm_blocks, m->sm_threads / 32 / MAX(warps, 1u));
    /* registers stand in four banks, one for each scheduler and its warps */
    unsigned by_regs = m->sm_regs / 4 / warp_regs * 4 / MAX(warps, 1u);
    n = MIN(n, by_regs);
    return MIN(n, m->sm_shared / block_shared);
}

uint64_t model_l1_share(const struct machine *m, unsigned blocks, unsigned shared)
{
    const uint64_t both = 256 << 10; /* L1 and shared memory are one */
    uint64_t used = (uint64_t)blocks * round_up(shared + m->block_shared_reserved, m->shared_unit);
    uint64_t left = both - MIN(used, both - (16 << 10));
    return (uint64_t)((double)left * m->l1_keeps) / MAX(blocks, 1u);
}

/* Reading and writing by turns costs DRAM a little; either alone is faster. */
static double dram_time(const struct machine *m, double read, double written)
{
    double both = 2 * fmin(read, written);
    return (both / m->dram_mixed_s + (read - both / 2) / m->dram_read_s +
            (written - both / 2) / m->dram_write_s) *
           1e9;
}

double model_fill_time(const struct machine *m, uint64_t read, uint64_t written)
{
    return m->launch_ns + dram_time(m, (double)read, (double)written);
}

double model_host_copy_time(const struct machine *m, uint64_t bytes)
{
    return m->launch_ns + (double)bytes / m->host_bytes_s * 1e9;
}

/* What one block needs, on average. */
struct need {
    double cycles[WARPSIM_BOUND_COUNT]; /* of its SM, where the bound is an SM's */
    double ns[WARPSIM_BOUND_COUNT];     /* of the whole GPU, where it is that */
    double chain, waits;                /* cycles; of them, those for global memory */
};

static double tensor_cycles(const struct machine *m, const struct exec_counts *c)
{
    static const struct {
        enum exec_tensor from;
        enum machine_tensor to;
    } kinds[] = {{EXEC_TENSOR_F16, MACHINE_TENSOR_F16},
                 {EXEC_TENSOR_TF32, MACHINE_TENSOR_TF32},
                 {EXEC_TENSOR_I8, MACHINE_TENSOR_INT8},
                 {EXEC_TENSOR_F64, MACHINE_TENSOR_F64},
                 {EXEC_TENSOR_F8, MACHINE_TENSOR_INT8},
                 {EXEC_TENSOR_WG_F16, MACHINE_TENSOR_WG_F16},
                 {EXEC_TENSOR_WG_TF32, MACHINE_TENSOR_WG_TF32}};
    double cycles = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        cycles += (double)c->tensor_flops[kinds[i].from] / m->tensor[kinds[i].to];
    return cycles;
}

/* The chain was counted with one latency for every load past L1; put the mean one in its place. */
static void chain_of(const struct machine *m, const struct exec_counts *c, const struct reuse *r,
                     struct need *n)
{
    double mean = r->l2_hit * m->l2_latency + (1 - r->l2_hit) * m->dram_latency;
    n->waits = (double)c->chain_memory * mean / m->latency.global;
    n->chain = (double)(c->chain_cycles - c->chain_memory) + n->waits;
}

/* A warp has a quarter of an SM's pipes, so that few warps can't use them all. */
static double few_warps(const struct need *n, const struct exec_counts *c)
{
    static const enum warpsim_bound pipes[] = {WARPSIM_BOUND_ISSUE, WARPSIM_BOUND_ALU,
                                               WARPSIM_BOUND_FMA,   WARPSIM_BOUND_F64,
                                               WARPSIM_BOUND_SFU,   WARPSIM_BOUND_TENSOR};
    double most = 0, warps = (double)c->warps / (double)MAX(c->blocks, (uint64_t)1);
    for (size_t i = 0; i < ARRAY_LEN(pipes); i++)
        most = fmax(most, n->cycles[pipes[i]] * 4 / fmax(warps, 1));
    return most;
}

static void sm_need(const struct machine *m, const struct exec_counts *c, struct need *n)
{
    double issued = 0;
    double lines = (double)(c->global_load.lines + c->global_store.lines + c->async_copy.lines +
                            c->local.lines);

    for (int i = 0; i < EXEC_PIPE_COUNT; i++)
        issued += c->issue[i];
    n->cycles[WARPSIM_BOUND_ISSUE] = fmax(issued / m->issue, (double)c->barriers / m->barrier);
    n->cycles[WARPSIM_BOUND_ALU] = c->issue[EXEC_PIPE_ALU] * 32 / m->alu;
    n->cycles[WARPSIM_BOUND_FMA] = c->issue[EXEC_PIPE_FMA] * 32 / m->fma;
    n->cycles[WARPSIM_BOUND_F64] = c->issue[EXEC_PIPE_F64] * 32 / m->f64;
    n->cycles[WARPSIM_BOUND_SFU] = c->issue[EXEC_PIPE_SFU] * 32 / m->sfu;
    n->cycles[WARPSIM_BOUND_TENSOR] = tensor_cycles(m, c);
    n->cycles[WARPSIM_BOUND_LSU] = c->issue[EXEC_PIPE_LSU] * 32 / m->lsu;
    n->cycles[WARPSIM_BOUND_SHARED] =
        (double)c->shared_wavefronts / m->shared_wavefronts + lines / m->l1_lines;
}

/* L2 answers whole lines fastest; lone sectors and parts of sectors cost a request each. */
static double l2_time(const struct machine *m, const struct exec_counts *c, const struct reuse *r)
{
    double full = (double)c->global_store.bytes, sectors = (double)c->global_store.sectors;
    double partial = sectors > 0 ? fmax(1 - full / (32 * sectors), 0) : 0;
    double stores = r->l2_write / 32;
    double loads = fmax(r->l2_read / m->l2_bytes_s, r->l2_requests / m->l2_requests_s);
    return fmax(loads, stores * (partial / m->l2_partial_s + (1 - partial) * 32 / m->l2_write_s)) *
           1e9;
}

/* Bytes that a block spills: what ptxas said of a thread, as often as an instruction of the program
 * is executed on average. */
static double spilled(const struct model_launch *l)
{
    const struct exec_counts *c = &l->profile->counts;
    double warps = (double)MAX(c->warps, (uint64_t)1);
    double turns = fmax((double)c->warp_insts / warps / fmax(l->insns, 1), 1);
    return l->spill * turns * 32 * warps / (double)MAX(c->blocks, (uint64_t)1);
}

static struct need block_need(const struct model_launch *l, const struct reuse *r, double written)
{
    const struct machine *m = l->machine;
    const struct exec_counts *c = &l->profile->counts;
    struct need n = {0};
    double blocks = (double)MAX(l->profile->blocks, (uint64_t)1);
    double per = 1.0 / (double)MAX(l->profile->weighed, (uint64_t)1);

    sm_need(m, c, &n);
    chain_of(m, c, r, &n);
    for (int i = 0; i < WARPSIM_BOUND_COUNT; i++)
        n.cycles[i] *= per;
    n.chain *= per;
    n.waits *= per;
    double spill = spilled(l);
    n.cycles[WARPSIM_BOUND_SHARED] += 2 * spill / 128 / m->l1_lines;
    n.cycles[WARPSIM_BOUND_L2] = ((r->l2_read + r->l2_write) / blocks + spill) / 32 / m->l2_sectors;
    n.ns[WARPSIM_BOUND_L2] = l2_time(m, c, r) / blocks + spill / m->l2_write_s * 1e9;
    n.ns[WARPSIM_BOUND_BLOCKS] = 1e9 / m->blocks_s;
    n.ns[WARPSIM_BOUND_DRAM] = dram_time(m, r->dram_read, written) / blocks;
    if (r->atomic_requests > 0)
        n.ns[WARPSIM_BOUND_ATOMIC] =
            r->atomic_requests / (m->atomics_s * sqrt(fmax(r->atomic_lines, 1))) * 1e9 / blocks;
    n.chain = fmax(n.chain, few_warps(&n, c)) + m->block_cycles;
    return n;
}

/* Latency and memory throughput together. Queues at L2 and DRAM lengthen the waits by q u / (1 - u)
 * where they are used to the share u = memory / T, so (T - chain) (T - memory) = q waits memory, of
 * which this is the larger root. */
static double queued(double chain, double waits, double memory, double q)
{
    double apart = chain - memory;
    return (chain + memory + sqrt(apart * apart + 4 * q * fmin(waits, chain) * memory)) / 2;
}

/* Nanoseconds of `blocks` blocks that run at the same time, and bound by bound. */
static double wave_time(const struct machine *m, const struct need *n, double blocks,
                        double ret_bound[WARPSIM_BOUND_COUNT])
{
    double busiest = ceil(blocks / m->sms), memory = 0, pipes = 0;
    double cycle_ns = 1e9 / m->clock_hz;

    for (int i = 0; i < WARPSIM_BOUND_COUNT; i++) {
        ret_bound[i] = fmax(n->cycles[i] * busiest * cycle_ns, n->ns[i] * blocks);
        if (i == WARPSIM_BOUND_L2 || i == WARPSIM_BOUND_DRAM)
            memory += pow(ret_bound[i], m->smooth);
        else
            pipes += pow(ret_bound[i], m->smooth);
    }
    ret_bound[WARPSIM_BOUND_LATENCY] = n->chain * cycle_ns;
    double q = m->queue / pow(fmax(busiest, 1), m->queue_blocks);
    double t = queued(n->chain * cycle_ns, n->waits * cycle_ns, pow(memory, 1 / m->smooth), q);
    return pow(pow(t, m->smooth) + pipes, 1 / m->smooth);
}

static void fill_counts(const struct model_launch *l, const struct reuse *r,
                        struct warpsim_counters *out)
{
    const struct launch_profile *p = l->profile;
    const struct exec_counts *c = &p->counts;
    double scale = (double)p->blocks / (double)MAX(p->weighed, (uint64_t)1);

    out->blocks = p->blocks;
    out->blocks_run = p->blocks_run;
    out->blocks_profiled = p->n_traces;
    out->warp_insts = (double)c->warp_insts * scale;
    out->lane_insts = (double)c->lane_insts * scale;
    for (int i = 0; i < EXEC_TENSOR_COUNT; i++)
        out->tensor_flops += (double)c->tensor_flops[i] * scale;
    out->load_sectors = (double)(c->global_load.sectors + c->async_copy.sectors) * scale;
    out->store_sectors = (double)c->global_store.sectors * scale;
    out->l1_hit = r->l1_hit;
    out->l2_read_bytes = r->l2_read;
    out->dram_read_bytes = r->dram_read;
    out->dram_write_bytes = r->dram_write;
    out->shared_wavefronts = (double)c->shared_wavefronts * scale;
    /* without conflicts a pass moves 128 bytes, and a request takes one pass at least */
    double least = fmax((double)c->shared_bytes / 128, (double)c->shared_requests);
    out->shared_conflicts = fmax((double)c->shared_wavefronts - least, 0) * scale;
    out->registers = l->regs;
    out->shared_bytes = l->shared;
    out->host_seconds = p->host_seconds;
    out->host_lane_insts = (double)p->lane_insts;
}

static void remember(const struct machine *m, const struct reuse *r, struct model_cache *cache)
{
    double capacity = (double)model_cache_capacity(m), total = 0;
    for (unsigned i = 0; i < r->n_spans; i++)
        total += r->spans[i].footprint;
    double keeps = total > capacity ? capacity / total : 1;
    for (unsigned i = 0; i < r->n_spans; i++)
        model_cache_touch(cache, r->spans[i].span, (uint64_t)(r->spans[i].footprint * keeps),
                          (uint64_t)capacity);
}

void model_launch_time(const struct model_launch *l, struct model_cache *cache,
                       struct warpsim_counters *ret_counters)
{
    const struct machine *m = l->machine;
    struct warpsim_counters out = {0};
    unsigned threads = l->block[0] * l->block[1] * l->block[2];
    unsigned resident = model_blocks_per_sm(m, threads, l->regs, l->shared);
    double slots = (double)MAX(resident, 1u) * m->sms, blocks = (double)l->profile->blocks;
    double full = floor(blocks / slots), rest = blocks - full * slots;
    double in_full[WARPSIM_BOUND_COUNT], in_rest[WARPSIM_BOUND_COUNT];
    struct reuse r;

    reuse_estimate(l, (uint64_t)slots, cache, &r);
    fill_counts(l, &r, &out);
    double written = model_cache_written_back(cache, m, r.dram_read, r.dram_write);
    struct need need = block_need(l, &r, written);
    double full_ns = full > 0 ? wave_time(m, &need, slots, in_full) : 0;
    double rest_ns = rest > 0 ? wave_time(m, &need, rest, in_rest) : 0;
    double launch_ns = l->hidden_launch ? m->graph_ns : m->launch_ns;

    out.blocks_per_sm = resident;
    out.occupancy = (double)(resident * ((threads + 31) / 32)) / (m->sm_threads / 32.0);
    out.waves = blocks / slots;
    for (int i = 0; i < WARPSIM_BOUND_COUNT; i++)
        out.bound_ns[i] = (full > 0 ? full * in_full[i] : 0) + (rest > 0 ? in_rest[i] : 0);
    out.bound_ns[WARPSIM_BOUND_LAUNCH] =
        launch_ns + (cache->warm || r.dram_read <= 0 ? 0 : m->cold_ns);
    out.time_ns = out.bound_ns[WARPSIM_BOUND_LAUNCH] + full * full_ns + rest_ns;
    for (int i = 0; i < WARPSIM_BOUND_COUNT; i++)
        if (out.bound_ns[i] > out.bound_ns[out.bound])
            out.bound = (enum warpsim_bound)i;

    cache->warm = true;
    remember(m, &r, cache);
    *ret_counters = out;
}
