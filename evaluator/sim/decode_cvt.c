/* SPDX-License-Identifier: MIT */
/* cvt: common pairs have an operation of their own; the others go through a 64-bit integer, an f32
 * or an f64 in between, exactly (an f64 holds every f32, f16 and 32-bit integer). */
#include "evaluator/sim/decode.h"

#include <string.h>

struct cvt {
    enum ptx_type to, from;
    unsigned round; /* OPS_R* */
    int to_int;     /* rounding to an integral value: OPS_R* or -1 */
    bool ftz, sat, relu, satfinite, rna;
};

static uint32_t step(struct decoder *d, enum ops_id id, unsigned size, uint32_t src, uint32_t imm)
{
    uint32_t t = new_vreg(d, size);
    struct insn *in = emit_op(d, id, t, src, REF_NONE, REF_NONE);
    in->imm = imm;
    in->weight = 0;
    in->latency = LAT_NONE;
    return t;
}

static uint32_t step_fn(struct decoder *d, ops_fn *fn, unsigned size, uint32_t src, uint32_t imm)
{
    uint32_t t = new_vreg(d, size);
    emit_fn(d, fn, size, t, src, REF_NONE, REF_NONE, imm)->weight = 0;
    return t;
}

/* Any integer type as 64 bits, extended by its sign. The register may be wider than the type. */
static uint32_t widen(struct decoder *d, uint32_t src, unsigned slot, enum ptx_type type)
{
    static const enum ops_id ext[3][2] = {{OPS_ZEXT8_64, OPS_SEXT8_64},
                                          {OPS_ZEXT16_64, OPS_SEXT16_64},
                                          {OPS_ZEXT32_64, OPS_SEXT32_64}};
    unsigned size = ptx_type_size(type), s = ptx_type_is_signed(type);
    if (slot == 2) {
        if (size == 1)
            src = step(d, s ? OPS_SEXT8_16 : OPS_ZEXT8_16, 2, src, 0);
        return step(d, s ? OPS_S16_TO_64 : OPS_U16_TO_64, 8, src, 0);
    }
    if (slot == 4) {
        if (size == 4)
            return step(d, s ? OPS_S32_TO_64 : OPS_U32_TO_64, 8, src, 0);
        src = step(d, OPS_U32_TO_64, 8, src, 0);
    }
    return size == 8 ? src : step(d, ext[size == 1 ? 0 : size == 2 ? 1 : 2][s], 8, src, 0);
}

/* The low bits of 64 into the destination, extended over it if it is wider than the type. */
static void narrow(struct decoder *d, uint32_t src, uint32_t dst, unsigned slot, enum ptx_type type)
{
    unsigned size = ptx_type_size(type), s = ptx_type_is_signed(type);
    if (size == 1)
        src = step(d, s ? OPS_SEXT8_64 : OPS_ZEXT8_64, 8, src, 0);
    else if (size == 2 && slot > 2)
        src = step(d, s ? OPS_SEXT16_64 : OPS_ZEXT16_64, 8, src, 0);
    else if (size == 4 && slot > 4)
        src = step(d, s ? OPS_SEXT32_64 : OPS_ZEXT32_64, 8, src, 0);
    emit_op(d,
            slot == 2   ? OPS_NARROW_64_16
            : slot == 4 ? OPS_NARROW_64_32
                        : OPS_MOV_64,
            dst, src, REF_NONE, REF_NONE);
}

static void last_cost(struct decoder *d, enum exec_pipe pipe, unsigned weight, enum latency_class l)
{
    cost(&d->insns[d->n_insns - 1], pipe, weight, l);
}

