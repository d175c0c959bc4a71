/* SPDX-License-Identifier: MIT */
/* What the lanes of a warp do together: shuffles, votes, matches, reductions; and the registers
 * that depend on the moment. Each first waits for the lanes that its mask names. */
#include "evaluator/sim/exec_parts.h"
#include "evaluator/sim/ptx_ast.h"

struct member { /* an instruction over the lanes of its mask operand */
    uint32_t masks[32];
    uint32_t active;
};

/* Reads the masks of the active lanes and waits for all the lanes they name. */
static int gather_members(struct exec_scratch *x, struct warp *w, const struct insn *in,
                          uint32_t ref, struct member *m)
{
    uint32_t need = 0;
    memcpy(m->masks, src_at(x, w, ref), sizeof(m->masks));
    for (uint32_t k = w->mask; k; k &= k - 1)
        need |= m->masks[__builtin_ctz(k)];
    int rc = group_sync(x, w, in, need & w->exists);
    if (rc)
        return rc;
    m->active = w->mask; /* more lanes may have joined */
    memcpy(m->masks, src_at(x, w, ref), sizeof(m->masks));
    if (in->guard != PRED_NONE) {
        uint32_t p = w->preds[in->guard];
        m->active &= in->guard_negated ? ~p : p;
    }
    return 0;
}

static int run_shfl(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    uint32_t a[32], b[32], c[32], out[32], valid = 0;
    struct member m;
    const uint32_t *ref = x->program->refs + in->refs;
    int rc = gather_members(x, w, in, ref[4], &m);
    if (rc)
        return rc;
    memcpy(a, src_at(x, w, ref[1]), sizeof(a));
    memcpy(b, src_at(x, w, ref[2]), sizeof(b));
    memcpy(c, src_at(x, w, ref[3]), sizeof(c));
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t seg = c[lane] >> 8 & 31, clamp = c[lane] & 31, from = b[lane] & 31, src = lane;
        uint32_t top = (lane & seg) | (clamp & ~seg), low = lane & seg;
        bool ok;
        switch (in->sub) {
        case SHFL_UP:
            src = lane - from;
            ok = (int32_t)src >= (int32_t)top;
            break;
        case SHFL_DOWN:
            src = lane + from;
            ok = src <= top;
            break;
        case SHFL_BFLY:
            src = lane ^ from;
            ok = src <= top;
            break;
        default:
            src = low | (from & ~seg);
            ok = src <= top;
            break;
        }
        out[lane] = a[ok ? src & 31 : lane];
        valid |= (uint32_t)ok << lane;
    }
    lanes_merge(x, w->regs + ref[0], (const uint8_t *)out, m.active, 4);
    pred_put(w, in->p[0], valid, m.active);
    return 0;
}

static int run_vote(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    struct member m;
    uint32_t out[32], truth = 0;
    const uint32_t *ref = x->program->refs + in->refs;
    int rc = gather_members(x, w, in, ref[in->n_dst], &m);
    if (rc)
        return rc;
    uint32_t p = pred_at(w, in, 1);
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t who = m.masks[lane] & m.active, yes = p & who;
        bool r = in->sub == VOTE_ALL   ? yes == who
                 : in->sub == VOTE_ANY ? yes != 0
                                       : yes == who || !yes;
        out[lane] = yes;
        truth |= (uint32_t)r << lane;
    }
    if (in->sub == VOTE_BALLOT)
        lanes_merge(x, w->regs + ref[0], (const uint8_t *)out, m.active, 4);
    else
        pred_put(w, in->p[0], truth, m.active);
    return 0;
}

static int run_match(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    struct member m;
    uint32_t out[32], truth = 0;
    uint64_t v[32];
    const uint32_t *ref = x->program->refs + in->refs;
    int rc = gather_members(x, w, in, ref[1], &m);
    if (rc)
        return rc;
    const uint8_t *src = src_at(x, w, ref[2]);
    for (unsigned lane = 0; lane < 32; lane++) {
        v[lane] = 0;
        memcpy(&v[lane], src + lane * in->elem, in->elem);
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t who = m.masks[lane] & m.active, same = 0;
        for (unsigned k = 0; k < 32; k++)
            same |= (uint32_t)(v[k] == v[lane]) << k;
        out[lane] = in->sub ? ((same & who) == who ? who : 0) : same & who;
        truth |= (uint32_t)((same & who) == who) << lane;
    }
    lanes_merge(x, w->regs + ref[0], (const uint8_t *)out, m.active, 4);
    pred_put(w, in->p[0], truth, m.active);
    return 0;
}

