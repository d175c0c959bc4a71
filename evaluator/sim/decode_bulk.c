/* SPDX-License-Identifier: MIT */
/* cp.async.bulk: a thread's copy of a contiguous piece between global and shared memory. */
#include "evaluator/sim/decode.h"

/* An address with its offset added: such a copy has up to three. */
static int flat_address(struct decoder *d, const struct ptx_operand *op, struct address *ret)
{
    if (memory_address(d, op, ret))
        return d->failed;
    if (ret->offset) {
        uint32_t moved = new_vreg(d, ret->width);
        uint32_t offset = const_ref(d, (uint64_t)ret->offset, ret->width);
        emit_op(d, ret->width == 8 ? OPS_ADD_64 : OPS_ADD_32, moved, ret->ref, offset, REF_NONE)
            ->weight = 0;
        ret->ref = moved;
        ret->offset = 0;
    }
    return d->failed;
}

/* [to], [from], bytes{, [mbarrier]} */
static int decode_copy(struct decoder *d, bool load)
{
    const struct ptx_operand *ops = d->s->operands;
    struct address to, from, bar = {0};
    uint32_t bytes;
    bool policy = mod(d, "L2::cache_hint");
    unsigned n = 3u + load + policy;
    if (operand_count(d, n, n) || flat_address(d, &ops[0], &to) ||
        flat_address(d, &ops[1], &from) || src_value(d, &ops[2], PTX_U32, &bytes) ||
        (load && flat_address(d, &ops[3], &bar)))
        return d->failed;
    struct insn *in = emit(d, load ? INSN_BULK_LOAD : INSN_BULK_STORE);
    in->space = PTX_GLOBAL;
    in->addr_width = from.width;
    in->mode = to.width;
    in->flags = bar.width;
    in->elem = 16;
    in->vec = 1;
    in->past_l1 = true;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_LSU, 1, LAT_NONE);
    add_src(d, from.ref);
    add_src(d, to.ref);
    add_src(d, bytes);
    if (load)
        add_src(d, bar.ref);
    return d->failed;
}

int decode_bulk(struct decoder *d)
{
    mod(d, "bulk");
    if (mod(d, "commit_group")) {
        cost(emit(d, INSN_BULK_COMMIT), EXEC_PIPE_LSU, 1, LAT_NONE);
        return operand_count(d, 0, 0);
    }
    if (mod(d, "wait_group")) {
        mod(d, "read");
        emit(d, INSN_BULK_WAIT);
        return operand_count(d, 1, 1);
    }
    if (mod(d, "prefetch")) { /* changes no result */
        d->taken = UINT32_MAX;
        cost(emit(d, INSN_NOP), EXEC_PIPE_LSU, 1, LAT_NONE);
        return d->failed;
    }
    if (mod(d, "multicast::cluster") || mod(d, "tensor"))
        return decode_refuse(d, "this form");
    bool global = mod(d, "global"), shared = mod(d, "shared::cluster") || mod(d, "shared::cta");
    bool load = mod(d, "mbarrier::complete_tx::bytes");
    if (!global || !shared || (!load && !mod(d, "bulk_group")))
        return decode_refuse(d, "this form");
    return decode_copy(d, load);
}
