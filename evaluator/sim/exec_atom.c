/* SPDX-License-Identifier: MIT */
/* Atomics, lane after lane. Global memory is shared with the blocks that other host threads run, so
 * every operation is a compare-and-swap loop or one of the compiler's atomics there; the same code
 * serves shared memory. */
#include "evaluator/sim/exec_parts.h"
#include "evaluator/sim/ptx_ast.h"

static uint64_t add_float(enum ptx_type type, uint64_t old, uint64_t v)
{
    float f, g;
    double d, e;
    uint32_t u = (uint32_t)old, t = (uint32_t)v;
    switch (type) {
    case PTX_F32:
        memcpy(&f, &u, 4);
        memcpy(&g, &t, 4);
        f += g;
        memcpy(&u, &f, 4);
        return f == f ? u : 0x7fffffff;
    case PTX_F64:
        memcpy(&d, &old, 8);
        memcpy(&e, &v, 8);
        d += e;
        memcpy(&old, &d, 8);
        return old;
    case PTX_F16:
        return ops_f2h(ops_h2f((uint16_t)old) + ops_h2f((uint16_t)v));
    case PTX_BF16:
        return ops_f2bf(ops_bf2f((uint16_t)old) + ops_bf2f((uint16_t)v));
    default: {
        enum ptx_type half = type == PTX_F16X2 ? PTX_F16 : PTX_BF16;
        return add_float(half, old & 0xffff, v & 0xffff) |
               add_float(half, old >> 16 & 0xffff, v >> 16 & 0xffff) << 16;
    }
    }
}

static uint64_t extreme_half(enum ptx_type type, bool max, uint64_t old, uint64_t v)
{
    if (type == PTX_F16X2 || type == PTX_BF16X2) {
        enum ptx_type half = type == PTX_F16X2 ? PTX_F16 : PTX_BF16;
        return extreme_half(half, max, old & 0xffff, v & 0xffff) |
               extreme_half(half, max, old >> 16 & 0xffff, v >> 16 & 0xffff) << 16;
    }
    float a = type == PTX_F16 ? ops_h2f((uint16_t)old) : ops_bf2f((uint16_t)old);
    float b = type == PTX_F16 ? ops_h2f((uint16_t)v) : ops_bf2f((uint16_t)v);
    if (a != a)
        return v;
    if (b != b)
        return old;
    return (max ? b > a : b < a) ? v : old;
}

static uint64_t extreme(enum ptx_type type, bool max, uint64_t old, uint64_t v)
{
    bool less;
    switch (type) {
    case PTX_S32:
        less = (int32_t)v < (int32_t)old;
        break;
    case PTX_S64:
        less = (int64_t)v < (int64_t)old;
        break;
    case PTX_U32:
    case PTX_U64:
    case PTX_B32:
    case PTX_B64:
        less = v < old;
        break;
    default:
        return extreme_half(type, max, old, v);
    }
    return v == old ? old : less != max ? v : old;
}

static uint64_t combine(const struct insn *in, uint64_t old, uint64_t v, uint64_t other)
{
    enum ptx_type type = in->mode;
    switch (in->sub) {
    case ATOM_ADD:
        return ptx_type_is_float(type) ? add_float(type, old, v) : old + v;
    case ATOM_MIN:
        return extreme(type, false, old, v);
    case ATOM_MAX:
        return extreme(type, true, old, v);
    case ATOM_AND:
        return old & v;
    case ATOM_OR:
        return old | v;
    case ATOM_XOR:
        return old ^ v;
    case ATOM_INC:
        return old >= v ? 0 : old + 1;
    case ATOM_DEC:
        return old == 0 || old > v ? v : old - 1;
    case ATOM_EXCH:
        return v;
    default:
        return old == v ? other : old;
    }
}

#define UPDATE(type)                                                                               \
    do {                                                                                           \
        type *at = (type *)p, old = __atomic_load_n(at, __ATOMIC_RELAXED), next;                   \
        do                                                                                         \
            next = (type)combine(in, old, v, other);                                               \
        while (!__atomic_compare_exchange_n(at, &old, next, false, __ATOMIC_SEQ_CST,               \
                                            __ATOMIC_SEQ_CST));                                    \
        return old;                                                                                \
    } while (0)

static uint64_t update(const struct insn *in, uint8_t *p, uint64_t v, uint64_t other)
{
    if (in->elem == 4)
        UPDATE(uint32_t);
    if (in->elem == 8)
        UPDATE(uint64_t);
    UPDATE(uint16_t);
}

int run_atom(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask)
{
    struct access a = {
        .mask = mask, .bytes = (uint32_t)in->elem * in->vec, .write = true, .atomic = true};
    const uint32_t *ref = x->program->refs + in->refs, *src = ref + in->n_dst + 1;
    unsigned width = in->width;
    int rc = access_resolve(x, w, in, ref[in->n_dst], &a);
    if (rc)
        return rc;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        for (unsigned k = 0; k < in->vec; k++) {
            uint64_t v = 0, other = 0, old;
            memcpy(&v, src_at(x, w, src[k]) + lane * width, in->elem);
            if (in->sub == ATOM_CAS)
                memcpy(&other, src_at(x, w, src[in->vec]) + lane * width, in->elem);
            old = update(in, access_at(&a, lane) + k * in->elem, v, other);
            if (in->n_dst)
                memcpy(w->regs + ref[k] + lane * width, &old, width);
        }
    }
    return 0;
}
