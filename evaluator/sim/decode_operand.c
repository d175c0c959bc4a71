/* SPDX-License-Identifier: MIT */
/* Operands: registers with their sizes checked, constants, addresses of variables, and special
 * registers. Everything that later indexes a warp's register memory is checked here. */
#include "evaluator/sim/decode.h"

#include <stdio.h>
#include <string.h>

unsigned slot_size(enum ptx_type type)
{
    unsigned size = ptx_type_size(type);
    return size < 2 ? 2 : size;
}

uint32_t new_vreg(struct decoder *d, unsigned size)
{
    if (d->n_vregs >= DECODE_MAX_VREGS) {
        decode_fail(d, "more than %d registers after inlining", DECODE_MAX_VREGS);
        return 0;
    }
    d->vreg_size = ptx_grow(d->work, d->vreg_size, d->n_vregs, &d->cap_vregs, 1);
    d->vreg_size[d->n_vregs] = (uint8_t)size;
    return (uint32_t)d->n_vregs++;
}

uint32_t new_pred(struct decoder *d)
{
    if (d->n_preds >= DECODE_MAX_PREDS) {
        decode_fail(d, "more than %d predicates after inlining", DECODE_MAX_PREDS);
        return 0;
    }
    return d->n_preds++;
}

uint32_t const_ref(struct decoder *d, uint64_t value, unsigned size)
{
    if (size < 8)
        value &= (1ull << (8 * size)) - 1;
    for (size_t i = d->n_consts; i-- > 0 && d->n_consts - i < 64;)
        if (d->const_value[2 * i] == value && d->const_value[2 * i + 1] == size)
            return d->const_ref[i];
    if (d->program->const_bytes > 64 << 20) {
        decode_fail(d, "too many different constants");
        return REF_CONST;
    }
    size_t cap = d->cap_consts;
    d->const_value = ptx_grow(d->work, d->const_value, d->n_consts, &cap, 2 * sizeof(uint64_t));
    d->const_ref =
        ptx_grow(d->work, d->const_ref, d->n_consts, &d->cap_const_refs, sizeof(uint32_t));
    d->cap_consts = cap;
    d->const_value[2 * d->n_consts] = value;
    d->const_value[2 * d->n_consts + 1] = size;
    d->const_ref[d->n_consts] = REF_CONST | (uint32_t)d->program->const_bytes;
    d->program->const_bytes += size * 32;
    return d->const_ref[d->n_consts++];
}

int operand_count(struct decoder *d, unsigned min, unsigned max)
{
    if (d->s->n_operands < min || d->s->n_operands > max)
        return decode_fail(d, "%u operands", d->s->n_operands);
    return 0;
}

unsigned operand_slot(struct decoder *d, const struct ptx_operand *op)
{
    if (op->kind != PTX_OPERAND_REG || op->is_memory)
        return 0;
    enum ptx_type type = d->frame->func->regs[op->index].type;
    return type == PTX_PRED ? 0 : slot_size(type);
}

static const char *reg_name(const struct decoder *d, const struct ptx_operand *op, char *buf,
                            size_t n)
{
    const struct ptx_reg *r = &d->frame->func->regs[op->index];
    if (r->number < 0)
        snprintf(buf, n, "%s", r->name);
    else
        snprintf(buf, n, "%s%d", r->name, r->number);
    return buf;
}

int dst_reg(struct decoder *d, const struct ptx_operand *op, unsigned size, uint32_t *ret_ref)
{
    if (op->kind == PTX_OPERAND_SINK) {
        *ret_ref = new_vreg(d, size);
        return d->failed;
    }
    unsigned slot = operand_slot(d, op);
    char name[80];
    if (!slot)
        return decode_fail(d, "a register expected as destination");
    if (slot != size)
        return decode_fail(d, "the destination %s has %u bits, not %u",
                           reg_name(d, op, name, sizeof(name)), slot * 8, size * 8);
    *ret_ref = d->frame->reg[op->index];
    return 0;
}

