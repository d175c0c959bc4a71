/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "evaluator/sim/exec.h"
#include "evaluator/sim/vmem.h"

#define SECTOR_BITS 5
#define TABLE_MAX (1u << 22) /* slots; what doesn't fit counts as distinct each time */

enum { SEEN_LOAD = 1, SEEN_STORE = 2, SEEN_ATOMIC = 4 };

struct slot { /* one sector that the group touched; sector 0 is never device memory */
    uint64_t sector;
    uint32_t block; /* its latest toucher's place, plus one */
    uint16_t piece;
    uint16_t seen; /* by that block */
};

struct trace {
    const struct vmem *mem;
    struct slot *slots;
    uint32_t n_slots, n_used;                    /* n_slots is a power of two */
    uint32_t place;                              /* of the next block in its group */
    const struct vmem_span *spans[TRACE_PIECES]; /* seen by the group, and the last one found */
    unsigned n_spans, last;
};

int trace_new(struct trace **ret_trace)
{
    struct trace *t = xcalloc(1, sizeof(*t));
    t->n_slots = 1u << 12;
    t->slots = xcalloc(t->n_slots, sizeof(*t->slots));
    *ret_trace = t;
    return 0;
}

void trace_free(struct trace *t)
{
    if (!t)
        return;
    free(t->slots);
    free(t);
}

static uint64_t mix(uint64_t x)
{
    x *= 0x9e3779b97f4a7c15ull;
    return x ^ (x >> 29);
}

void trace_begin(struct trace *t, const struct vmem *mem)
{
    t->mem = mem;
    t->place = 0;
    t->n_spans = 0;
    t->last = 0;
    t->n_used = 0;
    memset(t->slots, 0, t->n_slots * sizeof(*t->slots));
}

static struct slot *probe(struct slot *slots, uint32_t n, uint64_t sector)
{
    uint32_t i = (uint32_t)(mix(sector) >> 32) & (n - 1);
    while (slots[i].sector && slots[i].sector != sector)
        i = (i + 1) & (n - 1);
    return &slots[i];
}

static void table_grow(struct trace *t)
{
    uint32_t n = t->n_slots * 2;
    struct slot *slots = xcalloc(n, sizeof(*slots));
    for (uint32_t i = 0; i < t->n_slots; i++)
        if (t->slots[i].sector)
            *probe(slots, n, t->slots[i].sector) = t->slots[i];
    free(t->slots);
    t->slots = slots;
    t->n_slots = n;
}

/* Index of the piece that addr belongs to, or TRACE_PIECES. */
static unsigned piece_of(struct trace *t, uint64_t addr)
{
    if (t->n_spans && vmem_covers(t->spans[t->last], addr, 1))
        return t->last;
    for (unsigned i = 0; i < t->n_spans; i++)
        if (vmem_covers(t->spans[i], addr, 1))
            return t->last = i;
    const struct vmem_span *s = vmem_find(t->mem, addr);
    if (!s || t->n_spans == TRACE_PIECES)
        return TRACE_PIECES;
    t->spans[t->n_spans] = s;
    return t->last = t->n_spans++;
}

static void count_seen(struct trace_piece *p, unsigned seen)
{
    p->loaded += (seen & SEEN_LOAD) != 0;
    p->stored += (seen & SEEN_STORE) != 0;
    p->atomic += (seen & SEEN_ATOMIC) != 0;
}

/* Counts one touch of a sector in the block's piece. */
static void touch(struct trace *t, uint64_t addr, unsigned seen, struct trace_piece *pieces)
{
    uint64_t sector = addr >> SECTOR_BITS;
    struct slot *s = probe(t->slots, t->n_slots, sector);

    if (!s->sector) {
        unsigned piece = piece_of(t, addr);
        if (piece == TRACE_PIECES)
            return;
        pieces[piece].fresh++;
        if (t->n_used < TABLE_MAX / 2) {
            *s = (struct slot){.sector = sector, .piece = (uint16_t)piece};
            if (++t->n_used > t->n_slots / 2) {
                table_grow(t);
                s = probe(t->slots, t->n_slots, sector);
            }
        } else {
            pieces[piece].distinct++;
            count_seen(&pieces[piece], seen);
            return;
        }
    }
    struct trace_piece *p = &pieces[s->piece];
    if (s->block != t->place + 1) {
        uint64_t at = sector - (t->spans[s->piece]->addr >> SECTOR_BITS);
        s->block = t->place + 1;
        s->seen = 0;
        if (p->distinct++ == 0 || at < p->lo)
            p->lo = at;
    }
    count_seen(p, seen & ~s->seen);
    s->seen |= (uint16_t)seen;
}

/* How many sectors in a row the block touched from the piece's first one. */
static uint64_t run_length(const struct trace *t, const struct trace_piece *p, uint64_t span)
{
    uint64_t first = (span >> SECTOR_BITS) + p->lo, n = 0;
    while (n < p->distinct) {
        const struct slot *s = probe(t->slots, t->n_slots, first + n);
        if (!s->sector || s->block != t->place + 1)
            break;
        n++;
    }
    return n ? n : 1;
}

void trace_block(struct trace *t, const uint64_t *sectors, size_t n, struct trace_block *ret_block)
{
    struct trace_block b = {.place = t->place};
    struct trace_piece pieces[TRACE_PIECES] = {0};
    uint64_t missed = 0; /* the line of the last miss: its sectors go in one request */

    for (size_t i = 0; i < n; i++) {
        unsigned kind = sectors[i] & ((1u << SECTOR_BITS) - 1);
        uint64_t addr = sectors[i] & ~(uint64_t)((1u << SECTOR_BITS) - 1);
        if (kind == EXEC_TRACE_LOAD || kind == EXEC_TRACE_MISS) {
            b.load_sectors++;
            if (kind == EXEC_TRACE_MISS) {
                b.l2_load_sectors++;
                b.l2_load_lines += addr >> 7 != missed;
                missed = addr >> 7;
            }
            touch(t, addr, SEEN_LOAD, pieces);
        } else if (kind == EXEC_TRACE_STORE) {
            b.l2_store_sectors++;
            touch(t, addr, SEEN_STORE, pieces);
        } else {
            b.l2_atomic_sectors++;
            touch(t, addr, SEEN_LOAD | SEEN_STORE | SEEN_ATOMIC, pieces);
        }
    }
    for (unsigned i = 0; i < t->n_spans; i++) {
        if (!pieces[i].distinct)
            continue;
        pieces[i].span = t->spans[i]->addr;
        pieces[i].span_size = t->spans[i]->size;
        pieces[i].run = run_length(t, &pieces[i], t->spans[i]->addr);
        b.pieces[b.n_pieces++] = pieces[i];
    }
    t->place++;
    *ret_block = b;
}
