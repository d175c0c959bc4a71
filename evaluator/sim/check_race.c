/* SPDX-License-Identifier: MIT */
/* Races on shared memory between the warps of a block, by vector clocks (Flanagan and Freund 2009,
 * "FastTrack"): every warp has a clock for itself and what it knows of the others'; barriers,
 * atomics and fences hand knowledge on. For each word the last write and the last two readers are
 * kept, so a race may go unseen among more readers, but none is made up.
 *
 * Clocks go on from block to block, and what is older than the block's start counts as never, so
 * that nothing has to be cleared. */
#include "evaluator/sim/exec_state.h"
#include "base/util.h"

#include <stdlib.h>

struct cell {
    uint32_t write_clock, read_clock[2];
    uint32_t write_insn, read_insn[2];
    uint8_t write_warp, read_warp[2];
    uint8_t write_bytes : 4, write_atomic : 1;
    uint8_t read_bytes[2];
};

struct race_state {
    uint32_t known[EXEC_MAX_WARPS][EXEC_MAX_WARPS];
    uint32_t shared_clock[EXEC_MAX_WARPS];          /* handed on through atomics and fences */
    uint32_t barrier_clock[BAR_COUNT][EXEC_MAX_WARPS];
    uint32_t start; /* clocks below this are of earlier blocks */
    struct cell *cells;
    size_t n_cells;
};

int race_prepare(struct exec_scratch *x)
{
    size_t cells = (x->shared_bytes + 3) / 4;
    if (!(x->launch->checks & EXEC_CHECK_RACES) || !cells || x->n_warps < 2) {
        race_free(x->race);
        x->race = NULL;
        return 0;
    }
    if (!x->race || x->race->n_cells < cells) {
        race_free(x->race);
        x->race = xcalloc(1, sizeof(*x->race));
        x->race->cells = xcalloc(cells, sizeof(*x->race->cells));
        x->race->n_cells = cells;
        x->race->start = 1;
    }
    return 0;
}

void race_free(struct race_state *race)
{
    if (!race)
        return;
    free(race->cells);
    free(race);
}

void race_block_start(struct exec_scratch *x)
{
    struct race_state *r = x->race;
    uint32_t latest = r->start;
    for (unsigned i = 0; i < EXEC_MAX_WARPS; i++)
        latest = r->known[i][i] > latest ? r->known[i][i] : latest;
    if (latest > UINT32_MAX / 2) { /* start over before clocks wrap */
        memset(r->cells, 0, r->n_cells * sizeof(*r->cells));
        latest = 0;
    }
    r->start = latest + 1;
    memset(r->known, 0, sizeof(r->known));
    memset(r->shared_clock, 0, sizeof(r->shared_clock));
    memset(r->barrier_clock, 0, sizeof(r->barrier_clock));
    for (unsigned i = 0; i < EXEC_MAX_WARPS; i++)
        r->known[i][i] = r->start;
}

static void join(uint32_t *to, const uint32_t *from)
{
    for (unsigned i = 0; i < EXEC_MAX_WARPS; i++)
        to[i] = to[i] > from[i] ? to[i] : from[i];
}

static void release(struct race_state *r, const struct warp *w, uint32_t *to)
{
    join(to, r->known[w->index]);
    r->known[w->index][w->index]++;
}

void race_arrive(struct exec_scratch *x, const struct warp *w, unsigned id)
{
    release(x->race, w, x->race->barrier_clock[id]);
}

void race_release(struct exec_scratch *x, uint32_t warps, unsigned id)
{
    struct race_state *r = x->race;
    for (; warps; warps &= warps - 1)
        join(r->known[__builtin_ctz(warps)], r->barrier_clock[id]);
    memset(r->barrier_clock[id], 0, sizeof(r->barrier_clock[id]));
}

void race_sync(struct exec_scratch *x, const struct warp *w)
{
    struct race_state *r = x->race;
    join(r->known[w->index], r->shared_clock);
    release(r, w, r->shared_clock);
}

static bool ordered(const struct race_state *r, const struct warp *w, unsigned other,
                    uint32_t clock)
{
    return clock < r->start || other == w->index || r->known[w->index][other] >= clock;
}

static int report(struct exec_scratch *x, const struct warp *w, const struct insn *in,
                  const struct access *a, unsigned lane, bool other_wrote, unsigned other,
                  uint32_t insn)
{
    uint64_t addr = a->addr[lane];
    return fault_at(x, w, in, lane, EXEC_FAULT_RACE, addr,
                    "race on shared memory at 0x%x: warp %u %s what warp %u %s at PTX line %u "
                    "without a barrier in between", (unsigned)addr, w->index,
                    a->write ? "writes" : "reads", other, other_wrote ? "wrote" : "read",
                    x->program->insns[insn].line);
}

static int check_cell(struct exec_scratch *x, const struct warp *w, const struct insn *in,
                      const struct access *a, unsigned lane, struct cell *c, uint8_t bytes,
                      bool atomic)
{
    struct race_state *r = x->race;
    uint32_t now = r->known[w->index][w->index], insn = (uint32_t)(in - x->program->insns);
    if (c->write_bytes & bytes && !(atomic && c->write_atomic) &&
        !ordered(r, w, c->write_warp, c->write_clock))
        return report(x, w, in, a, lane, true, c->write_warp, c->write_insn);
    if (!a->write) {
        unsigned k = ordered(r, w, c->read_warp[0], c->read_clock[0]) ? 0 : 1;
        bool same = c->read_warp[k] == w->index && c->read_clock[k] == now;
        c->read_warp[k] = (uint8_t)w->index;
        c->read_clock[k] = now;
        c->read_insn[k] = insn;
        c->read_bytes[k] = (uint8_t)(same ? c->read_bytes[k] | bytes : bytes);
        return 0;
    }
    for (unsigned k = 0; k < 2; k++)
        if (c->read_bytes[k] & bytes && !ordered(r, w, c->read_warp[k], c->read_clock[k]))
            return report(x, w, in, a, lane, false, c->read_warp[k], c->read_insn[k]);
    bool same = c->write_warp == w->index && c->write_clock == now;
    c->write_bytes = (same ? c->write_bytes | bytes : bytes) & 15;
    c->write_warp = (uint8_t)w->index;
    c->write_clock = now;
    c->write_insn = insn;
    c->write_atomic = atomic;
    return 0;
}

int race_access(struct exec_scratch *x, struct warp *w, const struct insn *in,
                const struct access *a)
{
    bool atomic = a->atomic || ((in->kind == INSN_LD || in->kind == INSN_ST) && in->flags);
    uint64_t last = UINT64_MAX;
    if (a->space != PTX_SHARED)
        return 0;
    /* cp.async checks a copy of its instruction */
    if (in < x->program->insns || in >= x->program->insns + x->program->n_insns)
        in = &x->program->insns[w->pc];
    for (uint32_t m = a->mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t at = (uint64_t)((a->contiguous ? a->base + (size_t)lane * a->bytes : a->ptr[lane]) -
                                 x->shared);
        if (at == last || at >= x->shared_bytes) /* a broadcast; or a generic address of elsewhere */
            continue;
        last = at;
        for (uint32_t done = 0; done < a->bytes; done += a->bytes < 4 ? a->bytes : 4) {
            uint8_t bytes = a->bytes >= 4 ? 15
                          : (uint8_t)(((1u << a->bytes) - 1) << (at % 4));
            if (check_cell(x, w, in, a, lane, &x->race->cells[(at + done) / 4], bytes, atomic))
                return RUN_FAULT;
        }
    }
    if (atomic)
        race_sync(x, w);
    return 0;
}