int var_address(struct decoder *d, const struct ptx_var *var, uint64_t *ret_addr)
{
    if (var->space == PTX_GLOBAL || var->space == PTX_CONST || var->is_kernel_param) {
        *ret_addr = var->addr;
        return 0;
    }
    if (var->space == PTX_SHARED) {
        for (size_t i = 0; i < d->n_shared; i++)
            if (d->shared[i].var == var) {
                *ret_addr = d->shared[i].offset;
                return 0;
            }
        return decode_fail(d, "shared variable %s has no place", var->name);
    }
    for (size_t i = 0; i < d->frame->n_places; i++)
        if (d->frame->places[i].var == var) {
            *ret_addr = d->frame->places[i].offset;
            return 0;
        }
    struct decode_frame *f = d->frame;
    f->places = ptx_grow(d->work, f->places, f->n_places, &f->cap_places, sizeof(*f->places));
    f->places[f->n_places] =
        (struct decode_place){var, local_alloc(d, var->size, var->align ? var->align : 1)};
    *ret_addr = f->places[f->n_places++].offset;
    return d->failed;
}

uint32_t local_alloc(struct decoder *d, uint64_t size, uint32_t align)
{
    uint64_t at = (d->program->local_bytes + (uint64_t)align - 1) / align * align;
    if (align > 4096 || at + size > 512 << 10) {
        decode_fail(d, "more than 512 KiB of local memory a thread");
        return 0;
    }
    d->program->local_bytes = (uint32_t)(at + size);
    return (uint32_t)at;
}

static const struct {
    const char *name;
    uint8_t what;
} special_names[] = {
    {"tid.x", SPECIAL_TID_X},
    {"tid.y", SPECIAL_TID_Y},
    {"tid.z", SPECIAL_TID_Z},
    {"ntid.x", SPECIAL_NTID_X},
    {"ntid.y", SPECIAL_NTID_Y},
    {"ntid.z", SPECIAL_NTID_Z},
    {"ctaid.x", SPECIAL_CTAID_X},
    {"ctaid.y", SPECIAL_CTAID_Y},
    {"ctaid.z", SPECIAL_CTAID_Z},
    {"nctaid.x", SPECIAL_NCTAID_X},
    {"nctaid.y", SPECIAL_NCTAID_Y},
    {"nctaid.z", SPECIAL_NCTAID_Z},
    {"laneid", SPECIAL_LANEID},
    {"warpid", SPECIAL_WARPID},
    {"nwarpid", SPECIAL_NWARPID},
    {"smid", SPECIAL_SMID},
    {"nsmid", SPECIAL_NSMID},
    {"gridid", SPECIAL_GRIDID},
    {"lanemask_eq", SPECIAL_LANEMASK_EQ},
    {"lanemask_le", SPECIAL_LANEMASK_LE},
    {"lanemask_lt", SPECIAL_LANEMASK_LT},
    {"lanemask_ge", SPECIAL_LANEMASK_GE},
    {"lanemask_gt", SPECIAL_LANEMASK_GT},
    {"dynamic_smem_size", SPECIAL_DYNAMIC_SMEM},
    {"total_smem_size", SPECIAL_TOTAL_SMEM},
    {"aggr_smem_size", SPECIAL_TOTAL_SMEM},
    /* a block outside of any cluster is a cluster of one */
    {"cluster_ctaid.x", SPECIAL_ZERO},
    {"cluster_ctaid.y", SPECIAL_ZERO},
    {"cluster_ctaid.z", SPECIAL_ZERO},
    {"cluster_ctarank", SPECIAL_ZERO},
    {"cluster_nctaid.x", SPECIAL_ONE},
    {"cluster_nctaid.y", SPECIAL_ONE},
    {"cluster_nctaid.z", SPECIAL_ONE},
    {"cluster_nctarank", SPECIAL_ONE},
    {"clusterid.x", SPECIAL_CTAID_X},
    {"clusterid.y", SPECIAL_CTAID_Y},
    {"clusterid.z", SPECIAL_CTAID_Z},
    {"nclusterid.x", SPECIAL_NCTAID_X},
    {"nclusterid.y", SPECIAL_NCTAID_Y},
    {"nclusterid.z", SPECIAL_NCTAID_Z},
    {"tid.w", SPECIAL_ZERO},
    {"ctaid.w", SPECIAL_ZERO},
    {"ntid.w", SPECIAL_ONE},
    {"nctaid.w", SPECIAL_ONE},
    /* where the driver keeps the barrier of a cooperative grid: high and low word */
    {"envreg1", SPECIAL_ENVREG1},
    {"envreg2", SPECIAL_ENVREG2},
    {"clock", SPECIAL_CLOCK},
    {"clock_hi", SPECIAL_CLOCK_HI},
    {"clock64", SPECIAL_CLOCK64},
    {"globaltimer", SPECIAL_GLOBALTIMER},
    {"globaltimer_lo", SPECIAL_GLOBALTIMER_LO},
    {"globaltimer_hi", SPECIAL_GLOBALTIMER_HI},
};

