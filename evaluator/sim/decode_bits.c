/* SPDX-License-Identifier: MIT */
/* Bits and bytes: counting, fields, permutations, dot products of packed integers. */
#include "evaluator/sim/decode.h"

#include <string.h>

/* popc, clz, brev, bfind: u32 results (brev: its own type). */
static int decode_count(struct decoder *d)
{
    const char *op = d->s->part[0];
    bool shiftamt = mod(d, "shiftamt");
    enum ptx_type type = type_at(d, 0);
    bool wide = ptx_type_size(type) == 8, s = ptx_type_is_signed(type);
    uint32_t dst, a;
    enum ops_id id = op[0] == 'p'   ? (wide ? OPS_POPC_64 : OPS_POPC_32)
                     : op[0] == 'c' ? (wide ? OPS_CLZ_64 : OPS_CLZ_32)
                     : op[1] == 'r' ? (wide ? OPS_BREV_64 : OPS_BREV_32)
                     : wide         ? (s ? OPS_BFIND_S64 : OPS_BFIND_U64)
                                    : (s ? OPS_BFIND_S32 : OPS_BFIND_U32);
    if (ptx_type_size(type) < 4 || ptx_type_is_float(type))
        return decode_refuse(d, "this type");
    if (d->failed || operand_count(d, 2, 2) || src_value(d, &d->s->operands[1], type, &a) ||
        dst_reg(d, &d->s->operands[0], op[1] == 'r' && wide ? 8 : 4, &dst))
        return d->failed;
    struct insn *in = emit_op(d, id, dst, a, REF_NONE, REF_NONE);
    in->imm = shiftamt;
    cost(in, EXEC_PIPE_SFU, wide ? 2 : 1, LAT_SFU);
    return d->failed;
}

/* bfe, bfi. */
static int decode_field(struct decoder *d)
{
    bool insert = d->s->part[0][2] == 'i';
    enum ptx_type type = type_at(d, 0);
    unsigned n = insert ? 5 : 4;
    bool wide = ptx_type_size(type) == 8, s = ptx_type_is_signed(type);
    uint32_t dst, a, b = REF_NONE, pos, len;
    if (ptx_type_size(type) < 4 || ptx_type_is_float(type))
        return decode_refuse(d, "this type");
    const struct ptx_operand *ops = d->s->operands;
    if (d->failed || operand_count(d, n, n) || src_value(d, &ops[1], type, &a) ||
        (insert && src_value(d, &ops[2], type, &b)) || src_value(d, &ops[n - 2], PTX_U32, &pos) ||
        src_value(d, &ops[n - 1], PTX_U32, &len) || dst_reg(d, &ops[0], wide ? 8 : 4, &dst))
        return d->failed;
    if (!insert) {
        enum ops_id id = wide ? (s ? OPS_BFE_S64 : OPS_BFE_U64) : s ? OPS_BFE_S32 : OPS_BFE_U32;
        cost(emit_op(d, id, dst, a, pos, len), EXEC_PIPE_ALU, wide ? 4 : 2, LAT_ALU);
        return d->failed;
    }
    /* the field's mask first, then a bitwise choice */
    uint32_t mask = new_vreg(d, wide ? 8 : 4), moved = new_vreg(d, wide ? 8 : 4);
    emit_op(d, wide ? OPS_BFMASK_64 : OPS_BFMASK_32, mask, pos, len, REF_NONE);
    emit_op(d, wide ? OPS_BFSHL_64 : OPS_BFSHL_32, moved, a, pos, REF_NONE);
    emit_op(d, wide ? OPS_CHOOSE_64 : OPS_CHOOSE_32, dst, moved, b, mask);
    return d->failed;
}

static int decode_lop3(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    const struct ptx_operand *ops = d->s->operands;
    uint32_t dst, a, b, c;
    if (type != PTX_B32)
        return decode_refuse(d, "this type");
    if (d->failed || operand_count(d, 5, 5) || src_value(d, &ops[1], type, &a) ||
        src_value(d, &ops[2], type, &b) || src_value(d, &ops[3], type, &c) ||
        dst_reg(d, &ops[0], 4, &dst))
        return d->failed;
    if (ops[4].kind != PTX_OPERAND_IMM)
        return decode_fail(d, "the table must be a constant");
    emit_op(d, OPS_LOP3, dst, a, b, c)->imm = (int64_t)(ops[4].value & 0xff);
    return d->failed;
}

