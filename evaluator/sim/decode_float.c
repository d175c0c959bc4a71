/* SPDX-License-Identifier: MIT */
/* Floating-point arithmetic of every width. Modifiers that change operands or results (.ftz, .sat,
 * .relu) become operations of their own around the main one, except for the common .ftz forms. */
#include "evaluator/sim/decode.h"

#include <string.h>

struct float_op {
    const char *name;
    unsigned n;
    /* OPS_NONE where the type has no such operation */
    enum ops_id f32, f32_ftz, f64, f16, f16x2, bf16, bf16x2, f32x2;
    ops_fn *f32_r, *f64_r; /* with a rounding mode */
};

static const struct float_op float_ops[] = {
    {"add", 2, OPS_ADD_F32, OPS_ADD_F32_FTZ, OPS_ADD_F64, OPS_ADD_F16, OPS_ADD_F16X2, OPS_ADD_BF16,
     OPS_ADD_BF16X2, OPS_ADD_F32X2, ops_add_f32_r, ops_add_f64_r},
    {"sub", 2, OPS_SUB_F32, OPS_SUB_F32_FTZ, OPS_SUB_F64, OPS_SUB_F16, OPS_SUB_F16X2, OPS_SUB_BF16,
     OPS_SUB_BF16X2, OPS_SUB_F32X2, ops_sub_f32_r, ops_sub_f64_r},
    {"mul", 2, OPS_MUL_F32, OPS_MUL_F32_FTZ, OPS_MUL_F64, OPS_MUL_F16, OPS_MUL_F16X2, OPS_MUL_BF16,
     OPS_MUL_BF16X2, OPS_MUL_F32X2, ops_mul_f32_r, ops_mul_f64_r},
    {"fma", 3, OPS_FMA_F32, OPS_FMA_F32_FTZ, OPS_FMA_F64, OPS_FMA_F16, OPS_FMA_F16X2, OPS_FMA_BF16,
     OPS_FMA_BF16X2, OPS_FMA_F32X2, ops_fma_f32_r, ops_fma_f64_r},
    {.name = "div",
     .n = 2,
     .f32 = OPS_DIV_F32,
     .f32_ftz = OPS_DIV_F32_FTZ,
     .f64 = OPS_DIV_F64,
     .f32_r = ops_div_f32_r,
     .f64_r = ops_div_f64_r},
    {"min", 2, OPS_MIN_F32, OPS_NONE, OPS_MIN_F64, OPS_MIN_F16, OPS_MIN_F16X2, OPS_MIN_BF16,
     OPS_MIN_BF16X2, OPS_NONE, NULL, NULL},
    {"max", 2, OPS_MAX_F32, OPS_NONE, OPS_MAX_F64, OPS_MAX_F16, OPS_MAX_F16X2, OPS_MAX_BF16,
     OPS_MAX_BF16X2, OPS_NONE, NULL, NULL},
    {"min.NaN", 2, OPS_MIN_F32_NAN, OPS_NONE, OPS_NONE, OPS_MIN_F16_NAN, OPS_MIN_F16X2_NAN,
     OPS_MIN_BF16_NAN, OPS_MIN_BF16X2_NAN, OPS_NONE, NULL, NULL},
    {"max.NaN", 2, OPS_MAX_F32_NAN, OPS_NONE, OPS_NONE, OPS_MAX_F16_NAN, OPS_MAX_F16X2_NAN,
     OPS_MAX_BF16_NAN, OPS_MAX_BF16X2_NAN, OPS_NONE, NULL, NULL},
    {"neg", 1, OPS_NEG_F32, OPS_NONE, OPS_NEG_F64, OPS_NEG_F16, OPS_NEG_F16X2, OPS_NEG_BF16,
     OPS_NEG_BF16X2, OPS_NONE, NULL, NULL},
    {"abs", 1, OPS_ABS_F32, OPS_NONE, OPS_ABS_F64, OPS_ABS_F16, OPS_ABS_F16X2, OPS_ABS_BF16,
     OPS_ABS_BF16X2, OPS_NONE, NULL, NULL},
    {.name = "rcp",
     .n = 1,
     .f32 = OPS_RCP_F32,
     .f32_ftz = OPS_RCP_F32_FTZ,
     .f64 = OPS_RCP_F64,
     .f32_r = ops_rcp_f32_r,
     .f64_r = ops_rcp_f64_r},
    {.name = "sqrt",
     .n = 1,
     .f32 = OPS_SQRT_F32,
     .f32_ftz = OPS_SQRT_F32_FTZ,
     .f64 = OPS_SQRT_F64,
     .f32_r = ops_sqrt_f32_r,
     .f64_r = ops_sqrt_f64_r},
    {.name = "rsqrt",
     .n = 1,
     .f32 = OPS_RSQRT_F32,
     .f32_ftz = OPS_RSQRT_F32_FTZ,
     .f64 = OPS_RSQRT_F64},
    {.name = "sin", .n = 1, .f32 = OPS_SIN_F32},
    {.name = "cos", .n = 1, .f32 = OPS_COS_F32},
    {.name = "lg2", .n = 1, .f32 = OPS_LG2_F32},
    {.name = "ex2",
     .n = 1,
     .f32 = OPS_EX2_F32,
     .f16 = OPS_EX2_F16,
     .f16x2 = OPS_EX2_F16X2,
     .bf16 = OPS_EX2_BF16,
     .bf16x2 = OPS_EX2_BF16X2},
    {.name = "tanh",
     .n = 1,
     .f32 = OPS_TANH_F32,
     .f16 = OPS_TANH_F16,
     .f16x2 = OPS_TANH_F16X2,
     .bf16 = OPS_TANH_BF16,
     .bf16x2 = OPS_TANH_BF16X2},
};

