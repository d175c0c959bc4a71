/* SPDX-License-Identifier: MIT */
/* What a warp or a block does together: shuffles, votes, barriers, fences. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

#include <string.h>

static void cost_warp(struct insn *in)
{
    cost(in, EXEC_PIPE_LSU, 1, LAT_SHUFFLE);
}

/* shfl.sync.mode.b32 d|p, a, b, c, membermask */
static int decode_shfl(struct decoder *d)
{
    static const char *const names[] = {"up", "down", "bfly", "idx"};
    const struct ptx_operand *ops = d->s->operands;
    int mode = -1;
    uint32_t dst, src[4];
    uint16_t p = PRED_NONE;
    if (!mod(d, "sync"))
        return decode_refuse(d, "without .sync");
    for (int i = 0; i < 4; i++)
        if (mod(d, names[i]))
            mode = i;
    if (mode < 0 || type_at(d, 0) != PTX_B32)
        return decode_refuse(d, "this form");
    bool pair = d->s->n_operands && ops[0].kind == PTX_OPERAND_PAIR;
    if (operand_count(d, 5, 5))
        return d->failed;
    for (unsigned i = 0; i < 4; i++)
        if (src_value(d, &ops[i + 1], PTX_B32, &src[i]))
            return d->failed;
    if (dst_reg(d, pair ? &ops[0].vec[0] : &ops[0], 4, &dst) ||
        (pair && pred_dst(d, &ops[0].vec[1], &p)))
        return d->failed;
    struct insn *in = emit(d, INSN_SHFL);
    in->sub = (uint8_t)mode;
    in->width = 4;
    in->p[0] = p;
    cost_warp(in);
    add_dst(d, dst);
    for (unsigned i = 0; i < 4; i++)
        add_src(d, src[i]);
    return d->failed;
}

static int decode_vote(struct decoder *d)
{
    static const char *const names[] = {"all", "any", "uni", "ballot"};
    const struct ptx_operand *ops = d->s->operands;
    int mode = -1;
    uint32_t dst = 0, mask;
    uint16_t p = PRED_NONE, q;
    bool neg;
    if (!mod(d, "sync"))
        return decode_refuse(d, "without .sync");
    for (int i = 0; i < 4; i++)
        if (mod(d, names[i]))
            mode = i;
    if (mode < 0 || type_at(d, 0) != (mode == VOTE_BALLOT ? PTX_B32 : PTX_PRED))
        return decode_refuse(d, "this form");
    if (operand_count(d, 3, 3) || pred_src(d, &ops[1], &q, &neg) ||
        src_value(d, &ops[2], PTX_B32, &mask) ||
        (mode == VOTE_BALLOT ? dst_reg(d, &ops[0], 4, &dst) : pred_dst(d, &ops[0], &p)))
        return d->failed;
    struct insn *in = emit(d, INSN_VOTE);
    in->sub = (uint8_t)mode;
    in->width = 4;
    in->p[0] = p;
    in->p[1] = q;
    in->p_negated = neg ? 2 : 0;
    cost(in, EXEC_PIPE_CTRL, 1, LAT_ALU);
    if (mode == VOTE_BALLOT)
        add_dst(d, dst);
    add_src(d, mask);
    return d->failed;
}

/* match.any.sync.b32 d, a, mask; match.all.sync.b32 d|p, a, mask */
static int decode_match(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    bool all = mod(d, "all");
    mod(d, "any");
    enum ptx_type type = type_at(d, 0);
    uint32_t dst, a, mask;
    uint16_t p = PRED_NONE;
    if (!mod(d, "sync") || (type != PTX_B32 && type != PTX_B64))
        return decode_refuse(d, "this form");
    if (operand_count(d, 3, 3))
        return d->failed;
    bool pair = ops[0].kind == PTX_OPERAND_PAIR;
    if (src_value(d, &ops[1], type, &a) || src_value(d, &ops[2], PTX_B32, &mask) ||
        dst_reg(d, pair ? &ops[0].vec[0] : &ops[0], 4, &dst) ||
        (pair && pred_dst(d, &ops[0].vec[1], &p)))
        return d->failed;
    struct insn *in = emit(d, INSN_MATCH);
    in->sub = all;
    in->elem = (uint8_t)ptx_type_size(type);
    in->width = 4;
    in->p[0] = p;
    cost_warp(in);
    in->weight = 8;
    add_dst(d, dst);
    add_src(d, mask);
    add_src(d, a);
    return d->failed;
}