static uint32_t reduce(const struct insn *in, uint32_t a, uint32_t b)
{
    bool s = in->mode == PTX_S32;
    switch (in->sub) {
    case REDUX_ADD:
        return a + b;
    case REDUX_MIN:
        return s ? ((int32_t)a < (int32_t)b ? a : b) : a < b ? a : b;
    case REDUX_MAX:
        return s ? ((int32_t)a > (int32_t)b ? a : b) : a > b ? a : b;
    case REDUX_AND:
        return a & b;
    case REDUX_OR:
        return a | b;
    default:
        return a ^ b;
    }
}

static int run_redux(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    struct member m;
    uint32_t a[32], out[32];
    const uint32_t *ref = x->program->refs + in->refs;
    int rc = gather_members(x, w, in, ref[1], &m);
    if (rc)
        return rc;
    memcpy(a, src_at(x, w, ref[2]), sizeof(a));
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t who = m.masks[lane] & m.active;
        out[lane] = who ? a[__builtin_ctz(who)] : 0;
        for (who &= who - (who != 0); who; who &= who - 1)
            out[lane] = reduce(in, out[lane], a[__builtin_ctz(who)]);
    }
    lanes_merge(x, w->regs + ref[0], (const uint8_t *)out, m.active, 4);
    return 0;
}

static int run_elect(struct exec_scratch *x, struct warp *w, const struct insn *in)
{
    struct member m;
    uint32_t out[32], leader = 0;
    const uint32_t *ref = x->program->refs + in->refs;
    int rc = gather_members(x, w, in, ref[1], &m);
    if (rc)
        return rc;
    for (unsigned lane = 0; lane < 32; lane++) {
        uint32_t who = m.masks[lane] & m.active;
        out[lane] = who ? (uint32_t)__builtin_ctz(who) : 0;
        leader |= who ? 1u << out[lane] : 0;
    }
    lanes_merge(x, w->regs + ref[0], (const uint8_t *)out, m.active, 4);
    pred_put(w, in->p[0], leader, m.active);
    return 0;
}

/* Clocks count executed instructions: they move on, and are the same on every run. */
static void run_special(struct exec_scratch *x, struct warp *w, const struct insn *in,
                        uint32_t mask)
{
    uint64_t now = x->used + (uint64_t)(8192 - x->slice), v = now * 4;
    if (in->sub == SPECIAL_CLOCK_HI)
        v >>= 32;
    if (in->sub >= SPECIAL_GLOBALTIMER)
        v = now * 2;
    if (in->sub == SPECIAL_GLOBALTIMER_HI)
        v >>= 32;
    for (unsigned i = 0; i < 32; i++)
        memcpy(x->tmp + i * in->width, &v, in->width);
    lanes_merge(x, w->regs + in->r[0], x->tmp, mask, in->width);
}

static int run_barrier(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    struct member m;
    if (in->sub == BAR_WARP)
        return gather_members(x, w, in, x->program->refs[in->refs], &m);
    return barrier_arrive(x, w, in, mask);
}

int run_warp_op(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    switch (in->kind) {
    case INSN_SHFL:
        return run_shfl(x, w, in);
    case INSN_VOTE:
        return run_vote(x, w, in);
    case INSN_MATCH:
        return run_match(x, w, in);
    case INSN_REDUX:
        return run_redux(x, w, in);
    case INSN_ELECT:
        return run_elect(x, w, in);
    case INSN_BAR:
        return run_barrier(x, w, in, mask);
    case INSN_SPECIAL:
        run_special(x, w, in, mask);
        return 0;
    case INSN_ACTIVEMASK:
        for (unsigned i = 0; i < 32; i++)
            memcpy(x->tmp + 4 * i, &mask, 4);
        lanes_merge(x, w->regs + in->r[0], x->tmp, mask, 4);
        return 0;
    default:
        return fault_at(x, w, in, (unsigned)__builtin_ctz(mask), EXEC_FAULT_ILLEGAL, 0,
                        "an instruction without a meaning");
    }
}
