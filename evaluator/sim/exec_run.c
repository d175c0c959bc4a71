/* SPDX-License-Identifier: MIT */
/* The loop over a warp's instructions. Arithmetic is done for all 32 lanes; where some must keep
 * their value, into a temporary vector first. Everything that has an effect beyond registers sees
 * only the active lanes. */
#include "evaluator/sim/exec_parts.h"

static inline void run_op(struct exec_scratch *x, struct warp *w, const struct insn *in,
                          uint32_t mask)
{
    uint8_t *dst = w->regs + in->r[0];
    const uint8_t *a = src_at(x, w, in->r[1]), *b = src_at(x, w, in->r[2]),
                  *c = src_at(x, w, in->r[3]);
    if (mask_full(w, mask)) {
        in->fn(dst, a, b, c, (uint32_t)in->imm);
        return;
    }
    in->fn(x->tmp, a, b, c, (uint32_t)in->imm);
    lanes_merge(x, dst, x->tmp, mask, in->width);
}

static uint32_t combine(const struct warp *w, const struct insn *in, uint32_t value)
{
    switch (in->mode) {
    case COMBINE_AND:
        return value & pred_at(w, in, 2);
    case COMBINE_OR:
        return value | pred_at(w, in, 2);
    case COMBINE_XOR:
        return value ^ pred_at(w, in, 2);
    default:
        return value;
    }
}

static inline void run_setp(struct exec_scratch *x, struct warp *w, const struct insn *in,
                            uint32_t mask)
{
    uint32_t r = in->cmp(src_at(x, w, in->r[0]), src_at(x, w, in->r[1]));
    uint32_t p = combine(w, in, r), q = combine(w, in, ~r);
    pred_put(w, in->p[0], p, mask);
    pred_put(w, in->p[1], q, mask);
}

/* Low and high halves as two vectors of 16-bit lanes. */
static void split_halves(const uint8_t *src, uint16_t *lo, uint16_t *hi)
{
    for (unsigned i = 0; i < 32; i++) {
        memcpy(&lo[i], src + 4 * i, 2);
        memcpy(&hi[i], src + 4 * i + 2, 2);
    }
}

static void compare_halves(struct exec_scratch *x, struct warp *w, const struct insn *in,
                           uint32_t ref_a, uint32_t ref_b, uint32_t *ret_lo, uint32_t *ret_hi)
{
    uint16_t a[2][32], b[2][32];
    split_halves(src_at(x, w, ref_a), a[0], a[1]);
    split_halves(src_at(x, w, ref_b), b[0], b[1]);
    *ret_lo = combine(w, in, in->cmp(a[0], b[0]));
    *ret_hi = combine(w, in, in->cmp(a[1], b[1]));
}

static void run_setp_x2(struct exec_scratch *x, struct warp *w, const struct insn *in,
                        uint32_t mask)
{
    uint32_t lo, hi;
    compare_halves(x, w, in, in->r[0], in->r[1], &lo, &hi);
    pred_put(w, in->p[0], lo, mask);
    pred_put(w, in->p[1], hi, mask);
}

static void run_set(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    uint64_t truth = (uint64_t)in->imm;
    uint8_t *t = x->tmp;
    uint32_t lo, hi;
    if (in->sub) {
        compare_halves(x, w, in, in->r[1], in->r[2], &lo, &hi);
        for (unsigned i = 0; i < 32; i++) {
            uint32_t v = (lo >> i & 1 ? (uint32_t)truth & 0xffff : 0) |
                         (hi >> i & 1 ? (uint32_t)truth & 0xffff0000 : 0);
            memcpy(t + 4 * i, &v, 4);
        }
    } else {
        lo = combine(w, in, in->cmp(src_at(x, w, in->r[1]), src_at(x, w, in->r[2])));
        for (unsigned i = 0; i < 32; i++) {
            uint64_t v = lo >> i & 1 ? truth : 0;
            memcpy(t + i * in->width, &v, in->width);
        }
    }
    lanes_merge(x, w->regs + in->r[0], t, mask, in->width);
}

static inline void run_selp(struct exec_scratch *x, struct warp *w, const struct insn *in,
                            uint32_t mask)
{
    const uint8_t *a = src_at(x, w, in->r[1]), *b = src_at(x, w, in->r[2]);
    uint8_t *dst = w->regs + in->r[0];
    if (mask_full(w, mask)) {
        x->program->ops->select[in->width / 4](dst, a, b, pred_at(w, in, 0));
        return;
    }
    x->program->ops->select[in->width / 4](x->tmp, a, b, pred_at(w, in, 0));
    lanes_merge(x, dst, x->tmp, mask, in->width);
}

