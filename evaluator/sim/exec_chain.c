/* SPDX-License-Identifier: MIT */
/*
 * A warp's critical path. ptxas schedules each basic block, so within one an instruction is taken
 * to issue as soon as its operands are there, and the block to end when its last instruction has
 * issued or when its issue slots are used up, whichever is later. Small loops are unrolled (`turns`
 * of them count as one block), which is how several of their loads are under way together.
 *
 * Times are packed: cycles since the block started in the upper half, and in the lower half those
 * of them that the path spent waiting for global memory. The larger one is the later one.
 */
#include "evaluator/sim/exec_parts.h"

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t after(uint64_t at, uint64_t cycles, bool memory)
{
    return at + (cycles << 32) + (memory ? cycles : 0);
}

static uint64_t end_of(const struct chain *c)
{
    return later(c->latest, after(c->floor, c->issued, false));
}

/* What comes next is scheduled by itself. */
static void close_window(struct chain *c, uint64_t at)
{
    c->floor = c->latest = at;
    c->issued = 0;
}

static void enter(struct chain *c, const struct insn *in)
{
    if (c->lead == in && ++c->turn % in->turns)
        return;
    if (c->lead != in) {
        c->lead = in;
        c->turn = 0;
    }
    close_window(c, end_of(c));
}

static uint32_t latency_of(const struct exec_latency *l, const struct insn *in)
{
    const uint16_t table[] = {l->alu,           l->fma,      l->f64,    l->sfu,
                              l->tensor,        l->shuffle,  l->shared, l->global,
                              l->global_atomic, l->constant, 0};
    return table[in->latency];
}

static uint64_t operands_ready(const struct exec_program *p, const struct chain *c,
                               const struct insn *in)
{
    const uint32_t *ref = p->refs + in->refs;
    uint64_t at = c->floor;
    for (unsigned k = in->n_dst; k < in->n_dst + in->n_src; k++)
        if (!(ref[k] & REF_CONST))
            at = later(at, c->ready[ref[k] / 64]);
    for (unsigned k = 0; k < 4; k++)
        if (in->p[k] != PRED_NONE)
            at = later(at, c->pred_ready[in->p[k]]);
    return in->guard != PRED_NONE ? later(at, c->pred_ready[in->guard]) : at;
}

/* Memory keeps its order where it might be the same memory, and waits keep everything's. */
static uint64_t in_order(const struct exec_latency *l, struct chain *c, const struct insn *in,
                         uint64_t at)
{
    bool shared = in->space == PTX_SHARED || in->kind == INSN_STMATRIX;
    switch (in->kind) {
    case INSN_LD:
    case INSN_LDMATRIX:
    case INSN_WMMA_LD:
        if (in->latency == LAT_SHARED)
            return later(at, c->shared_stored);
        return in->latency == LAT_GLOBAL && !in->read_only ? later(at, c->global_stored) : at;
    case INSN_ST:
    case INSN_STMATRIX:
    case INSN_WMMA_ST:
        *(shared ? &c->shared_stored : &c->global_stored) = at;
        return at;
    case INSN_ATOM:
        at = later(at, shared ? c->shared_stored : c->global_stored);
        *(shared ? &c->shared_stored : &c->global_stored) = at;
        return at;
    case INSN_CP_ASYNC:
        c->copies_done = later(c->copies_done, after(at, l->global, true));
        return at;
    case INSN_CP_COMMIT:
        c->copy_groups[c->n_copy_groups++ % CHAIN_COPY_GROUPS] = later(c->copies_done, at);
        return at;
    case INSN_CP_WAIT: {
        uint64_t keep = in->imm < 0 ? 0 : (uint64_t)in->imm;
        at = later(at, end_of(c));
        if (in->imm < 0)
            at = later(at, c->copies_done);
        else if (keep < c->n_copy_groups && keep < CHAIN_COPY_GROUPS)
            at = later(at, c->copy_groups[(c->n_copy_groups - 1 - keep) % CHAIN_COPY_GROUPS]);
        close_window(c, at);
        return at;
    }
    case INSN_FENCE:
    case INSN_BAR:
        at = later(at, end_of(c));
        close_window(c, at);
        return at;
    default:
        return at;
    }
}

void profile_issue(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    struct chain *c = &w->chain;
    const uint32_t *ref = x->program->refs + in->refs;

    if (c->held)
        return;
    if (in->turns)
        enter(c, in);
    uint64_t at = in_order(x->latency, c, in, operands_ready(x->program, c, in));
    bool hit = in->latency == LAT_GLOBAL && !c->missed;
    bool memory = (in->latency == LAT_GLOBAL && !hit) || in->latency == LAT_ATOMIC;
    uint64_t done = after(at, hit ? x->latency->l1 : latency_of(x->latency, in), memory);
    c->latest = later(c->latest, at);
    c->issued += in->weight;
    for (unsigned k = 0; k < in->n_dst; k++)
        c->ready[ref[k] / 64] = done;
    if (in->kind >= INSN_SETP && in->kind <= INSN_PLOGIC)
        for (unsigned k = 0; k < 2; k++)
            if (in->p[k] != PRED_NONE && (k == 0 || in->kind != INSN_PLOGIC))
                c->pred_ready[in->p[k]] = done;
}

void profile_barrier(struct exec_scratch *x, uint32_t warps)
{
    uint64_t latest = 0;
    for (uint32_t i = 0; i < x->n_warps; i++)
        if (warps >> i & 1)
            latest = later(latest, end_of(&x->warps[i].chain));
    for (uint32_t i = 0; i < x->n_warps; i++)
        if (warps >> i & 1)
            close_window(&x->warps[i].chain, after(latest, x->latency->barrier, false));
}

void profile_block_end(struct exec_scratch *x)
{
    uint64_t latest = 0;
    for (uint32_t i = 0; i < x->n_warps; i++) {
        uint64_t end = end_of(&x->warps[i].chain);
        x->counts.warp_cycles += end >> 32;
        latest = later(latest, end);
    }
    x->counts.chain_cycles += latest >> 32;
    x->counts.chain_memory += latest & 0xffffffff;
}