static int cvt_int_int(struct decoder *d, const struct cvt *c, uint32_t src, unsigned src_slot,
                       uint32_t dst, unsigned dst_slot)
{
    static const struct {
        uint8_t to_size, from_size, is_signed;
        enum ops_id id;
    } direct[] = {{8, 4, 1, OPS_S32_TO_64}, {8, 4, 0, OPS_U32_TO_64}, {8, 2, 1, OPS_S16_TO_64},
                  {8, 2, 0, OPS_U16_TO_64}, {4, 2, 1, OPS_S16_TO_32}, {4, 2, 0, OPS_U16_TO_32}};
    unsigned to = ptx_type_size(c->to), from = ptx_type_size(c->from);
    bool s = ptx_type_is_signed(c->from), plain = to == dst_slot && from == src_slot && !c->sat;
    for (size_t i = 0; plain && i < sizeof(direct) / sizeof(direct[0]); i++)
        if (direct[i].to_size == to && direct[i].from_size == from && direct[i].is_signed == s) {
            emit_op(d, direct[i].id, dst, src, REF_NONE, REF_NONE);
            last_cost(d, EXEC_PIPE_ALU, s || from == 2 ? 1 : 0, LAT_ALU);
            return d->failed;
        }
    if (plain && to <= from) {
        enum ops_id id = to == from  ? (to == 2   ? OPS_MOV_16
                                        : to == 4 ? OPS_MOV_32
                                                  : OPS_MOV_64)
                         : from == 8 ? (to == 4 ? OPS_NARROW_64_32 : OPS_NARROW_64_16)
                                     : OPS_NARROW_32_16;
        emit_op(d, id, dst, src, REF_NONE, REF_NONE);
        last_cost(d, EXEC_PIPE_ALU, 0, LAT_NONE);
        return d->failed;
    }
    if (!c->sat && to == 1 && src_slot == dst_slot) { /* extend a byte in place */
        static const enum ops_id ext[3][2] = {{OPS_ZEXT8_16, OPS_SEXT8_16},
                                              {OPS_ZEXT8_32, OPS_SEXT8_32},
                                              {OPS_ZEXT8_64, OPS_SEXT8_64}};
        unsigned w = dst_slot == 2 ? 0 : dst_slot == 4 ? 1 : 2;
        emit_op(d, ext[w][ptx_type_is_signed(c->to)], dst, src, REF_NONE, REF_NONE);
        return d->failed;
    }
    uint32_t wide = widen(d, src, src_slot, c->from);
    if (c->sat) {
        uint32_t imm = to * 8 | (ptx_type_is_signed(c->to) ? 0 : 128);
        wide = step(d, s ? OPS_CLAMP_S64 : OPS_CLAMP_U64, 8, wide, imm);
    }
    narrow(d, wide, dst, dst_slot, c->to);
    last_cost(d, EXEC_PIPE_ALU, c->sat ? 2 : 1, LAT_ALU);
    return d->failed;
}

/* Any float up to f64. */
static uint32_t float_to_f64(struct decoder *d, enum ptx_type type, uint32_t src)
{
    if (type == PTX_F64)
        return src;
    if (type == PTX_F16 || type == PTX_BF16)
        src = step(d, type == PTX_F16 ? OPS_F32_FROM_F16 : OPS_F32_FROM_BF16, 4, src, 0);
    return step(d, OPS_F64_FROM_F32, 8, src, 0);
}

static int cvt_float_int(struct decoder *d, const struct cvt *c, uint32_t src, uint32_t dst,
                         unsigned dst_slot)
{
    static const enum ops_id round64[] = {OPS_RINT_F64, OPS_TRUNC_F64, OPS_FLOOR_F64, OPS_CEIL_F64};
    static const enum ops_id round32[] = {OPS_RINT_F32, OPS_TRUNC_F32, OPS_FLOOR_F32, OPS_CEIL_F32};
    bool s = ptx_type_is_signed(c->to);
    int mode = c->to_int >= 0 ? c->to_int : OPS_RZ;
    if (c->from == PTX_F32 && c->ftz)
        src = step(d, OPS_FTZ_F32, 4, src, 0);
    if (c->from == PTX_F32 && ptx_type_size(c->to) == 4 && dst_slot == 4) {
        if (mode != OPS_RZ)
            src = step(d, round32[mode], 4, src, 0);
        emit_op(d, s ? OPS_S32_FROM_F32 : OPS_U32_FROM_F32, dst, src, REF_NONE, REF_NONE);
        last_cost(d, EXEC_PIPE_SFU, 1, LAT_SFU);
        return d->failed;
    }
    uint32_t wide = float_to_f64(d, c->from, src);
    if (mode != OPS_RZ)
        wide = step(d, round64[mode], 8, wide, 0);
    uint32_t nan = c->from == PTX_F64 || ptx_type_size(c->to) == 8 ? 256 : 0;
    uint32_t imm = ptx_type_size(c->to) * 8 | (s ? 0 : 128) | nan;
    wide = step(d, s ? OPS_S64_FROM_F64 : OPS_U64_FROM_F64, 8, wide, imm);
    narrow(d, wide, dst, dst_slot, c->to);
    last_cost(d, EXEC_PIPE_SFU, c->from == PTX_F64 || ptx_type_size(c->to) == 8 ? 4 : 1, LAT_SFU);
    return d->failed;
}

