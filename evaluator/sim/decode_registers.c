/* SPDX-License-Identifier: MIT */
/* Slots for virtual registers. Live ranges are intervals over the laid-out blocks (from the first
 * to the last point where a register is live, so holes inside are not used), found by the usual
 * backward data flow over blocks; slots are given in the order of interval starts and taken back at
 * interval ends, a free list for each width (Poletto and Sarkar 1999, linear scan without spills).
 */
#include "evaluator/sim/decode.h"

#include <stdlib.h>
#include <string.h>

enum { LIVE_WORDS_MAX = 1 << 25 }; /* of the sets of live registers: 256 MiB */

struct range {
    uint32_t vreg, from, to;
};

struct ranges {
    struct decoder *d;
    uint32_t *from, *to; /* by virtual register; from > to where it is never live */
    uint64_t *in;        /* live at the start of each block, as bits */
    size_t words;
};

static bool is_const(uint32_t ref)
{
    return ref & REF_CONST;
}

static void touch(struct ranges *r, uint32_t vreg, uint32_t at)
{
    if (at < r->from[vreg])
        r->from[vreg] = at;
    if (at > r->to[vreg])
        r->to[vreg] = at;
}

/* live becomes what is live at the block's start, given what is live at its end. A guarded write
 * keeps the old value alive, as lanes that it skips still hold it. */
static void transfer(struct ranges *r, const struct block *b, uint64_t *live, bool record)
{
    const struct exec_program *p = r->d->program;
    for (uint32_t i = b->first + b->n; i-- > b->first;) {
        const struct insn *in = &p->insns[i];
        const uint32_t *ref = r->d->refs + in->refs;
        for (unsigned k = 0; k < in->n_dst; k++) {
            if (in->guard == PRED_NONE)
                live[ref[k] / 64] &= ~(1ull << ref[k] % 64);
            if (record)
                touch(r, ref[k], i);
        }
        for (unsigned k = in->n_dst; k < in->n_dst + in->n_src; k++) {
            if (is_const(ref[k]))
                continue;
            live[ref[k] / 64] |= 1ull << ref[k] % 64;
            if (record)
                touch(r, ref[k], i);
        }
    }
}

static uint32_t successor(const struct exec_program *p, const struct block *b, uint32_t i)
{
    const struct insn *last = &p->insns[b->first + b->n - 1];
    switch (last->kind) {
    case INSN_JUMP:
        return i < 1 ? last->target[0] : UINT32_MAX;
    case INSN_BRANCH:
        return i < 2 ? last->target[i] : UINT32_MAX;
    case INSN_SWITCH:
        return i < last->target[1] ? p->switch_targets[last->target[0] + i] : UINT32_MAX;
    default:
        return UINT32_MAX;
    }
}

static void live_out(const struct ranges *r, uint32_t b, uint64_t *live)
{
    const struct exec_program *p = r->d->program;
    uint32_t to;
    memset(live, 0, r->words * sizeof(*live));
    for (uint32_t i = 0; (to = successor(p, &p->blocks[b], i)) != UINT32_MAX; i++)
        for (size_t w = 0; w < r->words; w++)
            live[w] |= r->in[to * r->words + w];
}

static void touch_all(struct ranges *r, const uint64_t *live, uint32_t at)
{
    for (size_t w = 0; w < r->words; w++)
        for (uint64_t bits = live[w]; bits; bits &= bits - 1)
            touch(r, (uint32_t)(w * 64 + (size_t)__builtin_ctzll(bits)), at);
}

static void find_ranges(struct ranges *r)
{
    struct exec_program *p = r->d->program;
    uint64_t *live = arena_alloc(r->d->work, r->words, sizeof(*live));
    r->in = arena_alloc(r->d->work, r->words * p->n_blocks, sizeof(*r->in));
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t b = (uint32_t)p->n_blocks; b-- > 0;) {
            live_out(r, b, live);
            transfer(r, &p->blocks[b], live, false);
            if (memcmp(live, r->in + b * r->words, r->words * sizeof(*live))) {
                memcpy(r->in + b * r->words, live, r->words * sizeof(*live));
                changed = true;
            }
        }
    }
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        const struct block *block = &p->blocks[b];
        live_out(r, b, live);
        touch_all(r, live, block->first + block->n - 1);
        transfer(r, block, live, true);
        touch_all(r, live, block->first);
    }
}

static int range_order(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->from != y->from ? (x->from > y->from) - (x->from < y->from)
                              : (x->vreg > y->vreg) - (x->vreg < y->vreg);
}

