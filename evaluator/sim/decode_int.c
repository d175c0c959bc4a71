/* SPDX-License-Identifier: MIT */
/* Integer arithmetic, logic and bits, and moves. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

#include <string.h>

/* The three widths of an operation that stand at the same distance in ops_list.h's INTS blocks. */
static enum ops_id by_width(enum ptx_type type, enum ops_id w16, enum ops_id w32, enum ops_id w64)
{
    unsigned size = ptx_type_size(type);
    return size == 2 ? w16 : size == 4 ? w32 : size == 8 ? w64 : OPS_NONE;
}
#define BY_WIDTH(type, name) by_width(type, OPS_##name##16, OPS_##name##32, OPS_##name##64)

static void cost_int(struct insn *in, enum ptx_type type)
{
    cost(in, EXEC_PIPE_ALU, ptx_type_size(type) == 8 ? 2 : 1, LAT_ALU);
}

/* d = op(a, b[, c]), all of one type. */
static int simple(struct decoder *d, enum ops_id id, enum ptx_type type, unsigned n,
                  struct insn **ret_insn)
{
    uint32_t dst, src[3] = {REF_NONE, REF_NONE, REF_NONE};
    if (d->failed || operand_count(d, n + 1, n + 1))
        return d->failed;
    if (id == OPS_NONE)
        return decode_refuse(d, "this type");
    for (unsigned i = 0; i < n; i++)
        if (src_value(d, &d->s->operands[i + 1], type, &src[i]))
            return d->failed;
    if (dst_reg(d, &d->s->operands[0], slot_size(type), &dst))
        return d->failed;
    *ret_insn = emit_op(d, id, dst, src[0], src[1], src[2]);
    cost_int(*ret_insn, type);
    return d->failed;
}

static bool carries(struct decoder *d)
{
    for (unsigned i = 1; i < d->s->n_parts; i++)
        if (!strcmp(d->s->part[i], "cc"))
            return true;
    return d->s->part[0][strlen(d->s->part[0]) - 1] == 'c'; /* addc, subc, madc */
}

/* sub: 0 add, 1 sub, 2 mad.lo, 3 mad.hi; flags: 1 carry in, 2 carry out. The carry is a predicate
 * of the kernel's own: it never crosses a call. */

static int decode_carry(struct decoder *d)
{
    const char *name = d->s->part[0];
    uint32_t dst, src;
    unsigned n = name[0] == 'm' ? 3 : 2;
    unsigned flags = (name[3] == 'c' ? CARRY_IN : 0) | (mod(d, "cc") ? CARRY_OUT : 0);
    unsigned sub = name[0] == 'a' ? 0 : name[0] == 's' ? 1 : mod(d, "hi") ? 3 : (mod(d, "lo"), 2);
    enum ptx_type type = type_at(d, 0);
    uint32_t refs[3];
    if (d->failed || operand_count(d, n + 1, n + 1))
        return d->failed;
    unsigned size = ptx_type_size(type);
    if ((size != 4 && size != 8) || ptx_type_is_float(type))
        return decode_refuse(d, "this type");
    for (unsigned i = 0; i < n; i++) {
        if (src_value(d, &d->s->operands[i + 1], type, &src))
            return d->failed;
        refs[i] = src;
    }
    if (dst_reg(d, &d->s->operands[0], size, &dst))
        return d->failed;
    if (!d->program->uses_carry)
        d->program->carry_pred = (uint16_t)new_pred(d);
    d->program->uses_carry = true;
    struct insn *in = emit(d, INSN_CARRY);
    in->sub = (uint8_t)sub;
    in->flags = (uint8_t)flags;
    in->width = (uint8_t)size;
    in->is_signed = ptx_type_is_signed(type);
    in->p[0] = d->program->carry_pred;
    cost_int(in, type);
    add_dst(d, dst);
    for (unsigned i = 0; i < n; i++)
        add_src(d, refs[i]);
    return d->failed;
}

