/* SPDX-License-Identifier: MIT */
/* mbarrier objects: a word of shared memory that counts arrivals and bytes under way, and whose
 * phase ends when both have come to nothing. What lies in the word is nobody else's business (PTX
 * ISA, "mbarrier object"); here: pending arrivals, the count a phase begins with, bytes, the phase.
 */
#include "evaluator/sim/exec_parts.h"

enum { PENDING_BITS = 20, EXPECTED_AT = 20, BYTES_AT = 40, BYTES_BITS = 22, PHASE_AT = 63 };

struct mbarrier {
    uint32_t pending, expected, phase;
    int32_t bytes;
};

static struct mbarrier unpack(uint64_t v)
{
    uint64_t mask = MBARRIER_PENDING_MASK;
    return (struct mbarrier){.pending = (uint32_t)(v & mask),
                             .expected = (uint32_t)(v >> EXPECTED_AT & mask),
                             .bytes = (int32_t)((uint32_t)(v >> BYTES_AT) << (32 - BYTES_BITS)) >>
                                      (32 - BYTES_BITS),
                             .phase = (uint32_t)(v >> PHASE_AT)};
}

static uint64_t pack(const struct mbarrier *b)
{
    uint64_t mask = MBARRIER_PENDING_MASK, bytes = (uint32_t)b->bytes & ((1u << BYTES_BITS) - 1);
    return (b->pending & mask) | (b->expected & mask) << EXPECTED_AT | bytes << BYTES_AT |
           (uint64_t)b->phase << PHASE_AT;
}

static void end_phase(struct mbarrier *b)
{
    if (b->pending || b->bytes)
        return;
    b->pending = b->expected;
    b->phase ^= 1;
}

/* 0, or why it can't be. */
static const char *arrive(struct mbarrier *b, uint32_t count)
{
    if (!count || count > b->pending)
        return "more arrivals at an mbarrier than it waits for";
    b->pending -= count;
    end_phase(b);
    return NULL;
}

static const char *update(enum mbarrier_op op, struct mbarrier *b, uint32_t value)
{
    switch (op) {
    case MBARRIER_INIT:
        *b = (struct mbarrier){.pending = value, .expected = value};
        return value && value <= MBARRIER_PENDING_MASK ? NULL
                                                       : "an mbarrier for a number it can't hold";
    case MBARRIER_INVAL:
        *b = (struct mbarrier){0};
        return NULL;
    case MBARRIER_ARRIVE_TX:
    case MBARRIER_DROP_TX:
        b->bytes += (int32_t)value;
        b->expected -= op == MBARRIER_DROP_TX && b->expected;
        return arrive(b, 1);
    case MBARRIER_DROP:
        b->expected -= value < b->expected ? value : b->expected;
        return arrive(b, value);
    case MBARRIER_EXPECT_TX:
        b->bytes += (int32_t)value;
        return NULL;
    case MBARRIER_COMPLETE_TX:
        b->bytes -= (int32_t)value;
        end_phase(b);
        return NULL;
    case MBARRIER_COPIES: /* the arrival was not counted on beforehand */
        b->pending++;
        return arrive(b, 1);
    default:
        return arrive(b, value);
    }
}

static bool waits(const struct insn *in)
{
    return in->sub == MBARRIER_WAIT || in->sub == MBARRIER_WAIT_PARITY;
}

/* A state is the object before the arrival: its phase is the one to wait for. */
static bool phase_over(const struct insn *in, const struct mbarrier *b, uint64_t operand)
{
    uint32_t phase =
        in->sub == MBARRIER_WAIT ? (uint32_t)(operand >> PHASE_AT) : (uint32_t)operand & 1;
    return b->phase != phase;
}

int mbarrier_complete(struct exec_scratch *x, struct warp *w, const struct insn *in, unsigned lane,
                      uint64_t addr, uint32_t bytes)
{
    struct insn seen = *in;
    struct access a = {.mask = 1u << lane, .bytes = 8, .write = true, .atomic = true};
    uint64_t word;
    seen.space = PTX_SHARED;
    a.addr[lane] = addr;
    if (access_check(x, w, &seen, &a))
        return RUN_FAULT;
    memcpy(&word, access_at(&a, lane), 8);
    struct mbarrier b = unpack(word);
    update(MBARRIER_COMPLETE_TX, &b, bytes);
    x->mbarrier_updates++;
    word = pack(&b);
    memcpy(access_at(&a, lane), &word, 8);
    return 0;
}

int run_mbarrier(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    const uint32_t *ref = x->program->refs + in->refs, *src = ref + in->n_dst;
    struct access a = {
        .mask = mask, .bytes = 8, .write = !waits(in), .atomic = in->sub != MBARRIER_INIT};
    uint32_t over = 0;
    if (access_resolve(x, w, in, src[0], &a))
        return RUN_FAULT;
    if (in->sub == MBARRIER_COPIES || in->sub == MBARRIER_COPIES_NOINC)
        copy_wait(x, w, UINT32_MAX); /* the copies that it stands for are done by then */
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint8_t *at = access_at(&a, lane);
        uint64_t word, operand = 0;
        memcpy(&word, at, 8);
        memcpy(&operand, src_at(x, w, src[1]) + lane * in->mode, in->mode);
        struct mbarrier b = unpack(word);
        if (waits(in)) {
            over |= (uint32_t)phase_over(in, &b, operand) << lane;
            continue;
        }
        const char *wrong = update(in->sub, &b, (uint32_t)operand);
        if (wrong)
            return fault_at(x, w, in, lane, EXEC_FAULT_BARRIER, a.addr[lane], "%s", wrong);
        if (in->n_dst)
            memcpy(w->regs + ref[0] + 8 * lane, &word, 8);
        word = pack(&b);
        memcpy(at, &word, 8);
    }
    if (!waits(in)) {
        x->mbarrier_updates++;
        return 0;
    }
    pred_put(w, in->p[0], over, mask);
    w->asks = w->chain.held = over != mask;
    w->asked_at = x->mbarrier_updates;
    if (w->asks && x->slice > 0) /* let the others get on */
        x->slice = 0;
    return 0;
}
