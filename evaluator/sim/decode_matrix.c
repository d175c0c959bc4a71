/* SPDX-License-Identifier: MIT */
/* Matrix instructions: ldmatrix, stmatrix, movmatrix, mma, wmma. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

#include <stdio.h>
#include <string.h>

/* Registers of a list, checked for their number and width. */
static int list_regs(struct decoder *d, const struct ptx_operand *op, unsigned n, unsigned size,
                     bool is_dst, uint32_t *ret_refs)
{
    const struct ptx_operand *regs = op->kind == PTX_OPERAND_VEC ? op->vec : op;
    unsigned have = op->kind == PTX_OPERAND_VEC ? op->n : 1;
    enum ptx_type type = size == 8 ? PTX_B64 : PTX_B32;
    if (have != n || n > PTX_MAX_VEC)
        return decode_fail(d, "%u registers where %u are needed", have, n);
    for (unsigned i = 0; i < n; i++)
        if (is_dst ? dst_reg(d, &regs[i], size, &ret_refs[i])
                   : src_value(d, &regs[i], type, &ret_refs[i]))
            return d->failed;
    return 0;
}

static unsigned count_mod(struct decoder *d)
{
    return mod(d, "x4") ? 4 : mod(d, "x2") ? 2 : mod(d, "x1") ? 1 : 0;
}

/* ldmatrix.sync.aligned.m8n8.x4{.trans}{.shared}.b16 r, [p]; stmatrix the other way round. */
static int decode_ldst(struct decoder *d)
{
    bool load = d->s->part[0][0] == 'l';
    unsigned n = count_mod(d);
    bool trans = mod(d, "trans");
    struct address a;
    uint32_t regs[PTX_MAX_VEC];
    if (!mod(d, "sync") || !mod(d, "aligned") || !mod(d, "m8n8") || !n || type_at(d, 0) != PTX_B16)
        return decode_refuse(d, "this form");
    if (!mod(d, "shared"))
        mod(d, "shared::cta");
    if (operand_count(d, 2, 2) || memory_address(d, &d->s->operands[load], &a) ||
        list_regs(d, &d->s->operands[!load], n, 4, load, regs))
        return d->failed;
    struct insn *in = emit(d, load ? INSN_LDMATRIX : INSN_STMATRIX);
    in->addr_width = a.width;
    in->imm = a.offset;
    in->space = PTX_SHARED;
    in->elem = 16;
    in->vec = (uint8_t)n;
    in->width = 4;
    in->mode = trans;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_LSU, n, load ? LAT_SHARED : LAT_NONE);
    for (unsigned i = 0; load && i < n; i++)
        add_dst(d, regs[i]);
    add_src(d, a.ref);
    for (unsigned i = 0; !load && i < n; i++)
        add_src(d, regs[i]);
    return d->failed;
}

static int decode_movmatrix(struct decoder *d)
{
    uint32_t dst, src;
    if (!mod(d, "sync") || !mod(d, "aligned") || !mod(d, "m8n8") || !mod(d, "trans") ||
        type_at(d, 0) != PTX_B16)
        return decode_refuse(d, "this form");
    if (operand_count(d, 2, 2) || src_value(d, &d->s->operands[1], PTX_B32, &src) ||
        dst_reg(d, &d->s->operands[0], 4, &dst))
        return d->failed;
    struct insn *in = emit(d, INSN_MOVMATRIX);
    in->width = 4;
    cost(in, EXEC_PIPE_LSU, 1, LAT_SHUFFLE);
    add_dst(d, dst);
    add_src(d, src);
    return d->failed;
}

static int kind_of(const char *type)
{
    static const struct {
        const char *name;
        enum mma_kind kind;
    } kinds[] = {{"f16", MMA_F16}, {"bf16", MMA_BF16}, {"tf32", MMA_TF32}, {"s8", MMA_S8},
                 {"u8", MMA_U8},   {"f64", MMA_F64},   {"e4m3", MMA_E4M3}, {"e5m2", MMA_E5M2}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(type, kinds[i].name))
            return kinds[i].kind;
    return -1;
}