static int decode_addsub(struct decoder *d)
{
    bool sub = d->s->part[0][0] == 's';
    struct insn *in;
    if (carries(d))
        return decode_carry(d);
    enum ptx_type type = type_at(d, 0);
    if (ptx_type_is_float(type))
        return decode_arith(d, sub ? "sub" : "add", type);
    if (type == PTX_U16X2 || type == PTX_S16X2)
        return simple(d, sub ? OPS_SUB_16X2 : OPS_ADD_16X2, type, 2, &in);
    if (mod(d, "sat"))
        return type != PTX_S32 ? decode_refuse(d, ".sat of this type")
                               : simple(d, sub ? OPS_SUBSAT_S32 : OPS_ADDSAT_S32, type, 2, &in);
    return simple(d, sub ? BY_WIDTH(type, SUB_) : BY_WIDTH(type, ADD_), type, 2, &in);
}

struct products {
    enum ops_id lo[3], hi_u[3], hi_s[3], wide_u[2], wide_s[2];
};

/* mul, mad: .lo, .hi, .wide of each width. */
static int decode_mul(struct decoder *d)
{
    static const struct products mul = {{OPS_MUL_16, OPS_MUL_32, OPS_MUL_64},
                                        {OPS_MULHI_U16, OPS_MULHI_U32, OPS_MULHI_U64},
                                        {OPS_MULHI_S16, OPS_MULHI_S32, OPS_MULHI_S64},
                                        {OPS_MULWIDE_U16, OPS_MULWIDE_U32},
                                        {OPS_MULWIDE_S16, OPS_MULWIDE_S32}};
    bool mad = !strcmp(d->s->part[0], "mad");
    if (d->s->part[0][0] == 'm' && carries(d))
        return decode_carry(d);
    enum ptx_type type = type_at(d, 0);
    if (d->failed)
        return d->failed;
    if (ptx_type_is_float(type))
        return decode_arith(d, mad ? "fma" : "mul", type);
    bool wide = mod(d, "wide"), hi = mod(d, "hi"), sat = mod(d, "sat");
    mod(d, "lo");
    unsigned size = ptx_type_size(type), w = size == 2 ? 0 : size == 4 ? 1 : 2;
    bool s = ptx_type_is_signed(type);
    if (size < 2 || (wide && size == 8) || (sat && !(mad && hi && type == PTX_S32)))
        return decode_refuse(d, "this type");
    uint32_t dst, a, b, c = REF_NONE;
    enum ptx_type result = wide ? (size == 2 ? PTX_U32 : PTX_U64) : type;
    if (operand_count(d, mad ? 4 : 3, mad ? 4 : 3) ||
        src_value(d, &d->s->operands[1], type, &a) || src_value(d, &d->s->operands[2], type, &b) ||
        (mad && src_value(d, &d->s->operands[3], result, &c)) ||
        dst_reg(d, &d->s->operands[0], slot_size(result), &dst))
        return d->failed;
    enum ops_id id = wide ? (s ? mul.wide_s[w] : mul.wide_u[w])
                   : hi ? (s ? mul.hi_s[w] : mul.hi_u[w]) : mul.lo[w];
    struct insn *in;
    if (mad && !hi) {
        static const enum ops_id lo[] = {OPS_MAD_16, OPS_MAD_32, OPS_MAD_64};
        static const enum ops_id wide_ops[] = {OPS_MADWIDE_U16, OPS_MADWIDE_U32, OPS_MADWIDE_S16,
                                               OPS_MADWIDE_S32};
        in = emit_op(d, wide ? wide_ops[w + (s ? 2 : 0)] : lo[w], dst, a, b, c);
    } else if (mad && sat) {
        in = emit_op(d, OPS_MADHISAT_S32, dst, a, b, c);
    } else if (mad) {
        uint32_t high = new_vreg(d, slot_size(type));
        in = emit_op(d, id, high, a, b, REF_NONE);
        cost(in, EXEC_PIPE_FMA, size == 8 ? 8 : 2, LAT_FMA);
        in = emit_op(d, BY_WIDTH(type, ADD_), dst, high, c, REF_NONE);
        cost_int(in, type);
        return d->failed;
    } else {
        in = emit_op(d, id, dst, a, b, REF_NONE);
    }
    cost(in, EXEC_PIPE_FMA, size == 8 ? (hi ? 8 : 3) : hi ? 2 : 1, LAT_FMA);
    return d->failed;
}

