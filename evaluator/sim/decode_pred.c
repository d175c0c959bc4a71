/* SPDX-License-Identifier: MIT */
/* Comparisons, predicates, selection. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

#include <string.h>

/* Comparisons stand in ops_cmp.h in blocks of the same order. */
static const char *const int_names[] = {"eq", "ne", "lt", "le", "gt", "ge"};
static const char *const float_names[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                          "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
static const char *const unsigned_names[] = {"lo", "ls", "hi", "hs"};

static enum ops_cmp_id int_base(unsigned size)
{
    return size == 2   ? OPS_CMP_EQ_16
           : size == 4 ? OPS_CMP_EQ_32
           : size == 8 ? OPS_CMP_EQ_64
                       : OPS_CMP_NONE;
}

static enum ops_cmp_id float_base(enum ptx_type type, bool ftz)
{
    switch (type) {
    case PTX_F32:
        return ftz ? OPS_CMP_EQ_F32_FTZ : OPS_CMP_EQ_F32;
    case PTX_F64:
        return OPS_CMP_EQ_F64;
    case PTX_F16:
    case PTX_F16X2:
        return OPS_CMP_EQ_F16;
    case PTX_BF16:
    case PTX_BF16X2:
        return OPS_CMP_EQ_BF16;
    default:
        return OPS_CMP_NONE;
    }
}

/* Takes the comparison's name. */
static enum ops_cmp_id comparison(struct decoder *d, enum ptx_type type, bool ftz)
{
    bool is_float = ptx_type_is_float(type);
    enum ops_cmp_id base = is_float ? float_base(type, ftz) : int_base(ptx_type_size(type));
    unsigned n = is_float ? 14 : 6;
    if (base == OPS_CMP_NONE)
        return OPS_CMP_NONE;
    for (unsigned i = 0; i < n; i++)
        if (mod(d, is_float ? float_names[i] : int_names[i])) {
            bool s = !is_float && ptx_type_is_signed(type) && i >= 2;
            return base + i + (s ? 4 : 0);
        }
    for (unsigned i = 0; !is_float && i < 4; i++)
        if (mod(d, unsigned_names[i]))
            return base + 2 + i;
    return OPS_CMP_NONE;
}

static enum combine combination(struct decoder *d)
{
    return mod(d, "and")   ? COMBINE_AND
           : mod(d, "or")  ? COMBINE_OR
           : mod(d, "xor") ? COMBINE_XOR
                           : COMBINE_NONE;
}

static int combined_pred(struct decoder *d, enum combine how, uint16_t *ret_pred, bool *ret_neg)
{
    if (operand_count(d, how ? 4 : 3, how ? 4 : 3))
        return d->failed;
    return how ? pred_src(d, &d->s->operands[3], ret_pred, ret_neg) : 0;
}

static int decode_setp(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    bool ftz = mod(d, "ftz"), neg = false;
    enum combine how = combination(d);
    enum ops_cmp_id id = comparison(d, type, ftz);
    const struct ptx_operand *ops = d->s->operands;
    uint16_t p, q = PRED_NONE, c = PRED_NONE;
    uint32_t a, b;
    if (d->failed || combined_pred(d, how, &c, &neg))
        return d->failed;
    if (id == OPS_CMP_NONE)
        return decode_refuse(d, "this comparison");
    if (src_value(d, &ops[1], type, &a) || src_value(d, &ops[2], type, &b))
        return d->failed;
    bool pair = ops[0].kind == PTX_OPERAND_PAIR;
    if (pred_dst(d, pair ? &ops[0].vec[0] : &ops[0], &p) ||
        (pair && pred_dst(d, &ops[0].vec[1], &q)))
        return d->failed;
    bool packed = type == PTX_F16X2 || type == PTX_BF16X2;
    struct insn *in = emit(d, packed ? INSN_SETP_X2 : INSN_SETP);
    in->cmp = d->program->ops->cmp[id];
    in->mode = (uint8_t)how;
    in->p[0] = p;
    in->p[1] = q;
    in->p[2] = c;
    in->p_negated = neg ? 4 : 0;
    cost(in, type == PTX_F64 ? EXEC_PIPE_F64 : EXEC_PIPE_ALU,
         !ptx_type_is_float(type) && ptx_type_size(type) == 8 ? 2 : 1,
         type == PTX_F64 ? LAT_F64 : LAT_ALU);
    add_src(d, a);
    add_src(d, b);
    return d->failed;
}

/* set.cmp.dtype.stype d, a, b: all ones or 1.0 where true. */
static int decode_set(struct decoder *d)
{
    enum ptx_type stype = type_at(d, 0), dtype = type_at(d, 1);
    bool ftz = mod(d, "ftz"), neg = false;
    enum combine how = combination(d);
    enum ops_cmp_id id = comparison(d, stype, ftz);
    const struct ptx_operand *ops = d->s->operands;
    bool packed = stype == PTX_F16X2 || stype == PTX_BF16X2;
    uint16_t c = PRED_NONE;
    uint32_t dst, a, b;
    if (d->failed || combined_pred(d, how, &c, &neg))
        return d->failed;
    if (id == OPS_CMP_NONE)
        return decode_refuse(d, "this comparison");
    if (src_value(d, &ops[1], stype, &a) || src_value(d, &ops[2], stype, &b) ||
        dst_reg(d, &ops[0], slot_size(dtype), &dst))
        return d->failed;
    if (packed && slot_size(dtype) != 4)
        return decode_refuse(d, "this type");
    struct insn *in = emit(d, INSN_SET);
    in->cmp = d->program->ops->cmp[id];
    in->mode = (uint8_t)how;
    in->sub = packed;
    in->p[2] = c;
    in->p_negated = neg ? 4 : 0;
    in->width = (uint8_t)slot_size(dtype);
    in->imm = dtype == PTX_F32      ? 0x3f800000
              : dtype == PTX_F64    ? 0x3ff0000000000000
              : dtype == PTX_F16    ? 0x3c00
              : dtype == PTX_BF16   ? 0x3f80
              : dtype == PTX_F16X2  ? 0x3c003c00
              : dtype == PTX_BF16X2 ? 0x3f803f80
                                    : -1;
    cost(in, EXEC_PIPE_ALU, 1, LAT_ALU);
    add_dst(d, dst);
    add_src(d, a);
    add_src(d, b);
    return d->failed;
}

static int decode_selp(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    const struct ptx_operand *ops = d->s->operands;
    uint32_t dst, a, b;
    uint16_t p;
    bool neg;
    if (d->failed || operand_count(d, 4, 4) || src_value(d, &ops[1], type, &a) ||
        src_value(d, &ops[2], type, &b) || pred_src(d, &ops[3], &p, &neg) ||
        dst_reg(d, &ops[0], slot_size(type), &dst))
        return d->failed;
    struct insn *in = emit(d, INSN_SELP);
    in->width = (uint8_t)slot_size(type);
    in->p[0] = p;
    in->p_negated = neg;
    cost(in, EXEC_PIPE_ALU, in->width == 8 ? 2 : 1, LAT_ALU);
    add_dst(d, dst);
    add_src(d, a);
    add_src(d, b);
    return d->failed;
}

static int decode_slct(struct decoder *d)
{
    enum ptx_type ctype = type_at(d, 0), type = type_at(d, 1);
    const struct ptx_operand *ops = d->s->operands;
    uint32_t dst, a, b, c;
    mod(d, "ftz");
    if (ctype != PTX_S32 && ctype != PTX_F32)
        return decode_refuse(d, "this type");
    if (d->failed || operand_count(d, 4, 4) || src_value(d, &ops[1], type, &a) ||
        src_value(d, &ops[2], type, &b) || src_value(d, &ops[3], ctype, &c) ||
        dst_reg(d, &ops[0], slot_size(type), &dst))
        return d->failed;
    unsigned size = slot_size(type);
    enum ops_id id = ctype == PTX_S32 ? (size == 2   ? OPS_SELF_SLCT_16
                                         : size == 4 ? OPS_SELF_SLCT_32
                                                     : OPS_SELF_SLCT_64)
                                      : (size == 2   ? OPS_SLCT_F_16
                                         : size == 4 ? OPS_SLCT_F_32
                                                     : OPS_SLCT_F_64);
    emit_op(d, id, dst, a, b, c);
    return d->failed;
}

/* and, or, xor, not, mov of predicates: mode AND, OR, XOR; a move is "or" with itself. */
static int emit_plogic(struct decoder *d, enum combine how, const struct ptx_operand *a,
                       const struct ptx_operand *b, bool flip)
{
    uint16_t dst, p, q;
    bool neg_p, neg_q;
    if (pred_src(d, a, &p, &neg_p) || pred_src(d, b, &q, &neg_q) ||
        pred_dst(d, &d->s->operands[0], &dst))
        return d->failed;
    struct insn *in = emit(d, INSN_PLOGIC);
    in->mode = (uint8_t)how;
    in->p[0] = dst;
    in->p[1] = p;
    in->p[2] = q;
    in->p_negated = (uint8_t)((neg_p != flip ? 2 : 0) | (neg_q != flip ? 4 : 0));
    cost(in, EXEC_PIPE_ALU, 1, LAT_ALU);
    return d->failed;
}

int decode_pred_logic(struct decoder *d)
{
    const char *name = d->s->part[0];
    const struct ptx_operand *ops = d->s->operands;
    if (!strcmp(name, "not"))
        return operand_count(d, 2, 2) ? d->failed
                                      : emit_plogic(d, COMBINE_OR, &ops[1], &ops[1], true);
    enum combine how = !strcmp(name, "and")   ? COMBINE_AND
                       : !strcmp(name, "or")  ? COMBINE_OR
                       : !strcmp(name, "xor") ? COMBINE_XOR
                                              : COMBINE_NONE;
    if (!how)
        return decode_refuse(d, "");
    return operand_count(d, 3, 3) ? d->failed : emit_plogic(d, how, &ops[1], &ops[2], false);
}

/* mov between a register and a {...} of its parts. */
static int mov_unpack(struct decoder *d, enum ptx_type type)
{
    const struct ptx_operand *ops = d->s->operands;
    unsigned n = ops[0].n, size = slot_size(type), part = n ? size / n : 0;
    uint32_t src, dst;
    if (part < 2 || part * n != size)
        return decode_refuse(d, "these parts");
    if (src_value(d, &ops[1], type, &src))
        return d->failed;
    if (part == size)
        return decode_refuse(d, "one part");
    uint32_t parts[4];
    for (unsigned i = 0; i < n; i++) {
        if (ops[0].vec[i].kind == PTX_OPERAND_SINK) {
            parts[i] = REF_NONE;
            continue;
        }
        if (dst_reg(d, &ops[0].vec[i], part, &dst))
            return d->failed;
        parts[i] = dst;
    }
    for (unsigned i = 0; i < n; i++) {
        if (parts[i] == REF_NONE)
            continue;
        struct insn *in = emit_op(d,
                                  part == 4   ? OPS_EXTRACT_32_64
                                  : size == 8 ? OPS_EXTRACT_16_64
                                              : OPS_EXTRACT_16_32,
                                  parts[i], src, REF_NONE, REF_NONE);
        in->imm = (int64_t)(i * part * 8);
        cost(in, EXEC_PIPE_ALU, 0, LAT_NONE);
    }
    return d->failed;
}

static int mov_pack(struct decoder *d, enum ptx_type type)
{
    const struct ptx_operand *ops = d->s->operands;
    unsigned n = ops[1].n, size = slot_size(type), part = n ? size / n : 0;
    uint32_t src[4], dst;
    if (part < 2 || part * n != size || n < 2)
        return decode_refuse(d, "these parts");
    for (unsigned i = 0; i < n; i++)
        if (src_value(d, &ops[1].vec[i], part == 2 ? PTX_B16 : PTX_B32, &src[i]))
            return d->failed;
    if (dst_reg(d, &ops[0], size, &dst))
        return d->failed;
    if (n == 4) { /* four halves: two words first */
        uint32_t lo = new_vreg(d, 4), hi = new_vreg(d, 4);
        emit_op(d, OPS_PACK_32, lo, src[0], src[1], REF_NONE);
        emit_op(d, OPS_PACK_32, hi, src[2], src[3], REF_NONE);
        src[0] = lo;
        src[1] = hi;
    }
    struct insn *in =
        emit_op(d, size == 8 ? OPS_PACK_64 : OPS_PACK_32, dst, src[0], src[1], REF_NONE);
    if (size == 8)
        cost(in, EXEC_PIPE_ALU, 0, LAT_NONE);
    return d->failed;
}

static int decode_mov(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    if (operand_count(d, 2, 2))
        return d->failed;
    if (mod(d, "pred"))
        return emit_plogic(d, COMBINE_OR, &ops[1], &ops[1], false);
    enum ptx_type type = type_at(d, 0);
    uint32_t dst, src;
    if (d->failed)
        return d->failed;
    if (ptx_type_size(type) > 8)
        return decode_refuse(d, "128-bit registers");
    if (ops[0].kind == PTX_OPERAND_VEC)
        return mov_unpack(d, type);
    if (ops[1].kind == PTX_OPERAND_VEC)
        return mov_pack(d, type);
    if (src_value(d, &ops[1], type, &src) || dst_reg(d, &ops[0], slot_size(type), &dst))
        return d->failed;
    unsigned size = slot_size(type);
    struct insn *in = emit_op(d,
                              size == 2   ? OPS_MOV_16
                              : size == 4 ? OPS_MOV_32
                                          : OPS_MOV_64,
                              dst, src, REF_NONE, REF_NONE);
    cost(in, EXEC_PIPE_ALU, 0, LAT_NONE);
    return d->failed;
}

const struct decode_entry decode_pred_table[] = {{"setp", decode_setp}, {"set", decode_set},
                                                 {"selp", decode_selp}, {"slct", decode_slct},
                                                 {"mov", decode_mov},   {NULL, NULL}};