static unsigned kind_bits(int kind)
{
    return kind == MMA_F64                       ? 64
           : kind == MMA_TF32                    ? 32
           : kind == MMA_F16 || kind == MMA_BF16 ? 16
                                                 : 8;
}

static bool is_int(int kind)
{
    return kind == MMA_S8 || kind == MMA_U8;
}

struct shape {
    unsigned m, n, k;
};

static bool parse_shape(struct decoder *d, struct shape *ret_shape)
{
    for (unsigned i = 1; i < d->s->n_parts; i++) {
        struct shape s;
        int used = 0;
        if (sscanf(d->s->part[i], "m%2un%2uk%2u%n", &s.m, &s.n, &s.k, &used) == 3 &&
            !d->s->part[i][used]) {
            d->taken |= 1u << i;
            *ret_shape = s;
            return true;
        }
    }
    return false;
}

static bool mma_shape_ok(int kind, const struct shape *s)
{
    unsigned unit = 128 / kind_bits(kind); /* columns of a that one register of each lane holds */
    if (kind == MMA_F64)
        return s->n == 8 &&
               ((s->m == 8 && s->k == 4) || (s->m == 16 && (s->k == 4 || s->k == 8 || s->k == 16)));
    if (is_int(kind) && s->m == 8)
        return s->n == 8 && s->k == 16;
    return s->m == 16 && s->n == 8 && (s->k == unit || s->k == 2 * unit);
}

/* What the last parts say: .dtype.atype.btype.ctype. */
struct mma_types {
    int a, b;
    bool c_half, d_half;
};

static int accumulator(struct decoder *d, unsigned from_end, int kind, bool *ret_half)
{
    enum ptx_type type = type_at(d, from_end);
    bool f16 = kind == MMA_F16 || kind == MMA_E4M3 || kind == MMA_E5M2;
    *ret_half = type == PTX_F16;
    bool ok = kind == MMA_F64 ? type == PTX_F64
              : is_int(kind)  ? type == PTX_S32
                              : type == PTX_F32 || (f16 && type == PTX_F16);
    return ok ? 0 : decode_refuse(d, "this accumulator");
}

static int emit_mma(struct decoder *d, enum insn_kind insn, const struct shape *s,
                    const struct mma_types *t, const unsigned counts[4])
{
    const struct ptx_operand *ops = d->s->operands;
    uint32_t r[4][PTX_MAX_VEC];
    unsigned size = t->a == MMA_F64 ? 8 : 4;
    bool saturate = mod(d, "satfinite");
    if (saturate && !is_int(t->a))
        return decode_refuse(d, ".satfinite of floats");
    if (operand_count(d, 4, 4) || list_regs(d, &ops[0], counts[0], size, true, r[0]) ||
        list_regs(d, &ops[1], counts[1], size, false, r[1]) ||
        list_regs(d, &ops[2], counts[2], size, false, r[2]) ||
        list_regs(d, &ops[3], counts[3], size, false, r[3]))
        return d->failed;
    struct insn *in = emit(d, insn);
    in->sub = (uint8_t)t->a;
    in->elem = (uint8_t)t->b;
    in->mode = (uint8_t)((t->c_half ? MMA_C_HALF : 0) | (t->d_half ? MMA_D_HALF : 0) |
                         (saturate ? MMA_SATURATE : 0));
    in->target[0] = s->m;
    in->target[1] = s->n | s->k << 16;
    in->imm = 2ll * s->m * s->n * s->k;
    in->width = (uint8_t)size;
    cost(in, EXEC_PIPE_TENSOR, 1, LAT_TENSOR);
    for (unsigned i = 0; i < counts[0]; i++)
        add_dst(d, r[0][i]);
    for (unsigned k = 1; k < 4; k++)
        for (unsigned i = 0; i < counts[k]; i++)
            add_src(d, r[k][i]);
    return d->failed;
}

