/* SPDX-License-Identifier: MIT */
/* Integer arithmetic and logic. */
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

int decode_simple(struct decoder *d, enum ops_id id, enum ptx_type type, unsigned n,
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
        return decode_simple(d, sub ? OPS_SUB_16X2 : OPS_ADD_16X2, type, 2, &in);
    if (mod(d, "sat"))
        return type != PTX_S32
                   ? decode_refuse(d, ".sat of this type")
                   : decode_simple(d, sub ? OPS_SUBSAT_S32 : OPS_ADDSAT_S32, type, 2, &in);
    return decode_simple(d, sub ? BY_WIDTH(type, SUB_) : BY_WIDTH(type, ADD_), type, 2, &in);
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
    if (operand_count(d, mad ? 4 : 3, mad ? 4 : 3) || src_value(d, &d->s->operands[1], type, &a) ||
        src_value(d, &d->s->operands[2], type, &b) ||
        (mad && src_value(d, &d->s->operands[3], result, &c)) ||
        dst_reg(d, &d->s->operands[0], slot_size(result), &dst))
        return d->failed;
    enum ops_id id = wide ? (s ? mul.wide_s[w] : mul.wide_u[w])
                     : hi ? (s ? mul.hi_s[w] : mul.hi_u[w])
                          : mul.lo[w];
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
    if (decode_simple(d, id, type, 2, &in))
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
        return decode_simple(d, BY_WIDTH(type, AND_), type, 2, &in);
    if (!strcmp(op, "or"))
        return decode_simple(d, BY_WIDTH(type, OR_), type, 2, &in);
    if (!strcmp(op, "xor"))
        return decode_simple(d, BY_WIDTH(type, XOR_), type, 2, &in);
    if (!strcmp(op, "cnot"))
        return decode_simple(d, BY_WIDTH(type, CNOT_), type, 1, &in);
    return decode_simple(d, BY_WIDTH(type, NOT_), type, 1, &in);
}

static int decode_negabs(struct decoder *d)
{
    bool neg = d->s->part[0][0] == 'n';
    struct insn *in;
    enum ptx_type type = type_at(d, 0);
    if (ptx_type_is_float(type))
        return decode_arith(d, neg ? "neg" : "abs", type);
    return decode_simple(d, neg ? BY_WIDTH(type, NEG_) : BY_WIDTH(type, ABS_), type, 1, &in);
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
    if (decode_simple(d, id, type, 2, &in))
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
    enum ops_id id = left                       ? BY_WIDTH(type, SHL_)
                     : ptx_type_is_signed(type) ? BY_WIDTH(type, SHR_S)
                                                : BY_WIDTH(type, SHR_U);
    if (d->failed || operand_count(d, 3, 3) || src_value(d, &d->s->operands[1], type, &a) ||
        src_value(d, &d->s->operands[2], PTX_U32, &b) ||
        dst_reg(d, &d->s->operands[0], slot_size(type), &dst))
        return d->failed;
    if (id == OPS_NONE)
        return decode_refuse(d, "this type");
    cost_int(emit_op(d, id, dst, a, b, REF_NONE), type);
    return d->failed;
}

const struct decode_entry decode_int_table[] = {{"add", decode_addsub},
                                                {"sub", decode_addsub},
                                                {"addc", decode_carry},
                                                {"subc", decode_carry},
                                                {"mul", decode_mul},
                                                {"mad", decode_mul},
                                                {"madc", decode_carry},
                                                {"mul24", decode_mul24},
                                                {"mad24", decode_mul24},
                                                {"div", decode_divrem},
                                                {"rem", decode_divrem},
                                                {"and", decode_logic},
                                                {"or", decode_logic},
                                                {"xor", decode_logic},
                                                {"not", decode_logic},
                                                {"cnot", decode_logic},
                                                {"neg", decode_negabs},
                                                {"abs", decode_negabs},
                                                {"min", decode_minmax},
                                                {"max", decode_minmax},
                                                {"shl", decode_shift},
                                                {"shr", decode_shift},
                                                {NULL, NULL}};
