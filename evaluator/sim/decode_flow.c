/* SPDX-License-Identifier: MIT */
/* Branches, calls (inlined), and the end of a thread. */
#include "evaluator/sim/decode.h"
#include "evaluator/sim/exec_ops.h"

#include <stdio.h>
#include <string.h>

static void fixup(struct decoder *d, uint32_t insn, uint32_t slot, uint32_t stmt)
{
    d->fixups = ptx_grow(d->work, d->fixups, d->n_fixups, &d->cap_fixups, sizeof(*d->fixups));
    d->fixups[d->n_fixups++] = (struct decode_fixup){insn, slot, stmt};
}

/* A guard on something that must not be skipped lane by lane becomes a branch around it: returns
 * the branch's index, to be closed behind it, or UINT32_MAX where there is no guard. */
static uint32_t open_guard(struct decoder *d)
{
    if (!d->s->guarded)
        return UINT32_MAX;
    struct insn *in = emit(d, INSN_BRANCH);
    in->p[0] = in->guard;
    in->p_negated = in->guard_negated;
    in->guard = PRED_NONE;
    in->target[0] = (uint32_t)d->n_insns;
    cost(in, EXEC_PIPE_CTRL, 1, LAT_NONE);
    return (uint32_t)d->n_insns - 1;
}

static void close_guard(struct decoder *d, uint32_t branch)
{
    if (branch != UINT32_MAX)
        d->insns[branch].target[1] = (uint32_t)d->n_insns;
}

static struct insn *emit_unguarded(struct decoder *d, enum insn_kind kind)
{
    struct insn *in = emit(d, kind);
    in->guard = PRED_NONE;
    cost(in, EXEC_PIPE_CTRL, 1, LAT_NONE);
    return in;
}

static int decode_bra(struct decoder *d)
{
    const struct ptx_operand *op = &d->s->operands[0];
    mod(d, "uni");
    if (operand_count(d, 1, 1))
        return d->failed;
    if (op->kind != PTX_OPERAND_LABEL)
        return decode_fail(d, "there is no such label");
    if (!d->s->guarded) {
        emit_unguarded(d, INSN_JUMP);
        fixup(d, (uint32_t)d->n_insns - 1, 0, op->index);
        return d->failed;
    }
    uint32_t branch = open_guard(d);
    fixup(d, branch, 0, op->index);
    close_guard(d, branch);
    return d->failed;
}

static int decode_brx(struct decoder *d)
{
    const struct ptx_operand *ops = d->s->operands;
    const struct ptx_func *f = d->frame->func;
    const struct ptx_targets *t = NULL;
    uint32_t index;
    if (!mod(d, "idx"))
        return decode_refuse(d, "");
    mod(d, "uni");
    if (operand_count(d, 2, 2))
        return d->failed;
    /* the list's name is itself a label that stands before some statement */
    for (size_t i = 0; i < f->n_targets; i++)
        if (ops[1].name && !strcmp(f->targets[i].name, ops[1].name))
            t = &f->targets[i];
    if (!t)
        return decode_fail(d, "there is no such list of targets");
    uint32_t branch = open_guard(d);
    if (src_value(d, &ops[0], PTX_U32, &index))
        return d->failed;
    struct insn *in = emit_unguarded(d, INSN_SWITCH);
    in->target[0] = (uint32_t)d->n_switches;
    in->target[1] = t->n;
    add_src(d, index);
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->labels[i].kind != PTX_OPERAND_LABEL)
            return decode_fail(d, "a target is no label");
        d->switches =
            ptx_grow(d->work, d->switches, d->n_switches, &d->cap_switches, sizeof(*d->switches));
        fixup(d, (uint32_t)d->n_switches++, 2, t->labels[i].index);
    }
    close_guard(d, branch);
    return d->failed;
}

static int decode_end(struct decoder *d)
{
    bool returns = !strcmp(d->s->part[0], "ret") && d->frame->up;
    mod(d, "uni");
    if (operand_count(d, 0, 0))
        return d->failed;
    uint32_t branch = open_guard(d);
    emit_unguarded(d, returns ? INSN_JUMP : INSN_EXIT);
    if (returns)
        fixup(d, (uint32_t)d->n_insns - 1, 0, (uint32_t)d->frame->func->n_stmts);
    close_guard(d, branch);
    return d->failed;
}

static int decode_trap(struct decoder *d)
{
    emit(d, INSN_TRAP);
    return operand_count(d, 0, 0);
}

/* The place of an argument's variable in the caller's local memory. */
static int argument_place(struct decoder *d, const struct ptx_operand *op, uint32_t *ret_offset)
{
    uint64_t addr;
    if (op->kind != PTX_OPERAND_VAR || op->var->is_kernel_param || op->var->space != PTX_PARAM)
        return decode_refuse(d, "an argument of this kind");
    if (var_address(d, op->var, &addr))
        return d->failed;
    *ret_offset = (uint32_t)addr;
    return 0;
}