static int decode_redux(struct decoder *d)
{
    static const char *const names[] = {"add", "min", "max", "and", "or", "xor"};
    const struct ptx_operand *ops = d->s->operands;
    enum ptx_type type = type_at(d, 0);
    uint32_t dst, a, mask;
    int op = -1;
    for (int i = 0; i < 6; i++)
        if (mod(d, names[i]))
            op = i;
    if (!mod(d, "sync") || op < 0 || (type != PTX_S32 && type != PTX_U32 && type != PTX_B32))
        return decode_refuse(d, "this form");
    if (operand_count(d, 3, 3) || src_value(d, &ops[1], type, &a) ||
        src_value(d, &ops[2], PTX_B32, &mask) || dst_reg(d, &ops[0], 4, &dst))
        return d->failed;
    struct insn *in = emit(d, INSN_REDUX);
    in->sub = (uint8_t)op;
    in->mode = (uint8_t)type;
    in->width = 4;
    cost_warp(in);
    in->weight = 2;
    add_dst(d, dst);
    add_src(d, mask);
    add_src(d, a);
    return d->failed;
}

static int decode_activemask(struct decoder *d)
{
    uint32_t dst;
    if (type_at(d, 0) != PTX_B32 || operand_count(d, 1, 1) ||
        dst_reg(d, &d->s->operands[0], 4, &dst))
        return decode_refuse(d, "this form");
    struct insn *in = emit(d, INSN_ACTIVEMASK);
    in->width = 4;
    cost(in, EXEC_PIPE_CTRL, 1, LAT_ALU);
    add_dst(d, dst);
    return d->failed;
}

/* elect.sync d|p, mask: the lowest lane of the mask. */
static int decode_elect(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    uint32_t dst, mask;
    uint16_t p;
    if (!mod(d, "sync") || operand_count(d, 2, 2) || ops[0].kind != PTX_OPERAND_PAIR)
        return decode_refuse(d, "this form");
    if (src_value(d, &ops[1], PTX_B32, &mask) || dst_reg(d, &ops[0].vec[0], 4, &dst) ||
        pred_dst(d, &ops[0].vec[1], &p))
        return d->failed;
    struct insn *in = emit(d, INSN_ELECT);
    in->width = 4;
    in->p[0] = p;
    cost(in, EXEC_PIPE_CTRL, 1, LAT_ALU);
    add_dst(d, dst);
    add_src(d, mask);
    return d->failed;
}

static int emit_bar(struct decoder *d, enum bar_mode mode, uint32_t id, uint32_t count)
{
    struct insn *in = emit(d, INSN_BAR);
    in->sub = (uint8_t)mode;
    cost(in, EXEC_PIPE_BAR, 1, LAT_NONE);
    add_src(d, id);
    add_src(d, count);
    return d->failed;
}

/* bar.red.popc.u32 d, a{, b}, c; bar.red.and.pred p, a{, b}, c */
static int decode_bar_red(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    unsigned n = d->s->n_operands;
    uint32_t dst = 0, id, count = const_ref(d, 0, 4);
    uint16_t p = PRED_NONE, q;
    bool neg;
    enum bar_mode mode = mod(d, "popc")  ? BAR_POPC
                         : mod(d, "and") ? BAR_AND
                         : mod(d, "or")  ? BAR_OR
                                         : BAR_SYNC;
    type_at(d, 0);
    if (mode == BAR_SYNC || operand_count(d, 3, 4))
        return decode_refuse(d, "this form");
    if (src_value(d, &ops[1], PTX_U32, &id) || (n == 4 && src_value(d, &ops[2], PTX_U32, &count)) ||
        pred_src(d, &ops[n - 1], &q, &neg) ||
        (mode == BAR_POPC ? dst_reg(d, &ops[0], 4, &dst) : pred_dst(d, &ops[0], &p)))
        return d->failed;
    struct insn *in = emit(d, INSN_BAR);
    in->sub = (uint8_t)mode;
    in->width = 4;
    in->p[0] = p;
    in->p[1] = q;
    in->p_negated = neg ? 2 : 0;
    cost(in, EXEC_PIPE_BAR, 1, LAT_SHUFFLE);
    if (mode == BAR_POPC)
        add_dst(d, dst);
    add_src(d, id);
    add_src(d, count);
    return d->failed;
}