static enum ops_id op_of_type(const struct float_op *op, enum ptx_type type)
{
    switch (type) {
    case PTX_F32:
        return op->f32;
    case PTX_F64:
        return op->f64;
    case PTX_F16:
        return op->f16;
    case PTX_F16X2:
        return op->f16x2;
    case PTX_BF16:
        return op->bf16;
    case PTX_BF16X2:
        return op->bf16x2;
    case PTX_F32X2:
        return op->f32x2;
    default:
        return OPS_NONE;
    }
}

struct type_ops {
    enum ops_id ftz, sat, relu;
};

static struct type_ops ops_around(enum ptx_type type)
{
    switch (type) {
    case PTX_F32:
        return (struct type_ops){OPS_FTZ_F32, OPS_SAT_F32, OPS_NONE};
    case PTX_F64:
        return (struct type_ops){OPS_NONE, OPS_SAT_F64, OPS_NONE};
    case PTX_F16:
        return (struct type_ops){OPS_FTZ_F16, OPS_SAT_F16, OPS_RELU_F16};
    case PTX_F16X2:
        return (struct type_ops){OPS_FTZ_F16X2, OPS_SAT_F16X2, OPS_RELU_F16X2};
    case PTX_BF16:
        return (struct type_ops){OPS_FTZ_BF16, OPS_SAT_BF16, OPS_RELU_BF16};
    case PTX_BF16X2:
        return (struct type_ops){OPS_FTZ_BF16X2, OPS_SAT_BF16X2, OPS_RELU_BF16X2};
    case PTX_F32X2:
        return (struct type_ops){OPS_FTZ_F32X2, OPS_NONE, OPS_NONE};
    default:
        return (struct type_ops){OPS_NONE, OPS_NONE, OPS_NONE};
    }
}

static void cost_float(struct insn *in, const char *op, enum ptx_type type, bool approx)
{
    bool slow = strstr("div rcp sqrt rsqrt", op) != NULL;
    if (type == PTX_F64) {
        cost(in, EXEC_PIPE_F64, slow ? 12 : 1, LAT_F64);
        in->weight_sfu = slow ? 1 : 0;
    } else if (slow || strstr("sin cos lg2 ex2 tanh", op)) {
        bool exact = !approx && strcmp(op, "tanh");
        cost(in, EXEC_PIPE_FMA, exact ? 8 : 1, LAT_SFU);
        in->weight_sfu = 1;
        if (!exact && strcmp(op, "div"))
            in->weight = 0;
    } else if (op[0] == 'm' && (op[1] == 'i' || op[1] == 'a')) {
        cost(in, EXEC_PIPE_ALU, 1, LAT_ALU);
    } else if (!strcmp(op, "neg") || !strcmp(op, "abs")) {
        cost(in, EXEC_PIPE_ALU, 0, LAT_NONE); /* an operand modifier */
    } else {
        /* pairs of halves take two turns on Hopper, measured */
        bool pair = type == PTX_F32X2 || type == PTX_F16X2 || type == PTX_BF16X2;
        cost(in, EXEC_PIPE_FMA, pair ? 2 : 1, LAT_FMA);
    }
}

