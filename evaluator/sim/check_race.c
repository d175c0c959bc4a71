/* SPDX-License-Identifier: MIT */
/* Races on shared memory between the warps of a block.
 *
 * Time goes in epochs, from one barrier of the whole block to the next. For each word the epoch of
 * the last write and who wrote, and the epoch of the last reads and all who read (other than
 * atomically), are kept: two warps that touch a word in one epoch, one of them writing, race.
 * Barriers of a part of the block, fences and atomics hand on knowledge within an epoch: from then
 * on a warp that has heard of another (even through a third) is believed to be in order with it, so
 * that a race may go unseen there, but none is made up.
 *
 * Epochs go on from block to block, so nothing has to be cleared in between. */
#include "evaluator/sim/exec_parts.h"
#include "base/util.h"

#include <stdlib.h>

struct race_state {
    uint32_t epoch;
    uint32_t heard[EXEC_MAX_WARPS]; /* in this epoch: warps that a warp has heard of, itself too */
    uint32_t heard_shared;          /* handed on through fences and atomics */
    uint32_t heard_barrier[BAR_COUNT];
    size_t n_words;
    uint32_t *write_epoch, *read_epoch, *readers;
    uint32_t *write_insn, *read_insn;
    uint8_t *writer, *write_bytes, *read_bytes; /* bit 7 of write_bytes: atomically */
};

enum { ATOMIC_WRITE = 128 };

static struct race_state *race_new(size_t words)
{
    struct race_state *r = xcalloc(1, sizeof(*r));
    uint32_t *u = xcalloc(5 * words, sizeof(*u));
    uint8_t *b = xcalloc(3 * words, 1);
    r->n_words = words;
    r->write_epoch = u;
    r->read_epoch = u + words;
    r->readers = u + 2 * words;
    r->write_insn = u + 3 * words;
    r->read_insn = u + 4 * words;
    r->writer = b;
    r->write_bytes = b + words;
    r->read_bytes = b + 2 * words;
    return r;
}

void race_free(struct race_state *race)
{
    if (!race)
        return;
    free(race->write_epoch);
    free(race->writer);
    free(race);
}

int race_prepare(struct exec_scratch *x)
{
    size_t words = (x->shared_bytes + 3) / 4;
    bool wanted = x->launch->checks & EXEC_CHECK_RACES && words && x->n_warps > 1;
    if (!wanted || (x->race && x->race->n_words < words)) {
        race_free(x->race);
        x->race = NULL;
    }
    if (wanted && !x->race)
        x->race = race_new(words);
    return 0;
}

static void next_epoch(struct race_state *r)
{
    if (++r->epoch == 0) { /* wrapped: forget everything */
        memset(r->write_epoch, 0, 5 * r->n_words * sizeof(uint32_t));
        r->epoch = 1;
    }
    for (unsigned i = 0; i < EXEC_MAX_WARPS; i++)
        r->heard[i] = 1u << i;
    r->heard_shared = 0;
}

void race_block_start(struct exec_scratch *x)
{
    memset(x->race->heard_barrier, 0, sizeof(x->race->heard_barrier));
    next_epoch(x->race);
}

void race_arrive(struct exec_scratch *x, const struct warp *w, unsigned id)
{
    x->race->heard_barrier[id] |= x->race->heard[w->index];
}

void race_release(struct exec_scratch *x, uint32_t warps, unsigned id)
{
    struct race_state *r = x->race;
    uint32_t living = 0, heard = r->heard_barrier[id];
    for (uint32_t i = 0; i < x->n_warps; i++)
        living |= x->warps[i].done ? 0 : 1u << i;
    r->heard_barrier[id] = 0;
    if (!(living & ~warps)) {
        next_epoch(r);
        return;
    }
    for (; warps; warps &= warps - 1)
        r->heard[__builtin_ctz(warps)] |= heard;
}

void race_sync(struct exec_scratch *x, const struct warp *w)
{
    struct race_state *r = x->race;
    r->heard[w->index] |= r->heard_shared;
    r->heard_shared |= r->heard[w->index];
}

static int report(struct exec_scratch *x, const struct warp *w, const struct insn *in,
                  const struct access *a, unsigned lane, bool other_wrote, unsigned other,
                  uint32_t insn)
{
    uint64_t addr = a->addr[lane];
    return fault_at(x, w, in, lane, EXEC_FAULT_RACE, addr,
                    "race on shared memory at 0x%x: warp %u %s what warp %u %s at PTX line %u "
                    "without a barrier in between",
                    (unsigned)addr, w->index, a->write ? "writes" : "reads", other,
                    other_wrote ? "wrote" : "read", x->program->insns[insn].line);
}