static int special_value(struct decoder *d, const char *name, unsigned size, uint32_t *ret_ref)
{
    unsigned what = SPECIAL_STATIC_COUNT;
    for (size_t i = 0; i < sizeof(special_names) / sizeof(special_names[0]); i++)
        if (!strcmp(name, special_names[i].name))
            what = special_names[i].what;
    if (what == SPECIAL_STATIC_COUNT) {
        char text[160];
        snprintf(text, sizeof(text), "%%%.100s", name);
        return decode_refuse(d, text);
    }
    bool wide = what == SPECIAL_CLOCK64 || what == SPECIAL_GLOBALTIMER;
    uint32_t ref;
    if (what > SPECIAL_STATIC_COUNT) {
        ref = new_vreg(d, wide ? 8 : 4);
        struct insn *in = emit(d, INSN_SPECIAL);
        add_dst(d, ref);
        in->sub = (uint8_t)what;
        in->width = wide ? 8 : 4;
        cost(in, EXEC_PIPE_ALU, 1, LAT_SHUFFLE);
    } else {
        if (!d->special_ref[what])
            d->special_ref[what] = new_vreg(d, 4) + 1;
        ref = d->special_ref[what] - 1;
    }
    if (size == (wide ? 8u : 4u)) {
        *ret_ref = ref;
        return 0;
    }
    *ret_ref = new_vreg(d, size);
    if (wide || size == 1)
        return decode_fail(d, "%%%s has another size than the operand", name);
    emit_op(d, size == 8 ? OPS_U32_TO_64 : OPS_NARROW_32_16, *ret_ref, ref, REF_NONE, REF_NONE);
    return d->failed;
}

static uint64_t immediate_bits(const struct ptx_operand *op, enum ptx_type type)
{
    uint64_t v = op->value;
    double wide = 0;
    float narrow = 0;
    if (op->type == PTX_F32) {
        uint32_t bits = (uint32_t)v;
        memcpy(&narrow, &bits, 4);
        wide = narrow;
    } else if (op->type == PTX_F64) {
        memcpy(&wide, &v, 8);
        narrow = (float)wide;
    } else {
        wide = (double)(int64_t)v;
        narrow = (float)wide;
    }
    uint32_t bits;
    memcpy(&bits, &narrow, 4);
    if (type == PTX_F32)
        return bits;
    if (type == PTX_F64) {
        memcpy(&v, &wide, 8);
        return v;
    }
    /* the bits themselves, for untyped operands; a decimal float for .b32 is single precision */
    return op->type == PTX_F64 && ptx_type_size(type) == 4 ? bits : v;
}