static int decode_mul24(struct decoder *d)
{
    bool mad = d->s->part[0][1] == 'a';
    enum ptx_type type = type_at(d, 0);
    uint32_t dst, a, b, c = REF_NONE;
    if (!mod(d, "lo"))
        return decode_refuse(d, "");
    if (d->failed || operand_count(d, mad ? 4 : 3, mad ? 4 : 3) ||
        src_value(d, &d->s->operands[1], PTX_U32, &a) ||
        src_value(d, &d->s->operands[2], PTX_U32, &b) ||
        (mad && src_value(d, &d->s->operands[3], PTX_U32, &c)) ||
        dst_reg(d, &d->s->operands[0], 4, &dst))
        return d->failed;
    uint32_t product = mad ? new_vreg(d, 4) : dst;
    emit_op(d, ptx_type_is_signed(type) ? OPS_MUL24LO_S32 : OPS_MUL24LO_U32, product, a, b,
            REF_NONE);
    if (mad)
        emit_op(d, OPS_ADD_32, dst, product, c, REF_NONE);
    return d->failed;
}

static int decode_divrem(struct decoder *d)
{
    bool rem = d->s->part[0][0] == 'r';
    struct insn *in;
    enum ptx_type type = type_at(d, 0);
    if (ptx_type_is_float(type))
        return decode_arith(d, "div", type);
    bool s = ptx_type_is_signed(type);
    enum ops_id id = rem ? (s ? BY_WIDTH(type, REM_S) : BY_WIDTH(type, REM_U))
                         : (s ? BY_WIDTH(type, DIV_S) : BY_WIDTH(type, DIV_U));
    if (simple(d, id, type, 2, &in))
        return d->failed;
    bool wide = ptx_type_size(type) == 8;
    cost(in, EXEC_PIPE_ALU, wide ? 70 : 18, LAT_SFU);
    in->weight_sfu = wide ? 3 : 2;
    return 0;
}

static int decode_logic(struct decoder *d)
{
    const char *op = d->s->part[0];
    struct insn *in;
    if (mod(d, "pred"))
        return decode_pred_logic(d);
    enum ptx_type type = type_at(d, 0);
    if (!strcmp(op, "and"))
        return simple(d, BY_WIDTH(type, AND_), type, 2, &in);
    if (!strcmp(op, "or"))
        return simple(d, BY_WIDTH(type, OR_), type, 2, &in);
    if (!strcmp(op, "xor"))
        return simple(d, BY_WIDTH(type, XOR_), type, 2, &in);
    if (!strcmp(op, "cnot"))
        return simple(d, BY_WIDTH(type, CNOT_), type, 1, &in);
    return simple(d, BY_WIDTH(type, NOT_), type, 1, &in);
}

static int decode_negabs(struct decoder *d)
{
    bool neg = d->s->part[0][0] == 'n';
    struct insn *in;
    enum ptx_type type = type_at(d, 0);
    if (ptx_type_is_float(type))
        return decode_arith(d, neg ? "neg" : "abs", type);
    return simple(d, neg ? BY_WIDTH(type, NEG_) : BY_WIDTH(type, ABS_), type, 1, &in);
}

static int decode_minmax(struct decoder *d)
{
    bool min = d->s->part[0][1] == 'i', relu = mod(d, "relu");
    struct insn *in;
    /* .relu stands before or behind the type */
    enum ptx_type type = type_at(d, !strcmp(d->s->part[d->s->n_parts - 1], "relu"));
    if (ptx_type_is_float(type)) {
        d->relu = relu;
        return decode_arith(d, min ? "min" : "max", type);
    }
    bool s = ptx_type_is_signed(type);
    enum ops_id id = s ? (min ? BY_WIDTH(type, MIN_S) : BY_WIDTH(type, MAX_S))
                       : (min ? BY_WIDTH(type, MIN_U) : BY_WIDTH(type, MAX_U));
    if (type == PTX_S16X2)
        id = min ? OPS_MIN_S16X2 : OPS_MAX_S16X2;
    if (type == PTX_U16X2)
        id = min ? OPS_MIN_U16X2 : OPS_MAX_U16X2;
    if (relu && type != PTX_S32 && type != PTX_S16X2)
        return decode_refuse(d, ".relu of this type");
    if (simple(d, id, type, 2, &in))
        return d->failed;
    if (relu) {
        uint32_t dst = d->refs[in->refs];
        emit_op(d, type == PTX_S32 ? OPS_RELU_S32 : OPS_RELU_S16X2, dst, dst, REF_NONE, REF_NONE);
    }
    return d->failed;
}

