/* SPDX-License-Identifier: MIT */
/* cp.async: copies to shared memory that are waited for. */
#include "evaluator/sim/decode.h"

#include <string.h>

static int decode_copy(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    struct address to, from;
    uint32_t size = REF_NONE;
    bool ca = mod(d, "ca"), cg = mod(d, "cg");
    mod_ignore(d, decode_cache_hints);
    bool policy = mod(d, "L2::cache_hint");
    mod(d, "shared");
    mod(d, "shared::cta");
    mod(d, "global");
    if (operand_count(d, 3, 5) || memory_address(d, &ops[0], &to) ||
        memory_address(d, &ops[1], &from))
        return d->failed;
    uint64_t n = ops[2].value;
    if (ops[2].kind != PTX_OPERAND_IMM || !(n == 16 || (ca && (n == 4 || n == 8))) || !(ca || cg))
        return decode_fail(d, "a copy of this size");
    unsigned extra = d->s->n_operands - 3u - (policy ? 1 : 0);
    if (extra > 1)
        return decode_fail(d, "too many operands");
    if (extra) {
        const struct ptx_operand *op = &ops[3];
        if (op->kind == PTX_OPERAND_REG && !operand_slot(d, op))
            return decode_refuse(d, "ignore-src");
        if (src_value(d, op, PTX_U32, &size))
            return d->failed;
    } else {
        size = const_ref(d, n, 4);
    }
    /* a copy needs two offsets: the first is added to its address here */
    if (to.offset) {
        uint32_t moved = new_vreg(d, to.width);
        uint32_t off = const_ref(d, (uint64_t)to.offset, to.width);
        emit_op(d, to.width == 8 ? OPS_ADD_64 : OPS_ADD_32, moved, to.ref, off, REF_NONE)->weight =
            0;
        to.ref = moved;
    }
    struct insn *in = emit(d, INSN_CP_ASYNC);
    address_of(in, &from, PTX_GLOBAL);
    in->mode = to.width;
    in->past_l1 = cg;
    in->elem = (uint8_t)n;
    in->vec = 1;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_LSU, 1, LAT_NONE);
    add_src(d, from.ref);
    add_src(d, to.ref);
    add_src(d, size);
    return d->failed;
}

static int decode_cp(struct decoder *d)
{
    if (!mod(d, "async"))
        return decode_refuse(d, "");
    for (unsigned i = 2; i < d->s->n_parts; i++)
        if (!strcmp(d->s->part[i], "bulk"))
            return decode_bulk(d);
    if (mod(d, "commit_group")) {
        cost(emit(d, INSN_CP_COMMIT), EXEC_PIPE_LSU, 1, LAT_NONE);
        return operand_count(d, 0, 0);
    }
    if (mod(d, "wait_all")) {
        emit(d, INSN_CP_WAIT)->imm = -1;
        return operand_count(d, 0, 0);
    }
    if (mod(d, "wait_group")) {
        const struct ptx_operand *op = &d->s->operands[0];
        if (operand_count(d, 1, 1))
            return d->failed;
        if (op->kind != PTX_OPERAND_IMM)
            return decode_fail(d, "the number of groups must be a constant");
        emit(d, INSN_CP_WAIT)->imm = (int64_t)(op->value & 0xffff);
        return d->failed;
    }
    if (d->s->n_parts > 2 && !strcmp(d->s->part[2], "mbarrier"))
        return decode_copy_arrive(d);
    return decode_copy(d);
}

const struct decode_entry decode_async_table[] = {{"cp", decode_cp}, {NULL, NULL}};