int src_value(struct decoder *d, const struct ptx_operand *op, enum ptx_type type,
              uint32_t *ret_ref)
{
    unsigned size = slot_size(type);
    uint64_t addr;
    char name[80];
    if (op->is_memory)
        return decode_fail(d, "an address where a value is expected");
    switch (op->kind) {
    case PTX_OPERAND_REG: {
        unsigned slot = operand_slot(d, op);
        if (slot != size)
            return decode_fail(d, "the operand %s has %u bits, not %u",
                               reg_name(d, op, name, sizeof(name)), slot * 8, size * 8);
        *ret_ref = d->frame->reg[op->index];
        return 0;
    }
    case PTX_OPERAND_IMM:
        *ret_ref = const_ref(d, immediate_bits(op, type), size);
        return 0;
    case PTX_OPERAND_VAR:
        if (size < 4)
            return decode_fail(d, "an address in %u bits", size * 8);
        if (var_address(d, op->var, &addr))
            return d->failed;
        *ret_ref = const_ref(d, addr + op->value, size);
        return 0;
    case PTX_OPERAND_SPECIAL:
        return special_value(d, op->name, size, ret_ref);
    case PTX_OPERAND_NAME:
    case PTX_OPERAND_LABEL:
        return decode_refuse(d, "the address of a function or label");
    default:
        return decode_fail(d, "an operand of the wrong kind");
    }
}

int pred_dst(struct decoder *d, const struct ptx_operand *op, uint16_t *ret_pred)
{
    if (op->kind == PTX_OPERAND_SINK) {
        *ret_pred = (uint16_t)new_pred(d);
        return d->failed;
    }
    if (op->kind != PTX_OPERAND_REG || op->is_memory || op->negated ||
        d->frame->func->regs[op->index].type != PTX_PRED)
        return decode_fail(d, "a predicate expected as destination");
    *ret_pred = (uint16_t)d->frame->reg[op->index];
    return 0;
}

int pred_src(struct decoder *d, const struct ptx_operand *op, uint16_t *ret_pred, bool *ret_negated)
{
    if (op->kind == PTX_OPERAND_IMM && !op->is_memory) {
        struct insn *in = emit(d, INSN_PSET);
        uint32_t pred = new_pred(d);
        in->p[0] = (uint16_t)pred;
        in->imm = op->value != 0;
        *ret_pred = (uint16_t)pred;
        *ret_negated = op->negated;
        return d->failed;
    }
    if (op->kind != PTX_OPERAND_REG || op->is_memory ||
        d->frame->func->regs[op->index].type != PTX_PRED)
        return decode_fail(d, "a predicate expected");
    *ret_pred = (uint16_t)d->frame->reg[op->index];
    *ret_negated = op->negated;
    return 0;
}

int memory_address(struct decoder *d, const struct ptx_operand *op, struct address *ret_address)
{
    struct address a = {.width = 8, .offset = (int64_t)op->value};
    uint64_t addr;
    if (!op->is_memory)
        return decode_fail(d, "an address in [] expected");
    if (op->kind == PTX_OPERAND_REG) {
        unsigned slot =
            operand_slot(d, &(struct ptx_operand){.kind = op->kind, .index = op->index});
        if (slot != 4 && slot != 8)
            return decode_fail(d, "an address in a register of %u bits", slot * 8);
        a.width = (uint8_t)slot;
        a.ref = d->frame->reg[op->index];
    } else if (op->kind == PTX_OPERAND_VAR) {
        if (var_address(d, op->var, &addr))
            return d->failed;
        a.var = op->var;
        a.ref = const_ref(d, addr, 8);
    } else if (op->kind == PTX_OPERAND_IMM) {
        a.ref = const_ref(d, op->value, 8);
        a.offset = 0;
    } else {
        return decode_fail(d, "an address of an unknown kind");
    }
    *ret_address = a;
    return 0;
}
