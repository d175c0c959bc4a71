/* SPDX-License-Identifier: MIT */
/* Divergence: groups of lanes, which of them runs, where they meet; and barriers. */
#include "evaluator/sim/exec_parts.h"

enum { FAIR_BLOCKS = 256 };

void group_park(struct warp *w, enum group_state state, uint32_t pc, unsigned barrier)
{
    w->groups[w->n_groups++] =
        (struct group){pc, w->mask, UINT32_MAX, (uint8_t)state, (uint8_t)barrier};
    w->running = false;
    w->mask = 0;
}

static void group_take(struct warp *w, uint32_t i)
{
    w->pc = w->groups[i].pc;
    w->mask = w->groups[i].mask;
    w->groups[i] = w->groups[--w->n_groups];
    w->running = true;
}

/* Ready groups at the same point as the running one join it. */
static void group_merge(struct exec_scratch *x, struct warp *w)
{
    for (uint32_t i = 0; i < w->n_groups;) {
        struct group *g = &w->groups[i];
        if (g->state == GROUP_READY && g->pc == w->pc) {
            w->mask |= g->mask;
            if (g->block != UINT32_MAX) /* they run the block together */
                x->block_runs[g->block]--;
            *g = w->groups[--w->n_groups];
        } else {
            i++;
        }
    }
}

static uint32_t earliest_ready(const struct warp *w)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < w->n_groups; i++)
        if (w->groups[i].state == GROUP_READY &&
            (best == UINT32_MAX || w->groups[i].pc < w->groups[best].pc))
            best = i;
    return best;
}

/* If nobody is ready, those that wait for other lanes look again: lanes may have exited. */
bool group_next(struct exec_scratch *x, struct warp *w)
{
    uint32_t i = earliest_ready(w);
    for (uint32_t k = 0; i == UINT32_MAX && k < w->n_groups; k++)
        if (w->groups[k].state == GROUP_AT_SYNC)
            i = k;
    if (i == UINT32_MAX)
        return false;
    group_take(w, i);
    group_merge(x, w);
    return true;
}

void group_rotate(struct exec_scratch *x, struct warp *w)
{
    uint32_t n = w->n_groups;
    if (!w->running)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (w->groups[i].state == GROUP_READY) {
            struct group g = w->groups[i];
            memmove(&w->groups[i], &w->groups[i + 1], (n - i - 1) * sizeof(g));
            w->groups[n - 1] = (struct group){w->pc, w->mask, UINT32_MAX, GROUP_READY, 0};
            w->pc = g.pc;
            w->mask = g.mask;
            w->fair = FAIR_BLOCKS;
            group_merge(x, w);
            return;
        }
}

/* The running group arrives at a block's start. */
void group_enter_block(struct exec_scratch *x, struct warp *w, uint32_t block)
{
    const struct block *b = &x->program->blocks[block];
    x->block_runs[block]++;
    x->block_lanes[block] += (uint64_t)__builtin_popcount(w->mask);
    x->slice -= b->n;
    w->pc = b->first;
    if (!w->n_groups)
        return;
    group_merge(x, w);
    if (w->fair) {
        w->fair--;
        return;
    }
    uint32_t i = earliest_ready(w);
    if (i != UINT32_MAX && w->groups[i].pc < w->pc) {
        struct group self = {w->pc, w->mask, block, GROUP_READY, 0};
        group_take(w, i);
        w->groups[w->n_groups++] = self;
        group_merge(x, w);
    }
}

/* The lanes that go elsewhere wait at the start of their block; counts are taken when they run, so
 * here for both ways. */
static void group_split(struct exec_scratch *x, struct warp *w, uint32_t lanes, uint32_t block)
{
    const struct block *b = &x->program->blocks[block];
    x->block_runs[block]++;
    x->block_lanes[block] += (uint64_t)__builtin_popcount(lanes);
    w->groups[w->n_groups++] = (struct group){b->first, lanes, block, GROUP_READY, 0};
    w->mask &= ~lanes;
}

int group_branch(struct exec_scratch *x, struct warp *w, uint32_t taken, const struct insn *in)
{
    if (taken == w->mask) {
        group_enter_block(x, w, in->target[0]);
    } else if (!taken) {
        group_enter_block(x, w, in->target[1]);
    } else {
        group_split(x, w, taken, in->target[0]);
        group_enter_block(x, w, in->target[1]);
    }
    return 0;
}