static int decode_three32(struct decoder *d, enum ops_id id, uint32_t imm)
{
    struct insn *in;
    if (decode_simple(d, id, PTX_U32, 3, &in))
        return d->failed;
    in->imm = imm;
    return 0;
}

static int decode_prmt(struct decoder *d)
{
    static const char *const modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
    uint32_t mode = 0;
    type_at(d, d->s->n_parts > 1 && !strcmp(d->s->part[1], "b32") ? d->s->n_parts - 2u : 0);
    for (uint32_t i = 0; i < 6; i++)
        if (mod(d, modes[i]))
            mode = i + 1;
    return decode_three32(d, OPS_PRMT, mode);
}

static int decode_shf(struct decoder *d)
{
    bool left = mod(d, "l"), wrap = mod(d, "wrap");
    mod(d, "r");
    mod(d, "clamp");
    type_at(d, 0);
    return decode_three32(d,
                          left ? (wrap ? OPS_SHF_L_WRAP : OPS_SHF_L_CLAMP)
                               : (wrap ? OPS_SHF_R_WRAP : OPS_SHF_R_CLAMP),
                          0);
}

static int decode_dp(struct decoder *d)
{
    bool two = d->s->part[0][2] == '2', hi = two && mod(d, "hi");
    mod(d, "lo");
    uint32_t imm = (ptx_type_is_signed(type_at(d, 1)) ? 1 : 0) |
                   (ptx_type_is_signed(type_at(d, 0)) ? 2 : 0) | (hi ? 4 : 0);
    return decode_three32(d, two ? OPS_DP2A : OPS_DP4A, imm);
}

/* vabsdiff2, vabsdiff4, with and without .add: what is left of the video instructions. */
static int decode_vabsdiff(struct decoder *d)
{
    bool four = d->s->part[0][8] == '4', add = mod(d, "add");
    enum ptx_type b = type_at(d, add), a = type_at(d, add + 1u);
    type_at(d, add + 2u);
    if (a != b || (a != PTX_U32 && a != PTX_S32))
        return decode_refuse(d, "this type");
    return decode_three32(d, four ? OPS_VABSDIFF4 : OPS_VABSDIFF2,
                          (a == PTX_S32 ? 1u : 0u) | (add ? 2u : 0u));
}

static int decode_sad(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    if (type != PTX_U32 && type != PTX_S32)
        return decode_refuse(d, "this type");
    return decode_three32(d, type == PTX_S32 ? OPS_SAD_S32 : OPS_SAD_U32, 0);
}

/* bmsk.clamp.b32, szext.wrap.s32: d, a, b. */
static int decode_mask(struct decoder *d)
{
    bool extend = d->s->part[0][0] == 's', wrap = mod(d, "wrap");
    enum ptx_type type = type_at(d, 0);
    struct insn *in;
    mod(d, "clamp");
    if (extend ? type != PTX_U32 && type != PTX_S32 : type != PTX_B32)
        return decode_refuse(d, "this type");
    if (decode_simple(d, extend ? OPS_SZEXT : OPS_BMSK, PTX_U32, 2, &in))
        return d->failed;
    in->imm = (wrap ? 1 : 0) | (type == PTX_S32 ? 2 : 0);
    return 0;
}

static int decode_fns(struct decoder *d)
{
    if (type_at(d, 0) != PTX_B32)
        return decode_refuse(d, "this type");
    return decode_three32(d, OPS_FNS, 0);
}

const struct decode_entry decode_bits_table[] = {{"popc", decode_count},
                                                 {"clz", decode_count},
                                                 {"brev", decode_count},
                                                 {"bfind", decode_count},
                                                 {"bfe", decode_field},
                                                 {"bfi", decode_field},
                                                 {"lop3", decode_lop3},
                                                 {"prmt", decode_prmt},
                                                 {"shf", decode_shf},
                                                 {"dp4a", decode_dp},
                                                 {"dp2a", decode_dp},
                                                 {"vabsdiff2", decode_vabsdiff},
                                                 {"vabsdiff4", decode_vabsdiff},
                                                 {"sad", decode_sad},
    {"bmsk", decode_mask},
    {"szext", decode_mask},
    {"fns", decode_fns},
                                                 {NULL, NULL}};