static int decode_mma(struct decoder *d)
{
    struct shape s;
    struct mma_types t;
    if (!mod(d, "sync") || !mod(d, "aligned") || !parse_shape(d, &s) || !mod(d, "row") ||
        !mod(d, "col") || d->s->n_parts < 8)
        return decode_refuse(d, "this form");
    t.a = kind_of(d->s->part[d->s->n_parts - 3]);
    t.b = kind_of(d->s->part[d->s->n_parts - 2]);
    d->taken |= 3u << (d->s->n_parts - 3);
    bool f8 = t.a == MMA_E4M3 || t.a == MMA_E5M2;
    if (t.a < 0 || t.b < 0 || kind_bits(t.a) != kind_bits(t.b) || is_int(t.a) != is_int(t.b) ||
        (t.a != t.b && !is_int(t.a) && !f8) || !mma_shape_ok(t.a, &s))
        return decode_refuse(d, "this shape or type");
    if (accumulator(d, 0, t.a, &t.c_half) || accumulator(d, 3, t.a, &t.d_half))
        return d->failed;
    unsigned bits = t.a == MMA_F64 ? 64 : 32, per_reg = bits / kind_bits(t.a);
    unsigned acc = s.m * s.n / 32;
    unsigned counts[4] = {t.d_half ? acc / 2 : acc, s.m * s.k / 32 / per_reg,
                          s.k * s.n / 32 / per_reg, t.c_half ? acc / 2 : acc};
    return emit_mma(d, INSN_MMA, &s, &t, counts);
}

/* Registers of a wmma fragment (PTX ISA, "WMMA fragments"): f16 keeps every element twice. */
static unsigned wmma_regs(const struct shape *s, int kind, enum wmma_part part, bool half)
{
    unsigned elems = part == WMMA_A ? s->m * s->k : part == WMMA_B ? s->k * s->n : s->m * s->n;
    if (part == WMMA_C)
        return elems / 32 / (half ? 2 : 1);
    if (kind == MMA_F16)
        return 8;
    return elems * kind_bits(kind) / 32 / (kind == MMA_F64 ? 64 : 32);
}

static bool wmma_shape_ok(int kind, const struct shape *s)
{
    if (kind == MMA_F64)
        return s->m == 8 && s->n == 8 && s->k == 4;
    if (kind == MMA_TF32)
        return s->m == 16 && s->n == 16 && s->k == 8;
    return s->k == 16 && s->m * s->n == 256 && (s->m == 8 || s->m == 16 || s->m == 32) &&
           kind != MMA_E4M3 && kind != MMA_E5M2;
}

