/* SPDX-License-Identifier: MIT */
/* wgmma: products of 64 rows by a warpgroup, with operands in shared memory. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

#include <stdio.h>
#include <string.h>

struct product {
    unsigned n, k;
    enum mma_kind kind;
    bool registers; /* a lies in registers */
};

static bool parse_shape(struct decoder *d, struct product *ret)
{
    for (unsigned i = 1; i < d->s->n_parts; i++) {
        int used = 0;
        if (sscanf(d->s->part[i], "m64n%3uk%2u%n", &ret->n, &ret->k, &used) == 2 &&
            !d->s->part[i][used]) {
            d->taken |= 1u << i;
            return ret->n >= 8 && ret->n <= 256 && ret->n % 8 == 0;
        }
    }
    return false;
}

/* .f32.f16.f16, .f32.bf16.bf16 and .f32.tf32.tf32: 32 bytes of k each. */
static bool parse_types(struct decoder *d, struct product *ret)
{
    static const struct {
        const char *name;
        enum mma_kind kind;
        unsigned k;
    } types[] = {{"f16", MMA_F16, 16}, {"bf16", MMA_BF16, 16}, {"tf32", MMA_TF32, 8}};
    const char *const *end = d->s->part + d->s->n_parts;
    if (d->s->n_parts < 6 || strcmp(end[-3], "f32") || strcmp(end[-2], end[-1]))
        return false;
    d->taken |= 7u << (d->s->n_parts - 3);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(end[-1], types[i].name)) {
            ret->kind = types[i].kind;
            return ret->k == types[i].k;
        }
    return false;
}

static int registers(struct decoder *d, const struct ptx_operand *op, unsigned n, bool is_dst,
                     uint32_t *ret_refs)
{
    if (op->kind != PTX_OPERAND_VEC || op->n != n)
        return decode_fail(d, "%u registers where %u are needed",
                           op->kind == PTX_OPERAND_VEC ? op->n : 1u, n);
    for (unsigned i = 0; i < n; i++)
        if (is_dst ? dst_reg(d, &op->vec[i], 4, &ret_refs[i])
                   : src_value(d, &op->vec[i], PTX_B32, &ret_refs[i]))
            return d->failed;
    return 0;
}

/* The immediates behind scale-d: scale-a, scale-b, and where a type can be transposed, whether. */
static int scales(struct decoder *d, const struct product *p, uint8_t *ret_mode)
{
    const struct ptx_operand *ops = d->s->operands;
    unsigned transposes = p->kind == MMA_TF32 ? 0 : p->registers ? 1 : 2;
    *ret_mode = 0;
    if (operand_count(d, 6 + transposes, 6 + transposes))
        return d->failed;
    for (unsigned i = 4; i < 6u + transposes; i++)
        if (ops[i].kind != PTX_OPERAND_IMM)
            return decode_fail(d, "scales and transpositions must be constants");
    for (unsigned i = 0; i < 2; i++) {
        if (ops[4 + i].value == UINT64_MAX)
            *ret_mode |= i ? WGMMA_NEGATE_B : WGMMA_NEGATE_A;
        else if (ops[4 + i].value != 1)
            return decode_fail(d, "a scale is 1 or -1");
    }
    for (unsigned i = 6; i < 6 + transposes; i++)
        if (ops[i].value)
            return decode_refuse(d, "a transposed operand");
    return 0;
}

/* wgmma.mma_async.sync.aligned.m64nNkK.f32.T.T {d..}, a-desc | {a..}, b-desc, scale-d, 1, 1{, 0, 0} */
static int decode_product(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    struct product p = {0};
    uint32_t acc[128], a[4], b;
    uint16_t scale_d;
    uint8_t mode;
    bool negated;
    if (!mod(d, "sync") || !mod(d, "aligned") || !parse_shape(d, &p) || !parse_types(d, &p))
        return decode_refuse(d, "this shape or type");
    if (operand_count(d, 6, 8))
        return d->failed;
    p.registers = ops[1].kind == PTX_OPERAND_VEC;
    if (scales(d, &p, &mode) || registers(d, &ops[0], p.n / 2, true, acc) ||
        (p.registers ? registers(d, &ops[1], 4, false, a) : src_value(d, &ops[1], PTX_B64, a)) ||
        src_value(d, &ops[2], PTX_B64, &b) || pred_src(d, &ops[3], &scale_d, &negated))
        return d->failed;
    struct insn *in = emit(d, INSN_WGMMA);
    in->sub = (uint8_t)p.kind;
    in->mode = mode;
    in->vec = p.registers ? 4 : 0;
    in->width = 4;
    in->space = PTX_SHARED;
    in->p[0] = scale_d;
    in->p_negated = negated;
    in->target[0] = p.n;
    in->target[1] = p.k;
    in->imm = 2ll * 16 * p.n * p.k;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_TENSOR, 1, LAT_TENSOR);
    for (unsigned i = 0; i < p.n / 2; i++)
        add_dst(d, acc[i]);
    add_src(d, b);
    for (unsigned i = 0; i < (p.registers ? 4u : 1u); i++)
        add_src(d, a[i]);
    for (unsigned i = 0; i < p.n / 2; i++)
        add_src(d, acc[i]);
    return d->failed;
}

static int decode_wgmma(struct decoder *d)
{
    const struct ptx_operand *op = d->s->operands;
    if (mod(d, "mma_async"))
        return decode_product(d);
    bool fence = mod(d, "fence"), commit = mod(d, "commit_group"), wait = mod(d, "wait_group");
    if (!mod(d, "sync") || !mod(d, "aligned") || !(fence || commit || wait))
        return decode_refuse(d, "this form");
    if (operand_count(d, wait, wait))
        return d->failed;
    if (wait && op->kind != PTX_OPERAND_IMM)
        return decode_fail(d, "the number of groups must be a constant");
    struct insn *in = emit(d, fence ? INSN_NOP : commit ? INSN_WGMMA_COMMIT : INSN_WGMMA_WAIT);
    in->imm = wait ? (int64_t)(op->value & 0xffff) : 0;
    cost(in, EXEC_PIPE_CTRL, 1, LAT_NONE);
    return d->failed;
}

const struct decode_entry decode_wgmma_table[] = {{"wgmma", decode_wgmma}, {NULL, NULL}};