static int decode_shift(struct decoder *d)
{
    bool left = d->s->part[0][2] == 'l';
    enum ptx_type type = type_at(d, 0);
    uint32_t dst, a, b;
    enum ops_id id = left ? BY_WIDTH(type, SHL_)
                   : ptx_type_is_signed(type) ? BY_WIDTH(type, SHR_S) : BY_WIDTH(type, SHR_U);
    if (d->failed || operand_count(d, 3, 3) || src_value(d, &d->s->operands[1], type, &a) ||
        src_value(d, &d->s->operands[2], PTX_U32, &b) ||
        dst_reg(d, &d->s->operands[0], slot_size(type), &dst))
        return d->failed;
    if (id == OPS_NONE)
        return decode_refuse(d, "this type");
    cost_int(emit_op(d, id, dst, a, b, REF_NONE), type);
    return d->failed;
}

/* popc, clz, brev, bfind: u32 results (brev: its own type). */
static int decode_count(struct decoder *d)
{
    const char *op = d->s->part[0];
    bool shiftamt = mod(d, "shiftamt");
    enum ptx_type type = type_at(d, 0);
    bool wide = ptx_type_size(type) == 8, s = ptx_type_is_signed(type);
    uint32_t dst, a;
    enum ops_id id = op[0] == 'p' ? (wide ? OPS_POPC_64 : OPS_POPC_32)
                   : op[0] == 'c' ? (wide ? OPS_CLZ_64 : OPS_CLZ_32)
                   : op[1] == 'r' ? (wide ? OPS_BREV_64 : OPS_BREV_32)
                   : wide ? (s ? OPS_BFIND_S64 : OPS_BFIND_U64)
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
        (insert && src_value(d, &ops[2], type, &b)) ||
        src_value(d, &ops[n - 2], PTX_U32, &pos) || src_value(d, &ops[n - 1], PTX_U32, &len) ||
        dst_reg(d, &ops[0], wide ? 8 : 4, &dst))
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
    if (simple(d, id, PTX_U32, 3, &in))
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
    return decode_three32(d, left ? (wrap ? OPS_SHF_L_WRAP : OPS_SHF_L_CLAMP)
                                  : (wrap ? OPS_SHF_R_WRAP : OPS_SHF_R_CLAMP), 0);
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

const struct decode_entry decode_int_table[] = {
    {"add", decode_addsub}, {"sub", decode_addsub}, {"addc", decode_carry}, {"subc", decode_carry},
    {"mul", decode_mul},    {"mad", decode_mul},    {"madc", decode_carry}, {"mul24", decode_mul24},
    {"mad24", decode_mul24}, {"div", decode_divrem}, {"rem", decode_divrem}, {"and", decode_logic},
    {"or", decode_logic},   {"xor", decode_logic},  {"not", decode_logic},  {"cnot", decode_logic},
    {"neg", decode_negabs}, {"abs", decode_negabs}, {"min", decode_minmax}, {"max", decode_minmax},
    {"shl", decode_shift},  {"shr", decode_shift},  {"popc", decode_count}, {"clz", decode_count},
    {"brev", decode_count}, {"bfind", decode_count}, {"bfe", decode_field}, {"bfi", decode_field},
    {"lop3", decode_lop3},  {"prmt", decode_prmt},  {"shf", decode_shf},    {"dp4a", decode_dp},
    {"dp2a", decode_dp},    {"vabsdiff2", decode_vabsdiff}, {"vabsdiff4", decode_vabsdiff},
       {"sad", decode_sad},    {NULL, NULL}};