int group_switch(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    uint32_t index[32];
    memcpy(index, src_at(x, w, in->r[0]), sizeof(index));
    for (;;) {
        unsigned lane = (unsigned)__builtin_ctz(w->mask);
        uint32_t same = 0;
        if (index[lane] >= in->target[1])
            return fault_at(x, w, in, lane, EXEC_FAULT_ILLEGAL, 0,
                            "brx.idx with index %u of %u targets", index[lane], in->target[1]);
        uint32_t to = x->program->switch_targets[in->target[0] + index[lane]];
        for (uint32_t m = w->mask; m; m &= m - 1) {
            unsigned i = (unsigned)__builtin_ctz(m);
            if (index[i] == index[lane])
                same |= 1u << i;
        }
        if (same == w->mask) {
            group_enter_block(x, w, to);
            return 0;
        }
        group_split(x, w, same, to);
    }
}

int group_exit(struct exec_scratch *x, struct warp *w)
{
    w->live &= ~w->mask;
    w->mask = 0;
    w->running = false;
    if (!w->live)
        w->done = true;
    if (barrier_recheck(x))
        return RUN_FAULT;
    return w->done || !group_next(x, w) ? RUN_WAIT : 0;
}

int group_sync(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t need)
{
    uint32_t others = 0, here = w->pc;
    for (uint32_t i = 0; i < w->n_groups;) {
        struct group *g = &w->groups[i];
        if (g->state == GROUP_AT_SYNC && g->pc == here) {
            w->mask |= g->mask;
            *g = w->groups[--w->n_groups];
        } else {
            i++;
        }
    }
    uint32_t missing = need & w->live & ~w->mask;
    if (!missing)
        return 0;
    for (uint32_t i = 0; i < w->n_groups; i++)
        if (w->groups[i].state == GROUP_READY)
            others |= w->groups[i].mask;
    if (others) {
        group_park(w, GROUP_AT_SYNC, here, 0);
        return RUN_WAIT;
    }
    if (!(x->launch->checks & EXEC_CHECK_DIVERGENCE))
        return 0;
    return fault_at(x, w, in, (unsigned)__builtin_ctz(w->mask), EXEC_FAULT_BARRIER, 0,
                    "an instruction for the lanes 0x%08x of a warp is reached by 0x%08x only: the "
                    "others wait elsewhere",
                    need, w->mask);
}

static uint32_t living_warps(const struct exec_scratch *x)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n_warps; i++)
        n += !x->warps[i].done;
    return n;
}

/* The result of bar.red for the lanes that wait at `in`. */
static void put_result(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask,
                       const struct barrier *b)
{
    uint32_t v = in->sub == BAR_AND ? b->all : b->any;
    if (in->sub == BAR_POPC) {
        uint32_t *d = (uint32_t *)x->tmp;
        for (unsigned i = 0; i < 32; i++)
            d[i] = b->popc;
        lanes_merge(x, w->regs + in->r[0], x->tmp, mask, 4);
    } else if (in->sub == BAR_AND || in->sub == BAR_OR) {
        pred_put(w, in->p[0], v ? ALL_LANES : 0, mask);
    }
}

static int release_warp(struct exec_scratch *x, struct warp *w, unsigned id,
                        const struct barrier *b)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < w->n_groups; i++) {
        struct group *g = &w->groups[i];
        if (g->state != GROUP_AT_BARRIER || g->barrier != id)
            continue;
        const struct insn *in = &x->program->insns[g->pc];
        if (first != UINT32_MAX && g->pc != first && x->launch->checks & EXEC_CHECK_DIVERGENCE)
            return fault_at(x, w, in, (unsigned)__builtin_ctz(g->mask), EXEC_FAULT_BARRIER, 0,
                            "lanes of one warp wait at different barriers (here and at PTX line "
                            "%u)",
                            x->program->insns[first].line);
        first = g->pc;
        put_result(x, w, in, g->mask, b);
        g->state = GROUP_READY;
        g->pc++;
    }
    w->barrier_lanes[id] = 0;
    return 0;
}

static int try_release(struct exec_scratch *x, unsigned id)
{
    struct barrier *b = &x->barriers[id];
    uint32_t expected = b->expected ? b->expected : living_warps(x);
    if (!b->arrived || b->arrived < expected)
        return 0;
    struct barrier done = *b;
    *b = (struct barrier){.all = true};
    x->barriers_used &= ~(1u << id);
    x->releases++;
    if (x->launch->profile)
        profile_barrier(x, done.warps);
    if (x->race)
        race_release(x, done.warps, id);
    for (uint32_t i = 0; i < x->n_warps; i++)
        if (done.warps >> i & 1 && release_warp(x, &x->warps[i], id, &done))
            return RUN_FAULT;
    return 0;
}