static int cvt_int_float(struct decoder *d, const struct cvt *c, uint32_t src, unsigned src_slot,
                         uint32_t dst)
{
    bool s = ptx_type_is_signed(c->from);
    unsigned from = ptx_type_size(c->from);
    if (from == 4 && src_slot == 4 && c->round == OPS_RN &&
        (c->to == PTX_F32 || c->to == PTX_F64)) {
        enum ops_id id = c->to == PTX_F32 ? (s ? OPS_F32_FROM_S32 : OPS_F32_FROM_U32)
                                          : (s ? OPS_F64_FROM_S32 : OPS_F64_FROM_U32);
        emit_op(d, id, dst, src, REF_NONE, REF_NONE);
        if (c->sat && c->to == PTX_F32)
            emit_op(d, OPS_SAT_F32, dst, dst, REF_NONE, REF_NONE);
        last_cost(d, EXEC_PIPE_SFU, 1, LAT_SFU);
        return d->failed;
    }
    uint32_t wide = widen(d, src, src_slot, c->from);
    if (c->to == PTX_F32)
        emit_fn(d, s ? ops_f32_from_s64_r : ops_f32_from_u64_r, 4, dst, wide, REF_NONE, REF_NONE,
                c->round);
    else if (c->to == PTX_F64)
        emit_fn(d, s ? ops_f64_from_s64_r : ops_f64_from_u64_r, 8, dst, wide, REF_NONE, REF_NONE,
                c->round);
    else if (c->to == PTX_F16 || c->to == PTX_BF16) {
        /* integers beyond 2^53 are out of f16's range; to odd would be needed for bf16 only */
        wide = step_fn(d, s ? ops_f64_from_s64_r : ops_f64_from_u64_r, 8, wide, OPS_RZ);
        emit_fn(d, c->to == PTX_F16 ? ops_f16_from_f64_r : ops_bf16_from_f64_r, 2, dst, wide,
                REF_NONE, REF_NONE, c->round);
    } else
        return decode_refuse(d, "this type");
    last_cost(d, EXEC_PIPE_SFU, from == 8 ? 4 : 1, LAT_SFU);
    return d->failed;
}

/* Between floats, where the result has no more bits, or an integral value is asked for. */
static int cvt_float_float(struct decoder *d, const struct cvt *c, uint32_t src, uint32_t dst)
{
    static const enum ops_id round32[] = {OPS_RINT_F32, OPS_TRUNC_F32, OPS_FLOOR_F32, OPS_CEIL_F32};
    static const enum ops_id round64[] = {OPS_RINT_F64, OPS_TRUNC_F64, OPS_FLOOR_F64, OPS_CEIL_F64};
    uint32_t modifiers = c->round | (c->relu ? OPS_RELU : 0) | (c->satfinite ? OPS_SATFINITE : 0);
    enum ptx_type from = c->from;
    unsigned weight = from == PTX_F64 || c->to == PTX_F64 ? 4 : 1;
    if (from == PTX_F32 && c->ftz)
        src = step(d, OPS_FTZ_F32, 4, src, 0);
    if ((from == PTX_F16 || from == PTX_BF16) && (c->to != from || c->to_int >= 0)) {
        src = step(d, from == PTX_F16 ? OPS_F32_FROM_F16 : OPS_F32_FROM_BF16, 4, src, 0);
        last_cost(d, EXEC_PIPE_ALU, 0, LAT_NONE);
        from = PTX_F32;
    }
    if (c->to_int >= 0)
        src = from == PTX_F64 ? step(d, round64[c->to_int], 8, src, 0)
                              : step(d, round32[c->to_int], 4, src, 0);
    if (c->to == PTX_F64) {
        emit_op(d, from == PTX_F64 ? OPS_MOV_64 : OPS_F64_FROM_F32, dst, src, REF_NONE, REF_NONE);
    } else if (c->to == PTX_F32 && from == PTX_F64) {
        if (c->round == OPS_RN)
            emit_op(d, OPS_F32_FROM_F64, dst, src, REF_NONE, REF_NONE);
        else
            emit_fn(d, ops_f32_from_f64_r, 4, dst, src, REF_NONE, REF_NONE, c->round);
    } else if (c->to == PTX_F32) {
        emit_op(d, OPS_MOV_32, dst, src, REF_NONE, REF_NONE);
    } else if (c->to == PTX_TF32 && from == PTX_F32) {
        emit_fn(d, ops_tf32_from_f32_r, 4, dst, src, REF_NONE, REF_NONE,
                (c->rna ? OPS_RP : modifiers & 7) | (modifiers & ~7u));
    } else if (from == c->to) {
        emit_op(d, OPS_MOV_16, dst, src, REF_NONE, REF_NONE);
    } else {
        bool half = c->to == PTX_F16;
        if (from == PTX_F64)
            emit_fn(d, half ? ops_f16_from_f64_r : ops_bf16_from_f64_r, 2, dst, src, REF_NONE,
                    REF_NONE, modifiers);
        else if (modifiers != OPS_RN)
            emit_fn(d, half ? ops_f16_from_f32_r : ops_bf16_from_f32_r, 2, dst, src, REF_NONE,
                    REF_NONE, modifiers);
        else
            emit_op(d, half ? OPS_F16_FROM_F32 : OPS_BF16_FROM_F32, dst, src, REF_NONE, REF_NONE);
    }
    if (weight > 1 || c->to_int >= 0)
        last_cost(d, EXEC_PIPE_SFU, weight, LAT_SFU);
    else /* between 16 and 32 bits at the rate of integers */
        last_cost(d, EXEC_PIPE_ALU, 1, LAT_ALU);
    if (c->sat) {
        enum ops_id id = c->to == PTX_F32   ? OPS_SAT_F32
                         : c->to == PTX_F64 ? OPS_SAT_F64
                         : c->to == PTX_F16 ? OPS_SAT_F16
                                            : OPS_SAT_BF16;
        emit_op(d, id, dst, dst, REF_NONE, REF_NONE)->weight = 0;
    }
    if (c->ftz && c->to == PTX_F32)
        emit_op(d, OPS_FTZ_F32, dst, dst, REF_NONE, REF_NONE)->weight = 0;
    return d->failed;
}