static inline void run_plogic(struct warp *w, const struct insn *in, uint32_t mask)
{
    uint32_t p = pred_at(w, in, 1), q = pred_at(w, in, 2);
    uint32_t r = in->mode == COMBINE_AND ? p & q : in->mode == COMBINE_OR ? p | q : p ^ q;
    pred_put(w, in->p[0], r, mask);
}

/* The add.cc family: sums in 128 bits, the carry out is the bit above the width. A difference is the
 * sum with the complement plus one, and CC then the absence of a borrow (so on an H200). */
static void run_carry(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    unsigned bits = in->width * 8u;
    uint32_t carry = w->preds[in->p[0]], out = 0;
    uint64_t all = in->width == 8 ? UINT64_MAX : 0xffffffff;
    for (unsigned i = 0; i < 32; i++) {
        uint64_t a = 0, b = 0, c = 0, r;
        memcpy(&a, src_at(x, w, in->r[1]) + i * in->width, in->width);
        memcpy(&b, src_at(x, w, in->r[2]) + i * in->width, in->width);
        memcpy(&c, src_at(x, w, in->r[3]) + i * in->width, in->width);
        unsigned ci = in->flags & CARRY_IN ? carry >> i & 1 : in->sub == 1;
        unsigned __int128 sum;
        if (in->sub >= 2) {
            __int128 prod = in->is_signed
                                ? (in->width == 8 ? (__int128)(int64_t)a * (int64_t)b
                                                  : (__int128)((int64_t)(int32_t)a * (int32_t)b))
                                : (__int128)((unsigned __int128)a * b);
            a = (uint64_t)(in->sub == 3 ? prod >> bits : prod) & all;
            b = c;
        }
        sum = (unsigned __int128)a + (in->sub == 1 ? ~b & all : b) + ci;
        out |= (uint32_t)(sum >> bits & 1) << i;
        r = (uint64_t)sum & all;
        memcpy(x->tmp + i * in->width, &r, in->width);
    }
    lanes_merge(x, w->regs + in->r[0], x->tmp, mask, in->width);
    if (in->flags & CARRY_OUT)
        pred_put(w, in->p[0], out, mask);
}

static void run_ld_param(struct exec_scratch *x, struct warp *w, const struct insn *in,
                         uint32_t mask)
{
    uint64_t v = 0;
    memcpy(&v, x->launch->params + in->imm, in->elem);
    if (in->is_signed && in->elem < 8) {
        unsigned up = 64 - in->elem * 8u;
        v = (uint64_t)((int64_t)(v << up) >> up);
    }
    for (unsigned i = 0; i < 32; i++)
        memcpy(x->tmp + i * in->width, &v, in->width);
    lanes_merge(x, w->regs + in->r[0], x->tmp, mask, in->width);
}

static int run_assert(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    unsigned lane = (unsigned)__builtin_ctz(mask);
    const uint8_t *local = w->local + (size_t)lane * x->program->local_bytes;
    char text[120] = "";
    uint64_t addr;
    uint32_t line;
    memcpy(&addr, local + in->target[0], 8);
    memcpy(&line, local + in->target[1], 4);
    const struct vmem_span *s = vmem_find(x->launch->mem, addr);
    for (size_t i = 0; s && i + 1 < sizeof(text) && vmem_covers(s, addr + i, 1); i++) {
        text[i] = (char)*vmem_host(s, addr + i);
        text[i + 1] = 0;
        if (!text[i])
            break;
    }
    return fault_at(x, w, in, lane, EXEC_FAULT_ASSERT, 0, "assertion `%s' of line %u failed", text,
                    line);
}