/* A warp has arrived when all its living lanes have. */
static int warp_arrived(struct exec_scratch *x, struct warp *w, unsigned id)
{
    struct barrier *b = &x->barriers[id];
    if (w->done || !w->barrier_lanes[id] || (w->live & ~w->barrier_lanes[id]) ||
        b->warps >> w->index & 1)
        return 0;
    b->warps |= 1u << w->index;
    b->arrived++;
    x->counts.barriers++;
    return try_release(x, id);
}

int barrier_recheck(struct exec_scratch *x)
{
    for (uint32_t used = x->barriers_used; used; used &= used - 1) {
        unsigned id = (unsigned)__builtin_ctz(used);
        for (uint32_t i = 0; i < x->n_warps; i++)
            if (x->warps[i].barrier_lanes[id] && warp_arrived(x, &x->warps[i], id))
                return RUN_FAULT;
        if (x->barriers[id].arrived && !x->barriers[id].expected && try_release(x, id))
            return RUN_FAULT;
    }
    return 0;
}

static void count_votes(struct exec_scratch *x, struct warp *w, const struct insn *in,
                        uint32_t mask, struct barrier *b)
{
    if (in->sub != BAR_POPC && in->sub != BAR_AND && in->sub != BAR_OR)
        return;
    (void)x;
    uint32_t votes = pred_at(w, in, 1) & mask;
    b->popc += (uint32_t)__builtin_popcount(votes);
    b->all = b->all && votes == mask;
    b->any = b->any || votes;
}

int barrier_arrive(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    const uint32_t *ref = x->program->refs + in->refs + in->n_dst;
    unsigned lane = (unsigned)__builtin_ctz(mask);
    uint32_t id, count;
    memcpy(&id, src_at(x, w, ref[0]) + 4 * lane, 4);
    memcpy(&count, src_at(x, w, ref[1]) + 4 * lane, 4);
    if (id >= BAR_COUNT || count % 32 || count > x->n_warps * 32)
        return fault_at(x, w, in, lane, EXEC_FAULT_ILLEGAL, 0,
                        "barrier %u for %u of the block's %u threads", id, count, x->threads);
    struct barrier *b = &x->barriers[id];
    if (b->arrived && b->expected != count / 32)
        return fault_at(x, w, in, lane, EXEC_FAULT_BARRIER, 0,
                        "barrier %u for %u threads, where others expect %u", id, count,
                        b->expected * 32);
    b->expected = count / 32;
    x->barriers_used |= 1u << id;
    if (x->race)
        race_arrive(x, w, id);
    if (in->sub == BAR_ARRIVE) {
        b->arrived++;
        x->counts.barriers++;
        return try_release(x, id);
    }
    count_votes(x, w, in, mask, b);
    uint32_t rest = w->mask & ~mask; /* guarded: the others go on */
    if (rest) {
        w->groups[w->n_groups++] = (struct group){w->pc + 1, rest, UINT32_MAX, GROUP_READY, 0};
        w->mask = mask;
    }
    w->barrier_lanes[id] |= mask;
    group_park(w, GROUP_AT_BARRIER, w->pc, id);
    return warp_arrived(x, w, id) ? RUN_FAULT : RUN_WAIT;
}

/* Nobody can go on: says who waits where. */
int barrier_deadlock(struct exec_scratch *x)
{
    for (uint32_t i = 0; i < x->n_warps; i++) {
        struct warp *w = &x->warps[i];
        if (w->asks && !w->n_groups)
            return fault_at(x, w, &x->program->insns[w->pc], (unsigned)__builtin_ctz(w->mask),
                            EXEC_FAULT_BARRIER, 0,
                            "deadlock: nobody can go on; this warp waits for an mbarrier");
        if (w->done || !w->n_groups)
            continue;
        const struct group *g = &w->groups[0];
        const struct insn *in = &x->program->insns[g->pc];
        uint32_t waiting = 0, lanes = 0;
        for (uint32_t k = 0; k < x->n_warps; k++) {
            waiting += !x->warps[k].done;
            lanes |= k == i ? x->warps[k].live : 0;
        }
        return fault_at(x, w, in, (unsigned)__builtin_ctz(g->mask), EXEC_FAULT_BARRIER, 0,
                        "deadlock: %u of %u warps wait and none can go on; this one has lanes "
                        "0x%08x of 0x%08x %s",
                        waiting, x->n_warps, g->mask, lanes,
                        g->state == GROUP_AT_BARRIER ? "at a barrier"
                                                     : "at an instruction that needs the others");
    }
    return fault_at(x, NULL, NULL, 0, EXEC_FAULT_BARRIER, 0, "deadlock");
}