/* cvt.rn.f16x2.f32 d, a, b and the eight-bit formats: two values in one register. */
static int cvt_pair(struct decoder *d, const struct cvt *c)
{
    const struct ptx_operand *ops = d->s->operands;
    uint32_t modifiers = c->round | (c->relu ? OPS_RELU : 0) | (c->satfinite ? OPS_SATFINITE : 0);
    bool from_pair = c->from == PTX_F16X2 || c->from == PTX_E4M3X2 || c->from == PTX_E5M2X2;
    uint32_t dst, a, b = REF_NONE;
    if (operand_count(d, from_pair ? 2 : 3, from_pair ? 2 : 3) ||
        src_value(d, &ops[1], c->from, &a) || (!from_pair && src_value(d, &ops[2], c->from, &b)) ||
        dst_reg(d, &ops[0], slot_size(c->to), &dst))
        return d->failed;
    ops_fn *fn = NULL;
    if (c->from == PTX_F32 && (c->to == PTX_F16X2 || c->to == PTX_BF16X2)) {
        bool half = c->to == PTX_F16X2;
        if (modifiers == OPS_RN) {
            emit_op(d, half ? OPS_F16X2_FROM_F32 : OPS_BF16X2_FROM_F32, dst, a, b, REF_NONE);
        } else { /* one by one */
            fn = half ? ops_f16_from_f32_r : ops_bf16_from_f32_r;
            uint32_t hi = step_fn(d, fn, 2, a, modifiers), lo = step_fn(d, fn, 2, b, modifiers);
            emit_op(d, OPS_PACK_32, dst, lo, hi, REF_NONE);
        }
        last_cost(d, EXEC_PIPE_ALU, 1, LAT_ALU);
        return d->failed;
    }
    if (c->from == PTX_F32)
        fn = c->to == PTX_E4M3X2   ? ops_e4m3x2_from_f32
             : c->to == PTX_E5M2X2 ? ops_e5m2x2_from_f32
                                   : NULL;
    else if (c->from == PTX_F16X2)
        fn = c->to == PTX_E4M3X2   ? ops_e4m3x2_from_f16x2
             : c->to == PTX_E5M2X2 ? ops_e5m2x2_from_f16x2
                                   : NULL;
    else if (c->to == PTX_F16X2)
        fn = c->from == PTX_E4M3X2 ? ops_f16x2_from_e4m3x2 : ops_f16x2_from_e5m2x2;
    if (!fn)
        return decode_refuse(d, "this pair of types");
    emit_fn(d, fn, slot_size(c->to), dst, a, b, REF_NONE, modifiers);
    if (c->relu && c->to == PTX_F16X2)
        emit_op(d, OPS_RELU_F16X2, dst, dst, REF_NONE, REF_NONE);
    last_cost(d, EXEC_PIPE_SFU, 1, LAT_SFU);
    return d->failed;
}