/* wmma.load.a.sync.aligned.row.m16n16k16{.space}.f16 r, [p], stride; wmma.store.d likewise. */
static int decode_wmma_ldst(struct decoder *d, bool load)
{
    struct shape s;
    struct address a;
    uint32_t regs[PTX_MAX_VEC], stride;
    enum wmma_part part = mod(d, "a") ? WMMA_A : mod(d, "b") ? WMMA_B : WMMA_C;
    const struct ptx_operand *ops = d->s->operands;
    const char *type_name = d->s->part[d->s->n_parts - 1];
    if (part == WMMA_C)
        mod(d, load ? "c" : "d");
    bool col = mod(d, "col"), half = part == WMMA_C && !strcmp(type_name, "f16");
    mod(d, "row");
    int kind = !strcmp(type_name, "f32")   ? MMA_TF32
               : !strcmp(type_name, "s32") ? MMA_S8
                                           : kind_of(type_name);
    d->taken |= 1u << (d->s->n_parts - 1);
    enum ptx_space space = mod(d, "global")                            ? PTX_GLOBAL
                           : mod(d, "shared") || mod(d, "shared::cta") ? PTX_SHARED
                                                                       : PTX_GENERIC;
    if (!mod(d, "sync") || !mod(d, "aligned") || !parse_shape(d, &s) || kind < 0)
        return decode_refuse(d, "this form");
    if (part == WMMA_C ? s.m * s.n != 256 && kind != MMA_F64 : !wmma_shape_ok(kind, &s))
        return decode_refuse(d, "this shape or type");
    unsigned n = wmma_regs(&s, kind, part, half), size = kind == MMA_F64 ? 8 : 4;
    unsigned lead = part == WMMA_A   ? (col ? s.m : s.k)
                    : part == WMMA_B ? (col ? s.k : s.n)
                    : col            ? s.m
                                     : s.n;
    if (operand_count(d, 2, 3) || memory_address(d, &ops[load], &a) ||
        list_regs(d, &ops[!load], n, size, load, regs))
        return d->failed;
    if (d->s->n_operands == 3 ? src_value(d, &ops[2], PTX_U32, &stride)
                              : (stride = const_ref(d, lead, 4), 0))
        return d->failed;
    struct insn *in = emit(d, load ? INSN_WMMA_LD : INSN_WMMA_ST);
    in->addr_width = a.width;
    in->imm = a.offset;
    in->space = (uint8_t)space;
    in->sub = (uint8_t)part;
    in->flags = col;
    in->elem = (uint8_t)(part == WMMA_C ? (half ? 2 : size) : kind_bits(kind) / 8);
    in->vec = (uint8_t)n;
    in->width = (uint8_t)size;
    in->target[0] = s.m;
    in->target[1] = s.n | s.k << 16;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_LSU, n, load ? (space == PTX_SHARED ? LAT_SHARED : LAT_GLOBAL) : LAT_NONE);
    for (unsigned i = 0; load && i < n; i++)
        add_dst(d, regs[i]);
    add_src(d, a.ref);
    add_src(d, stride);
    for (unsigned i = 0; !load && i < n; i++)
        add_src(d, regs[i]);
    return d->failed;
}

/* wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 (f16 inputs), or with all four types. */
static int decode_wmma_mma(struct decoder *d)
{
    struct shape s;
    struct mma_types t = {.a = MMA_F16, .b = MMA_F16};
    unsigned n = d->s->n_parts;
    for (unsigned i = 0; i < 2; i++)
        if (!mod(d, "row"))
            mod(d, "col");
    if (!mod(d, "sync") || !mod(d, "aligned") || !parse_shape(d, &s) || n < 9)
        return decode_refuse(d, "this form");
    unsigned dtype = 1;
    n -= !strcmp(d->s->part[n - 1], "rn") && mod(d, "rn"); /* of f64, the default */
    if (kind_of(d->s->part[n - 3]) >= 0 && !strcmp(d->s->part[n - 3], d->s->part[n - 2]) &&
        n >= 11) {
        t.a = t.b = kind_of(d->s->part[n - 3]);
        d->taken |= 3u << (n - 3);
        dtype = 3;
    }
    if (!wmma_shape_ok(t.a, &s))
        return decode_refuse(d, "this shape or type");
    unsigned behind = d->s->n_parts - n;
    if (accumulator(d, behind, t.a, &t.c_half) || accumulator(d, behind + dtype, t.a, &t.d_half))
        return d->failed;
    unsigned counts[4] = {wmma_regs(&s, t.a, WMMA_C, t.d_half), wmma_regs(&s, t.a, WMMA_A, false),
                          wmma_regs(&s, t.a, WMMA_B, false), wmma_regs(&s, t.a, WMMA_C, t.c_half)};
    return emit_mma(d, INSN_WMMA_MMA, &s, &t, counts);
}

static int decode_wmma(struct decoder *d)
{
    if (mod(d, "load"))
        return decode_wmma_ldst(d, true);
    if (mod(d, "store"))
        return decode_wmma_ldst(d, false);
    return mod(d, "mma") ? decode_wmma_mma(d) : decode_refuse(d, "");
}

const struct decode_entry decode_matrix_table[] = {
    {"ldmatrix", decode_ldst}, {"stmatrix", decode_ldst}, {"movmatrix", decode_movmatrix},
    {"mma", decode_mma},       {"wmma", decode_wmma},     {NULL, NULL}};
