/* SPDX-License-Identifier: MIT */
/* The walk over a kernel's statements: emitting, failing, frames of inlined calls. */
#include "evaluator/sim/decode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void opcode_text(const struct ptx_stmt *s, char *buf, size_t n)
{
    size_t at = 0;
    for (unsigned i = 0; i < s->n_parts && at + 1 < n; i++)
        at += (size_t)snprintf(buf + at, n - at, "%s%s", i ? "." : "", s->part[i]);
}

int decode_fail(struct decoder *d, const char *format, ...)
{
    char text[256], opcode[160] = "";
    va_list ap;
    if (d->failed)
        return d->failed;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (d->s)
        opcode_text(d->s, opcode, sizeof(opcode));
    return d->failed = err_set(d->err, ERR_INVALID, "kernel %s: PTX line %u: %s: %s",
                               d->program->kernel->name, d->s ? d->s->line : 0, opcode, text);
}

int decode_refuse(struct decoder *d, const char *what)
{
    char opcode[160] = "";
    if (d->failed)
        return d->failed;
    if (d->s)
        opcode_text(d->s, opcode, sizeof(opcode));
    return d->failed =
               err_set(d->err, ERR_UNSUPPORTED, "unsupported: %s%s%s, kernel %s, PTX line %u",
                       opcode, what[0] && opcode[0] ? ": " : "", what, d->program->kernel->name,
                       d->s ? d->s->line : 0);
}

bool mod(struct decoder *d, const char *name)
{
    for (unsigned i = 1; i < d->s->n_parts; i++)
        if (!(d->taken >> i & 1) && !strcmp(d->s->part[i], name)) {
            d->taken |= 1u << i;
            return true;
        }
    return false;
}

void mod_ignore(struct decoder *d, const char *const *names)
{
    for (; *names; names++)
        mod(d, *names);
}

enum ptx_type type_at(struct decoder *d, unsigned from_end)
{
    if (from_end + 1 >= d->s->n_parts) {
        decode_fail(d, "no type");
        return PTX_NONE;
    }
    unsigned i = d->s->n_parts - 1 - from_end;
    enum ptx_type type = ptx_type_parse(d->s->part[i], strlen(d->s->part[i]));
    if (type == PTX_NONE)
        decode_refuse(d, d->s->part[i]);
    d->taken |= 1u << i;
    return type;
}

unsigned rounding(struct decoder *d)
{
    return mod(d, "rz")   ? OPS_RZ
           : mod(d, "rm") ? OPS_RM
           : mod(d, "rp") ? OPS_RP
                          : (mod(d, "rn"), OPS_RN);
}

struct insn *emit(struct decoder *d, enum insn_kind kind)
{
    if (d->n_insns >= DECODE_MAX_INSNS) {
        decode_fail(d, "more than %d instructions after inlining", DECODE_MAX_INSNS);
        d->n_insns--; /* overwrite the last: the failure ends the decoding */
    }
    d->insns = ptx_grow(d->work, d->insns, d->n_insns, &d->cap_insns, sizeof(*d->insns));
    struct insn *in = &d->insns[d->n_insns++];
    *in = (struct insn){.kind = (uint8_t)kind,
                        .guard = PRED_NONE,
                        .refs = (uint32_t)d->n_refs,
                        .p = {PRED_NONE, PRED_NONE, PRED_NONE, PRED_NONE},
                        .latency = LAT_NONE};
    if (d->s) {
        in->line = d->s->line;
        in->loc = d->s->loc;
        if (d->s->guarded) {
            in->guard = (uint16_t)d->frame->reg[d->s->guard];
            in->guard_negated = d->s->guard_negated;
        }
    }
    return in;
}

static void add_ref(struct decoder *d, uint32_t ref)
{
    d->refs = ptx_grow(d->work, d->refs, d->n_refs, &d->cap_refs, sizeof(*d->refs));
    d->refs[d->n_refs++] = ref;
}

void add_dst(struct decoder *d, uint32_t ref)
{
    add_ref(d, ref);
    d->insns[d->n_insns - 1].n_dst++;
}

void add_src(struct decoder *d, uint32_t ref)
{
    add_ref(d, ref);
    d->insns[d->n_insns - 1].n_src++;
}

void cost(struct insn *in, enum exec_pipe pipe, unsigned weight, enum latency_class latency)
{
    in->pipe = (uint8_t)pipe;
    in->weight = (uint8_t)weight;
    in->latency = (uint8_t)latency;
}