static int end_order(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->to != y->to ? (x->to > y->to) - (x->to < y->to)
                          : (x->vreg > y->vreg) - (x->vreg < y->vreg);
}

/* slot[vreg] becomes its byte offset. A register that ends where another begins keeps its slot for
 * that instruction: several destinations and sources of one instruction never share. */
static void give_slots(struct ranges *r, uint32_t *slot)
{
    struct decoder *d = r->d;
    size_t n = 0, ended = 0;
    struct range *starts = arena_alloc(d->work, d->n_vregs + 1, sizeof(*starts));
    for (uint32_t v = 0; v < d->n_vregs; v++)
        if (r->from[v] <= r->to[v])
            starts[n++] = (struct range){v, r->from[v], r->to[v]};
    struct range *ends = arena_alloc(d->work, n + 1, sizeof(*ends));
    memcpy(ends, starts, n * sizeof(*ends));
    qsort(starts, n, sizeof(*starts), range_order);
    qsort(ends, n, sizeof(*ends), end_order);
    uint32_t *free_slots[3], n_free[3] = {0}, live = 0, bytes = d->program->reg_bytes;
    for (unsigned c = 0; c < 3; c++)
        free_slots[c] = arena_alloc(d->work, n + 1, sizeof(uint32_t));
    for (size_t i = 0; i < n; i++) {
        for (; ended < n && ends[ended].to < starts[i].from; ended++) {
            unsigned size = d->vreg_size[ends[ended].vreg];
            unsigned c = size == 8 ? 2 : size == 4;
            free_slots[c][n_free[c]++] = slot[ends[ended].vreg];
            live -= size == 8 ? 2 : 1;
        }
        unsigned size = d->vreg_size[starts[i].vreg], c = size == 8 ? 2 : size == 4;
        live += size == 8 ? 2 : 1;
        if (live > d->program->live_regs)
            d->program->live_regs = live;
        if (n_free[c]) {
            slot[starts[i].vreg] = free_slots[c][--n_free[c]];
            continue;
        }
        slot[starts[i].vreg] = bytes;
        bytes += size * 32;
    }
    d->program->reg_bytes = bytes;
}

static void rewrite(struct decoder *d, const uint32_t *slot)
{
    struct exec_program *p = d->program;
    p->refs = arena_alloc(p->arena, d->n_refs + 1, sizeof(*p->refs));
    for (size_t i = 0; i < d->n_refs; i++)
        p->refs[i] = is_const(d->refs[i]) ? d->refs[i] : slot[d->refs[i]];
    for (size_t i = 0; i < p->n_insns; i++) {
        struct insn *in = &p->insns[i];
        unsigned n = in->n_dst + in->n_src;
        for (unsigned k = 0; k < 5; k++) /* beyond the last: a readable place */
            in->r[k] = k < n ? p->refs[in->refs + k] : n ? p->refs[in->refs + n - 1] : 0;
    }
    for (unsigned what = 0; what < SPECIAL_STATIC_COUNT; what++)
        if (d->special_ref[what])
            p->specials[p->n_specials++] =
                (struct program_special){what, slot[d->special_ref[what] - 1]};
}

int decode_registers(struct decoder *d)
{
    struct exec_program *p = d->program;
    struct ranges r = {.d = d, .words = (d->n_vregs + 63) / 64 + 1};
    if (r.words * p->n_blocks > LIVE_WORDS_MAX)
        return decode_fail(d, "%zu registers in %zu blocks are too many", d->n_vregs, p->n_blocks);
    uint32_t *slot = arena_alloc(d->work, d->n_vregs + 1, sizeof(*slot));
    r.from = arena_alloc(d->work, d->n_vregs + 1, sizeof(*r.from));
    r.to = arena_alloc(d->work, d->n_vregs + 1, sizeof(*r.to));
    memset(r.from, 0xff, (d->n_vregs + 1) * sizeof(*r.from));
    find_ranges(&r);
    /* special registers are filled once, when a warp starts, and stay */
    for (unsigned what = 0; what < SPECIAL_STATIC_COUNT; what++)
        if (d->special_ref[what]) {
            r.from[d->special_ref[what] - 1] = 0;
            r.to[d->special_ref[what] - 1] = (uint32_t)p->n_insns;
        }
    p->reg_bytes = 256; /* offset 0: what unused references point at */
    p->specials = arena_alloc(p->arena, SPECIAL_STATIC_COUNT, sizeof(*p->specials));
    give_slots(&r, slot);
    rewrite(d, slot);
    p->n_preds = d->n_preds + 1;
    return 0;
}