static int to_int_mode(struct decoder *d)
{
    static const char *const names[] = {"rni", "rzi", "rmi", "rpi"};
    for (int i = 0; i < 4; i++)
        if (mod(d, names[i]))
            return i;
    return -1;
}

static bool is_pair(enum ptx_type t)
{
    return t == PTX_F16X2 || t == PTX_BF16X2 || t == PTX_E4M3X2 || t == PTX_E5M2X2;
}

static bool is_scalar_float(enum ptx_type t)
{
    return t == PTX_F16 || t == PTX_BF16 || t == PTX_F32 || t == PTX_F64;
}

/* cvt.pack.sat.u8.s32.b32 d, a, b, c; cvt.pack.sat.s16.s32 d, a, b */
static int cvt_pack(struct decoder *d)
{
    bool bytes = d->s->n_operands == 4;
    struct insn *in;
    if (bytes)
        type_at(d, 0);
    enum ptx_type from = type_at(d, bytes), to = type_at(d, bytes + 1u);
    unsigned size = ptx_type_size(to);
    if (!mod(d, "sat") || from != PTX_S32 || size != (bytes ? 1 : 2) || ptx_type_is_float(to))
        return decode_refuse(d, "this form");
    if (decode_simple(d, bytes ? OPS_CVT_PACK_8 : OPS_CVT_PACK_16, PTX_B32, bytes ? 3 : 2, &in))
        return d->failed;
    in->imm = (int64_t)size * 8 + (ptx_type_is_signed(to) ? 0 : 128);
    return 0;
}

static int decode_cvt(struct decoder *d)
{
    if (mod(d, "pack"))
        return cvt_pack(d);
    struct cvt c = {.from = type_at(d, 0), .to = type_at(d, 1)};
    const struct ptx_operand *ops = d->s->operands;
    if (d->failed)
        return d->failed;
    c.to_int = to_int_mode(d);
    c.rna = mod(d, "rna");
    c.round = rounding(d);
    c.ftz = mod(d, "ftz");
    c.sat = mod(d, "sat");
    c.relu = mod(d, "relu");
    c.satfinite = mod(d, "satfinite");
    if (is_pair(c.to) || is_pair(c.from))
        return cvt_pair(d, &c);
    bool to_float = is_scalar_float(c.to) || c.to == PTX_TF32, from_float = is_scalar_float(c.from);
    if (ptx_type_size(c.to) > 8 || ptx_type_size(c.from) > 8 || c.from == PTX_TF32 ||
        c.to == PTX_E4M3 || c.to == PTX_E5M2 || c.from == PTX_E4M3 || c.from == PTX_E5M2 ||
        c.to == PTX_PRED || c.from == PTX_PRED)
        return decode_refuse(d, "this pair of types");
    unsigned src_slot = operand_slot(d, &ops[1]), dst_slot = operand_slot(d, &ops[0]);
    if (operand_count(d, 2, 2))
        return d->failed;
    src_slot = src_slot ? src_slot : slot_size(c.from);
    dst_slot = dst_slot ? dst_slot : slot_size(c.to);
    if (src_slot < slot_size(c.from) || dst_slot < slot_size(c.to) ||
        (from_float && src_slot != slot_size(c.from)) || (to_float && dst_slot != slot_size(c.to)))
        return decode_fail(d, "a register of another size than its type");
    enum ptx_type as = src_slot == 2 ? PTX_B16 : src_slot == 4 ? PTX_B32 : PTX_B64;
    uint32_t src, dst;
    if (src_value(d, &ops[1], ops[1].kind == PTX_OPERAND_IMM ? c.from : as, &src) ||
        dst_reg(d, &ops[0], dst_slot, &dst))
        return d->failed;
    if (!to_float && !from_float)
        return cvt_int_int(d, &c, src, src_slot, dst, dst_slot);
    if (!to_float)
        return cvt_float_int(d, &c, src, dst, dst_slot);
    if (!from_float)
        return cvt_int_float(d, &c, src, src_slot, dst);
    return cvt_float_float(d, &c, src, dst);
}

const struct decode_entry decode_cvt_table[] = {{"cvt", decode_cvt}, {NULL, NULL}};