struct insn *emit_fn(struct decoder *d, ops_fn *fn, unsigned width, uint32_t dst, uint32_t a,
                     uint32_t b, uint32_t c, uint32_t imm)
{
    struct insn *in = emit(d, INSN_OP);
    in->fn = fn;
    in->width = (uint8_t)width;
    in->imm = imm;
    add_dst(d, dst);
    add_src(d, a);
    if (b != REF_NONE)
        add_src(d, b);
    if (c != REF_NONE)
        add_src(d, c);
    cost(in, EXEC_PIPE_ALU, 1, LAT_ALU);
    return in;
}

struct insn *emit_op(struct decoder *d, enum ops_id id, uint32_t dst, uint32_t a, uint32_t b,
                     uint32_t c)
{
    unsigned width = dst & REF_CONST ? 4 : d->vreg_size[dst];
    return emit_fn(d, d->program->ops->fn[id], width, dst, a, b, c, 0);
}

static const struct decode_entry *find_entry(const char *name)
{
    static const struct decode_entry *const tables[] = {
        decode_int_table,      decode_float_table, decode_cvt_table,  decode_pred_table,
        decode_mem_table,      decode_warp_table,  decode_flow_table, decode_matrix_table,
        decode_mbarrier_table, decode_bits_table,  decode_async_table, decode_wgmma_table};
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct decode_entry *e = tables[t]; e->name; e++)
            if (!strcmp(e->name, name))
                return e;
    return NULL;
}

static int decode_stmt(struct decoder *d)
{
    const struct decode_entry *e = find_entry(d->s->part[0]);
    d->taken = 1;
    d->relu = false;
    if (!e)
        return decode_refuse(d, "");
    if (e->decode(d) || d->failed)
        return d->failed;
    for (unsigned i = 0; i < d->s->n_parts; i++)
        if (!(d->taken >> i & 1))
            return decode_refuse(d, d->s->part[i]);
    return 0;
}

/* All statements of a function, into the stream of instructions. */
int decode_body(struct decoder *d, struct decode_frame *frame)
{
    const struct ptx_func *f = frame->func;
    const struct ptx_stmt *caller = d->s;
    struct decode_frame *outer = d->frame;
    size_t first_fixup = d->n_fixups;
    d->frame = frame;
    frame->reg = arena_alloc(d->work, f->n_regs + 1, sizeof(*frame->reg));
    frame->at = arena_alloc(d->work, f->n_stmts + 1, sizeof(*frame->at));
    for (size_t i = 0; i < f->n_regs && !d->failed; i++) {
        enum ptx_type type = f->regs[i].type;
        if (ptx_type_size(type) > 8)
            return decode_refuse(d, "128-bit registers");
        frame->reg[i] = type == PTX_PRED ? new_pred(d) : new_vreg(d, slot_size(type));
    }
    for (size_t i = 0; i < f->n_stmts && !d->failed; i++) {
        d->s = &f->stmts[i];
        frame->at[i] = (uint32_t)d->n_insns;
        decode_stmt(d);
    }
    frame->at[f->n_stmts] = (uint32_t)d->n_insns;
    for (size_t i = first_fixup; i < d->n_fixups && !d->failed; i++) {
        struct decode_fixup *x = &d->fixups[i];
        if (x->slot < 2)
            d->insns[x->insn].target[x->slot] = frame->at[x->stmt];
        else
            d->switches[x->insn] = frame->at[x->stmt];
    }
    d->n_fixups = first_fixup;
    d->s = caller;
    d->frame = outer;
    return d->failed;
}

/* Shared variables that this kernel and what it calls use, in the order of their first use; the
 * dynamic array lies behind them. */
static void place_shared(struct decoder *d, const struct ptx_operand *op)
{
    if (op->kind == PTX_OPERAND_VEC || op->kind == PTX_OPERAND_PAIR)
        for (unsigned i = 0; i < op->n; i++)
            place_shared(d, &op->vec[i]);
    if (op->kind != PTX_OPERAND_VAR || op->var->space != PTX_SHARED)
        return;
    for (size_t i = 0; i < d->n_shared; i++)
        if (d->shared[i].var == op->var)
            return;
    d->shared = ptx_grow(d->work, d->shared, d->n_shared, &d->cap_shared, sizeof(*d->shared));
    d->shared[d->n_shared++].var = op->var;
}