/* The rarer kinds. */
static int run_other(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    switch (in->kind) {
    case INSN_SET:
        run_set(x, w, in, mask);
        return 0;
    case INSN_SETP_X2:
        run_setp_x2(x, w, in, mask);
        return 0;
    case INSN_PSET:
        pred_put(w, in->p[0], in->imm ? ALL_LANES : 0, mask);
        return 0;
    case INSN_CARRY:
        run_carry(x, w, in, mask);
        return 0;
    case INSN_LD_PARAM:
        run_ld_param(x, w, in, mask);
        return 0;
    case INSN_CP_ASYNC:
        return run_copy(x, w, in, mask);
    case INSN_CP_COMMIT:
        copy_commit(w);
        return 0;
    case INSN_CP_WAIT:
        copy_wait(x, w, in->imm < 0 ? UINT32_MAX : (uint32_t)in->imm);
        return 0;
    case INSN_MBARRIER:
        return run_mbarrier(x, w, in, mask);
    case INSN_ASSERT:
        return run_assert(x, w, in, mask);
    case INSN_TRAP:
        return fault_at(x, w, in, (unsigned)__builtin_ctz(mask), EXEC_FAULT_TRAP, 0,
                        "trap executed");
    case INSN_FENCE:
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* other host threads run other blocks */
        if (x->race)
            race_sync(x, w);
        return 0;
    case INSN_SLEEP:
        x->unused = x->slice;
        x->slept = true;
        x->slice = -1;
        return 0;
    case INSN_NOP:
        return 0;
    case INSN_LDMATRIX:
    case INSN_STMATRIX:
    case INSN_MOVMATRIX:
    case INSN_MMA:
    case INSN_WMMA_LD:
    case INSN_WMMA_ST:
    case INSN_WMMA_MMA:
        return run_matrix(x, w, in, mask);
    case INSN_WGMMA:
    case INSN_WGMMA_COMMIT:
    case INSN_WGMMA_WAIT:
        return run_wgmma(x, w, in, mask);
    case INSN_BULK_LOAD:
    case INSN_BULK_STORE:
        return run_bulk(x, w, in, mask);
    case INSN_BULK_COMMIT: /* copies are done when they are issued */
    case INSN_BULK_WAIT:
        return 0;
    default:
        return run_warp_op(x, w, in, mask);
    }
}

/* Jumps, branches, exits: changes the running group. 0 to go on at w->pc. */
static int run_control(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    switch (in->kind) {
    case INSN_JUMP:
        group_enter_block(x, w, in->target[0]);
        return 0;
    case INSN_BRANCH:
        return group_branch(x, w, pred_at(w, in, 0) & w->mask, in);
    case INSN_SWITCH:
        return group_switch(x, w, in);
    default:
        return group_exit(x, w);
    }
}

static inline bool is_control(unsigned kind)
{
    return kind >= INSN_JUMP && kind <= INSN_EXIT;
}

static inline __attribute__((always_inline)) int loop(struct exec_scratch *x, struct warp *w,
                                                      const bool profile)
{
    const struct insn *in = &x->program->insns[w->pc];
    int rc = 0;
    for (;; in++) {
        uint32_t mask = w->mask;
        if (is_control(in->kind)) {
            if (profile)
                profile_issue(x, w, in);
            rc = run_control(x, w, in);
            if (rc || x->slice < 0)
                return rc;
            in = &x->program->insns[w->pc] - 1;
            continue;
        }
        if (in->guard != PRED_NONE) {
            uint32_t p = w->preds[in->guard];
            mask &= in->guard_negated ? ~p : p;
            if (!mask)
                continue;
        }
        switch (in->kind) {
        case INSN_OP:
            run_op(x, w, in, mask);
            break;
        case INSN_SETP:
            run_setp(x, w, in, mask);
            break;
        case INSN_SELP:
            run_selp(x, w, in, mask);
            break;
        case INSN_PLOGIC:
            run_plogic(w, in, mask);
            break;
        case INSN_LD:
            rc = run_load(x, w, in, mask);
            break;
        case INSN_ST:
            rc = run_store(x, w, in, mask);
            break;
        case INSN_ATOM:
            rc = run_atom(x, w, in, mask);
            break;
        default:
            w->pc = (uint32_t)(in - x->program->insns);
            rc = run_other(x, w, in, mask);
            break;
        }
        if (rc == RUN_WAIT) { /* the group waits (or another one took its place) */
            if (!group_next(x, w))
                return RUN_WAIT;
            in = &x->program->insns[w->pc] - 1;
            rc = 0;
            continue;
        }
        if (rc)
            return rc;
        if (profile)
            profile_issue(x, w, in);
    }
}

int run_warp(struct exec_scratch *x, struct warp *w)
{
    if (!w->running && !group_next(x, w))
        return RUN_WAIT;
    return x->launch->profile ? loop(x, w, true) : loop(x, w, false);
}