struct float_mods {
    bool ftz, sat, relu, approx, full, xorsign;
    unsigned round;
};

static ops_fn *choose_fn(struct decoder *d, const struct float_op *op, enum ptx_type type,
                         const struct float_mods *m)
{
    enum ops_id id = op_of_type(op, type);
    if (m->round != OPS_RN)
        return type == PTX_F32 ? op->f32_r : type == PTX_F64 ? op->f64_r : NULL;
    if (m->ftz && type == PTX_F32 && op->f32_ftz != OPS_NONE)
        id = op->f32_ftz;
    if (m->approx && id == OPS_DIV_F32)
        id = OPS_DIV_APPROX_F32;
    return d->program->ops->fn[id];
}

static int emit_float(struct decoder *d, const struct float_op *op, enum ptx_type type,
                      const struct float_mods *m)
{
    unsigned size = slot_size(type);
    uint32_t dst, src[3] = {REF_NONE, REF_NONE, REF_NONE};
    struct type_ops around = ops_around(type);
    ops_fn *fn = choose_fn(d, op, type, m);
    bool flush = m->ftz && around.ftz != OPS_NONE &&
                 !(type == PTX_F32 && m->round == OPS_RN && op->f32_ftz != OPS_NONE);
    if (!fn || (m->sat && around.sat == OPS_NONE) || (m->relu && around.relu == OPS_NONE))
        return decode_refuse(d, "this type or modifier");
    for (unsigned i = 0; i < op->n; i++) {
        if (src_value(d, &d->s->operands[i + 1], type, &src[i]))
            return d->failed;
        if (flush) {
            uint32_t raw = src[i];
            src[i] = new_vreg(d, size);
            emit_op(d, around.ftz, src[i], raw, REF_NONE, REF_NONE)->weight = 0;
        }
    }
    if (dst_reg(d, &d->s->operands[0], size, &dst))
        return d->failed;
    bool xorsign = m->xorsign && type == PTX_F32;
    uint32_t to = xorsign ? new_vreg(d, 4) : dst;
    struct insn *in = emit_fn(d, fn, size, to, src[0], src[1], src[2], m->round);
    cost_float(in, op->name, type, m->approx || m->full);
    if (xorsign) { /* min/max of the magnitudes, the sign of the product */
        uint32_t a = new_vreg(d, 4), b = new_vreg(d, 4);
        d->n_insns--, d->n_refs -= 3;
        emit_op(d, OPS_ABS_F32, a, src[0], REF_NONE, REF_NONE);
        emit_op(d, OPS_ABS_F32, b, src[1], REF_NONE, REF_NONE);
        emit_fn(d, fn, size, to, a, b, REF_NONE, 0);
        emit_op(d, OPS_XORSIGN_F32, dst, to, src[0], src[1]);
    }
    if (flush)
        emit_op(d, around.ftz, dst, dst, REF_NONE, REF_NONE)->weight = 0;
    if (m->sat)
        emit_op(d, around.sat, dst, dst, REF_NONE, REF_NONE)->weight = 0;
    if (m->relu)
        emit_op(d, around.relu, dst, dst, REF_NONE, REF_NONE)->weight = 0;
    return d->failed;
}

/* The operation of three operands as two, for min and max (PTX 8.8). */
static int emit_three(struct decoder *d, const struct float_op *op, const struct float_mods *m)
{
    uint32_t dst, a, b, c, t = new_vreg(d, 4);
    const struct ptx_operand *ops = d->s->operands;
    if (m->xorsign || m->ftz || src_value(d, &ops[1], PTX_F32, &a) ||
        src_value(d, &ops[2], PTX_F32, &b) || src_value(d, &ops[3], PTX_F32, &c) ||
        dst_reg(d, &ops[0], 4, &dst))
        return decode_refuse(d, "this form");
    emit_op(d, op->f32, t, a, b, REF_NONE)->weight = 0;
    emit_op(d, op->f32, dst, t, c, REF_NONE);
    return d->failed;
}