static void find_shared(struct decoder *d, const struct ptx_func *f, unsigned depth)
{
    for (size_t i = 0; i < f->n_stmts; i++) {
        const struct ptx_stmt *s = &f->stmts[i];
        for (unsigned k = 0; k < s->n_operands; k++) {
            const struct ptx_operand *op = &s->operands[k];
            place_shared(d, op);
            if (op->kind == PTX_OPERAND_NAME && !strcmp(s->part[0], "call")) {
                const struct ptx_func *callee = ptx_module_func(d->module, op->name);
                if (callee && depth < DECODE_MAX_DEPTH)
                    find_shared(d, callee, depth + 1);
            }
        }
    }
}

static int layout_shared(struct decoder *d)
{
    uint64_t at = 0;
    uint32_t dynamic_align = 16;
    find_shared(d, d->program->kernel->func, 0);
    for (size_t i = 0; i < d->n_shared; i++) {
        const struct ptx_var *v = d->shared[i].var;
        if (v->is_extern || v->size == 0) {
            dynamic_align = v->align > dynamic_align ? v->align : dynamic_align;
            continue;
        }
        at = (at + v->align - 1) / v->align * v->align;
        d->shared[i].offset = (uint32_t)at;
        at += v->size;
        if (at > 1 << 24)
            return decode_fail(d, "more than 16 MiB of shared memory");
    }
    d->program->static_shared = (uint32_t)at;
    at = (at + dynamic_align - 1) / dynamic_align * dynamic_align;
    for (size_t i = 0; i < d->n_shared; i++)
        if (d->shared[i].var->is_extern || d->shared[i].var->size == 0)
            d->shared[i].offset = (uint32_t)at;
    return 0;
}

static int decode_kernel(struct decoder *d)
{
    const struct ptx_kernel *k = d->program->kernel;
    struct decode_frame frame = {.func = k->func};
    if (k->refused)
        return decode_refuse(d, k->refused);
    if (layout_shared(d) || decode_body(d, &frame))
        return d->failed;
    emit(d, INSN_EXIT);
    if (d->failed || decode_layout(d) || decode_registers(d))
        return d->failed;
    decode_costs(d->program);
    decode_unroll(d->program);
    return 0;
}

static void fill_consts(struct decoder *d)
{
    struct exec_program *p = d->program;
    p->consts = aligned_alloc(64, p->const_bytes + 64);
    if (!p->consts)
        abort();
    for (size_t i = 0; i < d->n_consts; i++) {
        uint8_t *at = p->consts + (d->const_ref[i] & ~REF_CONST);
        size_t size = d->const_value[2 * i + 1];
        for (unsigned lane = 0; lane < 32; lane++)
            memcpy(at + lane * size, &d->const_value[2 * i], size);
    }
}

int exec_program_new(const struct ptx_module *module, const struct ptx_kernel *kernel,
                     struct exec_program **ret_program, struct err *err)
{
    struct arena *arena = arena_new(), *work = arena_new();
    struct exec_program *p = arena_alloc(arena, 1, sizeof(*p));
    p->arena = arena;
    p->module = module;
    p->kernel = kernel;
    p->ops = ops_choose();
    struct decoder *d = arena_alloc(work, 1, sizeof(*d));
    d->program = p;
    d->module = module;
    d->arena = arena;
    d->work = work;
    d->refs = ptx_grow(work, NULL, 0, &d->cap_refs, sizeof(*d->refs)); /* a kernel may have none */
    d->err = err;
    int rc = decode_kernel(d);
    if (!rc)
        fill_consts(d);
    arena_free(work);
    if (rc) {
        exec_program_free(p);
        return rc;
    }
    *ret_program = p;
    return 0;
}

void exec_program_free(struct exec_program *program)
{
    if (!program)
        return;
    free(program->consts);
    arena_free(program->arena);
}

void exec_program_info(const struct exec_program *program, struct exec_program_info *ret_info)
{
    *ret_info = (struct exec_program_info){
        .static_shared = program->static_shared,
        .local_bytes = program->local_bytes,
        .const_bytes = (uint32_t)program->const_bytes,
        .live_regs = program->live_regs,
        .insns = (uint32_t)program->n_insns,
        .uses_grid_sync = program->uses_fence && program->spins,
    };
}