/* bar{.cta}.sync a{, b}; .arrive; .red; bar.warp.sync mask; barrier.cluster of a cluster of one. */
static int decode_bar(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    uint32_t id = 0, count = const_ref(d, 0, 4);
    mod(d, "cta");
    mod(d, "aligned");
    if (mod(d, "cluster")) {
        mod(d, "release"), mod(d, "relaxed"), mod(d, "acquire");
        if (operand_count(d, 0, 0))
            return d->failed;
        if (mod(d, "arrive")) {
            emit(d, INSN_NOP);
            return d->failed;
        }
        return mod(d, "wait") ? emit_bar(d, BAR_SYNC, const_ref(d, BAR_CLUSTER_ID, 4), count)
                              : decode_refuse(d, "this form");
    }
    if (mod(d, "warp")) {
        mod(d, "sync");
        if (operand_count(d, 1, 1) || src_value(d, &ops[0], PTX_B32, &id))
            return d->failed;
        return emit_bar(d, BAR_WARP, id, count);
    }
    if (mod(d, "red"))
        return decode_bar_red(d);
    bool arrive = mod(d, "arrive");
    if (!arrive && !mod(d, "sync"))
        return decode_refuse(d, "this form");
    if (operand_count(d, arrive ? 2 : 1, 2) || src_value(d, &ops[0], PTX_U32, &id) ||
        (d->s->n_operands == 2 && src_value(d, &ops[1], PTX_U32, &count)))
        return d->failed;
    return emit_bar(d, arrive ? BAR_ARRIVE : BAR_SYNC, id, count);
}

static int decode_fence(struct decoder *d)
{
    bool wide = false;
    for (unsigned i = 1; i < d->s->n_parts; i++)
        wide |= !strcmp(d->s->part[i], "gl") || !strcmp(d->s->part[i], "gpu") ||
                !strcmp(d->s->part[i], "sys");
    d->program->uses_fence |= wide;
    d->taken = UINT32_MAX;
    cost(emit(d, INSN_FENCE), EXEC_PIPE_LSU, 1, LAT_NONE);
    return d->failed;
}

/* Who sleeps waits for somebody: its turn ends, so that a loop of questions is as short as on a GPU. */
static int decode_nanosleep(struct decoder *d)
{
    d->taken = UINT32_MAX;
    cost(emit(d, INSN_SLEEP), EXEC_PIPE_CTRL, 1, LAT_NONE);
    return d->failed;
}

/* griddepcontrol (launches run in order here), pmevent, setmaxnreg: nothing to do. */
static int decode_hint(struct decoder *d)
{
    d->taken = UINT32_MAX;
    cost(emit(d, INSN_NOP), EXEC_PIPE_CTRL, 1, LAT_NONE);
    return d->failed;
}

const struct decode_entry decode_warp_table[] = {{"shfl", decode_shfl},
                                                 {"vote", decode_vote},
                                                 {"match", decode_match},
                                                 {"redux", decode_redux},
                                                 {"activemask", decode_activemask},
                                                 {"elect", decode_elect},
                                                 {"bar", decode_bar},
                                                 {"barrier", decode_bar},
                                                 {"fence", decode_fence},
                                                 {"membar", decode_fence},
                                                 {"nanosleep", decode_nanosleep},
                                                 {"griddepcontrol", decode_hint},
                                                 {"pmevent", decode_hint},
                                                 {"setmaxnreg", decode_hint},
                                                 {NULL, NULL}};
