/* SPDX-License-Identifier: MIT */
/* mbarrier: barriers that live in shared memory, as cuda::barrier and pipelines use them. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

#include <string.h>

static void take_scope(struct decoder *d)
{
    static const char *const ignored[] = {"release",     "acquire",         "relaxed",
                                          "cta",         "cluster",         "shared",
                                          "shared::cta", "shared::cluster", NULL};
    mod_ignore(d, ignored);
}

static int emit_mbarrier(struct decoder *d, enum mbarrier_op op, const struct ptx_operand *at,
                         const struct ptx_operand *value, enum ptx_type type, uint64_t fallback,
                         uint32_t dst, uint16_t pred)
{
    struct address a;
    uint32_t src = const_ref(d, fallback, slot_size(type));
    if (memory_address(d, at, &a) || (value && src_value(d, value, type, &src)))
        return d->failed;
    struct insn *in = emit(d, INSN_MBARRIER);
    in->sub = (uint8_t)op;
    in->space = PTX_SHARED;
    in->addr_width = a.width;
    in->imm = a.offset;
    in->elem = 8;
    in->vec = 1;
    in->width = 8;
    in->mode = (uint8_t)slot_size(type);
    in->p[0] = pred;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_LSU, 1, LAT_SHARED);
    if (dst != REF_NONE)
        add_dst(d, dst);
    add_src(d, a.ref);
    add_src(d, src);
    return d->failed;
}

/* mbarrier.arrive{.expect_tx}.shared.b64 state|_, [addr]{, count}; the older form without state has
 * two operands only where it counts. */
static int decode_arrive(struct decoder *d, bool drop)
{
    const struct ptx_operand *ops = d->s->operands;
    bool tx = mod(d, "expect_tx");
    bool remote = !strcmp(d->s->part[d->s->n_parts - 2], "shared::cluster");
    uint32_t dst = REF_NONE;
    mod(d, "noComplete");
    take_scope(d);
    bool has_state = d->s->n_operands && !ops[0].is_memory;
    unsigned n = d->s->n_operands, at = has_state ? 1 : 0;
    if (type_at(d, 0) != PTX_B64 || n < at + 1 || n > at + 2 || (tx && n != at + 2))
        return decode_refuse(d, "this form");
    if (has_state && !(remote && ops[0].kind == PTX_OPERAND_SINK) && dst_reg(d, &ops[0], 8, &dst))
        return d->failed;
    enum mbarrier_op op = tx     ? (drop ? MBARRIER_DROP_TX : MBARRIER_ARRIVE_TX)
                          : drop ? MBARRIER_DROP
                                 : MBARRIER_ARRIVE;
    return emit_mbarrier(d, op, &ops[at], n > at + 1 ? &ops[at + 1] : NULL, PTX_U32, 1, dst,
                         PRED_NONE);
}

/* mbarrier.try_wait{.parity}.shared.b64 p, [addr], state{, hint} */
static int decode_wait(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    bool parity = mod(d, "parity");
    uint16_t p;
    take_scope(d);
    if (type_at(d, 0) != PTX_B64 || operand_count(d, 3, 4) || pred_dst(d, &ops[0], &p))
        return decode_refuse(d, "this form");
    return emit_mbarrier(d, parity ? MBARRIER_WAIT_PARITY : MBARRIER_WAIT, &ops[1], &ops[2],
                         parity ? PTX_U32 : PTX_B64, 0, REF_NONE, p);
}

static int decode_pending(struct decoder *d)
{
    uint32_t dst, state;
    if (type_at(d, 0) != PTX_B64 || operand_count(d, 2, 2) ||
        src_value(d, &d->s->operands[1], PTX_B64, &state) ||
        dst_reg(d, &d->s->operands[0], 4, &dst))
        return decode_refuse(d, "this form");
    uint32_t mask = const_ref(d, MBARRIER_PENDING_MASK, 4), low = new_vreg(d, 4);
    emit_op(d, OPS_NARROW_64_32, low, state, REF_NONE, REF_NONE);
    emit_op(d, OPS_AND_32, dst, low, mask, REF_NONE);
    return d->failed;
}

static int decode_mbarrier(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    if (mod(d, "arrive"))
        return decode_arrive(d, false);
    if (mod(d, "arrive_drop"))
        return decode_arrive(d, true);
    if (mod(d, "test_wait") || mod(d, "try_wait"))
        return decode_wait(d);
    if (mod(d, "pending_count"))
        return decode_pending(d);
    bool init = mod(d, "init"), inval = mod(d, "inval"), expect = mod(d, "expect_tx");
    bool complete = mod(d, "complete_tx");
    take_scope(d);
    if (type_at(d, 0) != PTX_B64 || !(init || inval || expect || complete) ||
        operand_count(d, inval ? 1 : 2, inval ? 1 : 2))
        return decode_refuse(d, "this form");
    enum mbarrier_op op = init     ? MBARRIER_INIT
                          : inval  ? MBARRIER_INVAL
                          : expect ? MBARRIER_EXPECT_TX
                                   : MBARRIER_COMPLETE_TX;
    return emit_mbarrier(d, op, &ops[0], inval ? NULL : &ops[1], PTX_U32, 0, REF_NONE, PRED_NONE);
}

/* cp.async.mbarrier.arrive{.noinc}.shared.b64 [addr] */
int decode_copy_arrive(struct decoder *d)
{
    bool noinc = mod(d, "noinc");
    if (!mod(d, "mbarrier") || !mod(d, "arrive"))
        return decode_refuse(d, "");
    take_scope(d);
    if (type_at(d, 0) != PTX_B64 || operand_count(d, 1, 1))
        return decode_refuse(d, "this form");
    return emit_mbarrier(d, noinc ? MBARRIER_COPIES_NOINC : MBARRIER_COPIES, &d->s->operands[0],
                         NULL, PTX_U32, 1, REF_NONE, PRED_NONE);
}

const struct decode_entry decode_mbarrier_table[] = {{"mbarrier", decode_mbarrier}, {NULL, NULL}};