/* Binds formal parameters to the caller's variables or registers. is_return: values flow back. */
static int bind(struct decoder *d, struct decode_frame *f, struct ptx_var **formals, size_t n,
                const struct ptx_operand *args, bool is_return)
{
    size_t n_args = args ? args->n : 0;
    if (n_args != n)
        return decode_fail(d, "%s takes %zu values, not %zu", f->func->name, n, n_args);
    for (size_t i = 0; i < n; i++) {
        uint32_t offset = 0;
        if (formals[i]->space == PTX_REG)
            return decode_refuse(d, is_return ? "a result in a register" : "a register parameter");
        if (argument_place(d, &args->vec[i], &offset))
            return d->failed;
        if (args->vec[i].var->size < formals[i]->size)
            return decode_fail(d, "an argument of %s is too small", f->func->name);
        f->places = ptx_grow(d->work, f->places, f->n_places, &f->cap_places, sizeof(*f->places));
        f->places[f->n_places++] = (struct decode_place){formals[i], offset};
    }
    return 0;
}

/* printf: nothing is printed, the call answers 0. */
static int call_printf(struct decoder *d, const struct ptx_operand *rets)
{
    uint32_t offset = 0, zero = const_ref(d, 0, 4);
    if (!rets || rets->n != 1)
        return d->failed;
    if (argument_place(d, &rets->vec[0], &offset))
        return d->failed;
    uint32_t at = const_ref(d, offset, 8);
    struct insn *in = emit(d, INSN_ST);
    in->space = PTX_LOCAL;
    in->elem = in->width = 4;
    in->vec = 1;
    in->addr_width = 8;
    in->site = d->program->n_sites++;
    cost(in, EXEC_PIPE_LSU, 1, LAT_NONE);
    add_src(d, at);
    add_src(d, zero);
    return d->failed;
}

static int call_assert(struct decoder *d, const struct ptx_operand *args)
{
    uint32_t text = 0, line = 0;
    if (!args || args->n < 3 || argument_place(d, &args->vec[0], &text) ||
        argument_place(d, &args->vec[2], &line))
        return decode_refuse(d, "this call of __assertfail");
    struct insn *in = emit(d, INSN_ASSERT);
    in->target[0] = text;
    in->target[1] = line;
    return d->failed;
}

static int inline_call(struct decoder *d, const struct ptx_func *callee,
                       const struct ptx_operand *rets, const struct ptx_operand *args)
{
    struct decode_frame f = {.func = callee, .up = d->frame, .depth = d->frame->depth + 1};
    char text[160];
    for (const struct decode_frame *up = d->frame; up; up = up->up)
        if (up->func == callee) {
            snprintf(text, sizeof(text), "recursion of %.100s", callee->name);
            return decode_refuse(d, text);
        }
    if (f.depth > DECODE_MAX_DEPTH)
        return decode_refuse(d, "calls nested too deeply");
    if (bind(d, &f, callee->returns, callee->n_returns, rets, true) ||
        bind(d, &f, callee->params, callee->n_params, args, false))
        return d->failed;
    uint32_t branch = open_guard(d);
    struct insn *in = emit_unguarded(d, INSN_NOP);
    cost(in, EXEC_PIPE_CTRL, 2, LAT_NONE); /* the call and its return */
    if (decode_body(d, &f))
        return d->failed;
    close_guard(d, branch);
    return d->failed;
}

static int decode_call_stmt(struct decoder *d)
{
    const struct ptx_stmt *s = d->s;
    const struct ptx_operand *rets = NULL, *args = NULL;
    unsigned i = 0;
    mod(d, "uni");
    if (i < s->n_operands && s->operands[i].kind == PTX_OPERAND_VEC)
        rets = &s->operands[i++];
    if (i >= s->n_operands || s->operands[i].kind != PTX_OPERAND_NAME)
        return decode_refuse(d, "a call through a pointer");
    const char *name = s->operands[i++].name;
    if (i < s->n_operands && s->operands[i].kind == PTX_OPERAND_VEC)
        args = &s->operands[i++];
    uint32_t taken = d->taken;
    const struct ptx_func *callee = ptx_module_func(d->module, name);
    char text[160];
    int rc;
    if (!strcmp(name, "vprintf")) {
        rc = call_printf(d, rets);
    } else if (!strcmp(name, "__assertfail")) {
        rc = call_assert(d, args);
    } else if (!callee || !callee->has_body) {
        snprintf(text, sizeof(text), "%.100s is not in this module", name);
        rc = decode_refuse(d, text);
    } else {
        rc = inline_call(d, callee, rets, args);
    }
    d->taken = taken;
    return rc;
}

const struct decode_entry decode_flow_table[] = {
    {"bra", decode_bra},   {"brx", decode_brx},    {"ret", decode_end},        {"exit", decode_end},
    {"trap", decode_trap}, {"brkpt", decode_trap}, {"call", decode_call_stmt}, {NULL, NULL}};