static int check_word(struct exec_scratch *x, const struct warp *w, const struct insn *in,
                      const struct access *a, unsigned lane, size_t word, uint8_t bytes,
                      bool atomic)
{
    struct race_state *r = x->race;
    uint32_t insn = (uint32_t)(in - x->program->insns), heard = r->heard[w->index];
    bool fresh_write = r->write_epoch[word] == r->epoch,
         fresh_read = r->read_epoch[word] == r->epoch;
    if (fresh_write && !(heard >> r->writer[word] & 1) && r->write_bytes[word] & bytes &&
        !(atomic && r->write_bytes[word] & ATOMIC_WRITE))
        return report(x, w, in, a, lane, true, r->writer[word], r->write_insn[word]);
    if (!a->write && atomic)
        return 0;
    if (!a->write) {
        r->readers[word] = (fresh_read ? r->readers[word] : 0) | 1u << w->index;
        r->read_bytes[word] = (uint8_t)((fresh_read ? r->read_bytes[word] : 0) | bytes);
        r->read_epoch[word] = r->epoch;
        r->read_insn[word] = insn;
        return 0;
    }
    uint32_t others = fresh_read ? r->readers[word] & ~heard : 0;
    if (others && r->read_bytes[word] & bytes)
        return report(x, w, in, a, lane, false, (unsigned)__builtin_ctz(others),
                      r->read_insn[word]);
    bool same = fresh_write && r->writer[word] == w->index;
    r->write_bytes[word] =
        (uint8_t)((same ? r->write_bytes[word] & 15 : 0) | bytes | (atomic ? ATOMIC_WRITE : 0));
    r->write_epoch[word] = r->epoch;
    r->writer[word] = (uint8_t)w->index;
    r->write_insn[word] = insn;
    return 0;
}

static int check_lane(struct exec_scratch *x, const struct warp *w, const struct insn *in,
                      const struct access *a, unsigned lane, bool atomic)
{
    uint64_t at = (uint64_t)(access_at(a, lane) - x->shared);
    if (at >= x->shared_bytes) /* a generic address of elsewhere */
        return 0;
    for (uint32_t done = 0; done < a->bytes; done += 4) {
        uint8_t bytes = a->bytes >= 4 ? 15 : (uint8_t)(((1u << a->bytes) - 1) << (at % 4));
        if (check_word(x, w, in, a, lane, (at + done) / 4, bytes, atomic))
            return RUN_FAULT;
    }
    return 0;
}

/* Whole words without gaps that nobody else has touched in a way that matters. False: look word by
 * word. */
static bool quick_read(struct exec_scratch *x, uint32_t warp, uint32_t insn, size_t word, size_t n)
{
    struct race_state *r = x->race;
    const struct ops_table *ops = x->program->ops;
    if (ops->any_equal(r->write_epoch + word, r->epoch, n))
        return false;
    ops->add_readers(r->read_epoch + word, r->readers + word, r->read_insn + word, r->epoch,
                     1u << warp, insn, n);
    memset(r->read_bytes + word, 15, n);
    return true;
}

static bool quick_write(struct exec_scratch *x, uint32_t warp, uint32_t insn, size_t word, size_t n)
{
    struct race_state *r = x->race;
    const struct ops_table *ops = x->program->ops;
    if (ops->any_equal(r->write_epoch + word, r->epoch, n) ||
        ops->any_equal(r->read_epoch + word, r->epoch, n))
        return false;
    for (size_t i = word; i < word + n; i++) {
        r->write_epoch[i] = r->epoch;
        r->write_insn[i] = insn;
    }
    memset(r->writer + word, (int)warp, n);
    memset(r->write_bytes + word, 15, n);
    return true;
}

int race_access(struct exec_scratch *x, struct warp *w, const struct insn *in,
                const struct access *a)
{
    bool atomic = a->atomic || ((in->kind == INSN_LD || in->kind == INSN_ST) && in->flags);
    if (a->space != PTX_SHARED)
        return 0;
    /* cp.async checks a copy of its instruction */
    if (in < x->program->insns || in >= x->program->insns + x->program->n_insns)
        in = &x->program->insns[w->pc];
    if (a->shape == ACCESS_WHOLE && a->bytes >= 4 && !atomic) {
        size_t word = (size_t)(a->base - x->shared) / 4, n = 8ull * a->bytes;
        uint32_t insn = (uint32_t)(in - x->program->insns);
        if (a->write ? quick_write(x, w->index, insn, word, n)
                     : quick_read(x, w->index, insn, word, n))
            return 0;
    }
    uint32_t lanes = a->shape == ACCESS_UNIFORM ? a->mask & -a->mask : a->mask;
    for (uint32_t m = lanes; m; m &= m - 1)
        if (check_lane(x, w, in, a, (unsigned)__builtin_ctz(m), atomic))
            return RUN_FAULT;
    if (atomic)
        race_sync(x, w);
    return 0;
}