int decode_arith(struct decoder *d, const char *name, enum ptx_type type)
{
    const struct float_op *op = NULL;
    struct float_mods m = {.relu = d->relu || mod(d, "relu")};
    const char *base = name;
    bool nan = mod(d, "NaN");
    if (nan)
        name = !strcmp(name, "min") ? "min.NaN" : "max.NaN";
    for (size_t i = 0; i < sizeof(float_ops) / sizeof(float_ops[0]); i++)
        if (!strcmp(name, float_ops[i].name))
            op = &float_ops[i];
    if (d->failed || !op)
        return decode_refuse(d, "this type");
    m.ftz = mod(d, "ftz");
    m.sat = mod(d, "sat");
    m.approx = mod(d, "approx");
    m.full = mod(d, "full");
    m.xorsign = mod(d, "xorsign") && mod(d, "abs");
    m.round = rounding(d);
    if (op->n == 2 && d->s->n_operands == 4 && type == PTX_F32 && base[0] == 'm' && base[1] != 'u')
        return emit_three(d, op, &m);
    if (operand_count(d, op->n + 1, op->n + 1))
        return d->failed;
    if (type == PTX_F64 && m.ftz && !m.approx)
        return decode_refuse(d, ".ftz");
    if (emit_float(d, op, type, &m))
        return d->failed;
    if (type == PTX_F64 && m.approx && m.ftz) { /* gross: only the upper word is computed */
        uint32_t dst;
        if (dst_reg(d, &d->s->operands[0], 8, &dst))
            return d->failed;
        emit_op(d, OPS_FTZ_F64, dst, dst, REF_NONE, REF_NONE)->weight = 0;
        emit_op(d, OPS_HIGHWORD_F64, dst, dst, REF_NONE, REF_NONE)->weight = 0;
    }
    return d->failed;
}

static int decode_named(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    return decode_arith(d, d->s->part[0], type);
}

/* copysign d, a, b: the magnitude of b with the sign of a. */
static int decode_copysign(struct decoder *d)
{
    enum ptx_type type = type_at(d, 0);
    uint32_t dst, a, b;
    if (type != PTX_F32 && type != PTX_F64)
        return decode_refuse(d, "this type");
    if (operand_count(d, 3, 3) || src_value(d, &d->s->operands[1], type, &a) ||
        src_value(d, &d->s->operands[2], type, &b) ||
        dst_reg(d, &d->s->operands[0], slot_size(type), &dst))
        return d->failed;
    emit_op(d, type == PTX_F32 ? OPS_COPYSIGN_F32 : OPS_COPYSIGN_F64, dst, a, b, REF_NONE);
    return d->failed;
}

static int decode_testp(struct decoder *d)
{
    static const struct {
        const char *name;
        enum ops_cmp_id f32, f64;
    } tests[] = {{"finite", OPS_CMP_FINITE_F32, OPS_CMP_FINITE_F64},
                 {"infinite", OPS_CMP_INFINITE_F32, OPS_CMP_INFINITE_F64},
                 {"number", OPS_CMP_NUM_F32, OPS_CMP_NUM_F64},
                 {"notanumber", OPS_CMP_NAN_F32, OPS_CMP_NAN_F64},
                 {"normal", OPS_CMP_NORMAL_F32, OPS_CMP_NORMAL_F64},
                 {"subnormal", OPS_CMP_SUBNORMAL_F32, OPS_CMP_SUBNORMAL_F64}};
    enum ptx_type type = type_at(d, 0);
    uint32_t a;
    uint16_t p;
    if (type != PTX_F32 && type != PTX_F64)
        return decode_refuse(d, "this type");
    if (operand_count(d, 2, 2) || src_value(d, &d->s->operands[1], type, &a) ||
        pred_dst(d, &d->s->operands[0], &p))
        return d->failed;
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (mod(d, tests[i].name)) {
            struct insn *in = emit(d, INSN_SETP);
            in->cmp = d->program->ops->cmp[type == PTX_F32 ? tests[i].f32 : tests[i].f64];
            in->p[0] = p;
            cost(in, EXEC_PIPE_ALU, 1, LAT_ALU);
            add_src(d, a);
            add_src(d, a);
            return d->failed;
        }
    return decode_refuse(d, "");
}

const struct decode_entry decode_float_table[] = {
    {"fma", decode_named},         {"rcp", decode_named},   {"sqrt", decode_named},
    {"rsqrt", decode_named},       {"sin", decode_named},   {"cos", decode_named},
    {"lg2", decode_named},         {"ex2", decode_named},   {"tanh", decode_named},
    {"copysign", decode_copysign}, {"testp", decode_testp}, {NULL, NULL}};
