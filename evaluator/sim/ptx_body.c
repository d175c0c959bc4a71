/* SPDX-License-Identifier: MIT */
/* The body of a function: scopes, labels, statements. */
#include "evaluator/sim/ptx_parser.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OPERANDS = 16 };

static int split_opcode(struct ptx_parser *p, struct ptx_stmt *s)
{
    lex_opcode(&p->lex);
    char *at = arena_strndup(p->arena, p->lex.tok.at, p->lex.tok.len);
    while (at) {
        char *dot = strchr(at, '.');
        if (s->n_parts == PTX_MAX_PARTS)
            return lex_fail(&p->lex, ERR_TOOBIG, "an opcode of more than %d parts", PTX_MAX_PARTS);
        s->part[s->n_parts++] = at;
        if (dot)
            *dot++ = 0;
        at = dot;
    }
    lex_next(&p->lex);
    return 0;
}

static int parse_guard(struct ptx_parser *p, struct ptx_stmt *s)
{
    struct lexer *lex = &p->lex;
    lex_next(lex);
    s->guard_negated = lex_accept(lex, '!');
    int64_t reg = lex->tok.kind == LEX_NAME ? sym_reg(p, lex->tok.at, lex->tok.len) : -1;
    if (reg < 0 || p->func->regs[reg].type != PTX_PRED)
        return lex_fail(lex, ERR_INVALID, "a predicate expected after '@'");
    s->guarded = true;
    s->guard = (uint32_t)reg;
    lex_next(lex);
    if (lex->tok.kind != LEX_NAME)
        return lex_fail(lex, ERR_INVALID, "an instruction expected after its guard");
    return 0;
}

static int parse_stmt(struct ptx_parser *p)
{
    struct lexer *lex = &p->lex;
    struct ptx_func *f = p->func;
    struct ptx_stmt s = {.line = lex->tok.line, .loc = p->loc, .scope = p->scope};
    struct ptx_operand ops[MAX_OPERANDS];
    if ((lex_is(lex, '@') && parse_guard(p, &s)) || split_opcode(p, &s))
        return lex->failed;
    while (!lex_is(lex, ';')) {
        if (s.n_operands == MAX_OPERANDS)
            return lex_fail(lex, ERR_TOOBIG, "more than %d operands", MAX_OPERANDS);
        if (ptx_parse_operand(p, &ops[s.n_operands++]))
            return lex->failed;
        if (!lex_accept(lex, ','))
            break;
    }
    if (lex_expect(lex, ';'))
        return lex->failed;
    if (f->n_stmts == PTX_MAX_STMTS)
        return lex_fail(lex, ERR_TOOBIG, "more than %d instructions", PTX_MAX_STMTS);
    s.operands = arena_alloc(p->arena, s.n_operands ? s.n_operands : 1, sizeof(ops[0]));
    memcpy(s.operands, ops, s.n_operands * sizeof(ops[0]));
    f->stmts = ptx_grow(p->arena, f->stmts, f->n_stmts, &p->cap_stmts, sizeof(s));
    f->stmts[f->n_stmts++] = s;
    return 0;
}

static int parse_loc(struct ptx_parser *p)
{
    uint64_t file, line;
    uint32_t at = p->lex.tok.line;
    lex_next(&p->lex);
    if (ptx_int(p, UINT32_MAX, &file) || ptx_int(p, UINT32_MAX, &line))
        return p->lex.failed;
    ptx_skip_line(p, at);
    p->locs = ptx_grow(p->arena, p->locs, p->n_locs, &p->cap_locs, sizeof(*p->locs));
    p->locs[p->n_locs++] = (struct ptx_loc){.file = (uint32_t)file, .line = (uint32_t)line};
    p->loc = (uint32_t)p->n_locs;
    return 0;
}

/* name: .branchtargets a, b, c; */
static int parse_targets(struct ptx_parser *p)
{
    struct ptx_func *f = p->func;
    struct ptx_operand list = {0};
    if (!p->n_labels || p->labels[p->n_labels - 1].stmt != f->n_stmts)
        return lex_fail(&p->lex, ERR_INVALID, ".branchtargets without a label");
    struct ptx_operand labels[256];
    lex_next(&p->lex);
    do {
        if (list.index == 256)
            return lex_fail(&p->lex, ERR_TOOBIG, "more than 256 branch targets");
        if (ptx_parse_operand(p, &labels[list.index++]))
            return p->lex.failed;
    } while (lex_accept(&p->lex, ','));
    f->targets = ptx_grow(p->arena, f->targets, f->n_targets, &p->cap_targets, sizeof(*f->targets));
    struct ptx_targets *t = &f->targets[f->n_targets++];
    t->name = p->labels[p->n_labels - 1].name;
    t->n = list.index;
    t->labels = arena_alloc(p->arena, t->n, sizeof(labels[0]));
    memcpy(t->labels, labels, t->n * sizeof(labels[0]));
    return lex_expect(&p->lex, ';');
}

static int parse_directive(struct ptx_parser *p)
{
    struct lexer *lex = &p->lex;
    enum ptx_space space;
    if (ptx_space_of(&lex->tok, &space)) {
        int rc = space == PTX_REG ? ptx_parse_regs(p) : ptx_parse_vars(p, space, false);
        return rc ? rc : lex_expect(lex, ';');
    }
    if (lex_is_word(lex, LEX_DIRECTIVE, "loc"))
        return parse_loc(p);
    if (lex_is_word(lex, LEX_DIRECTIVE, "branchtargets"))
        return parse_targets(p);
    if (lex_is_word(lex, LEX_DIRECTIVE, "pragma") ||
        lex_is_word(lex, LEX_DIRECTIVE, "calltargets") ||
        lex_is_word(lex, LEX_DIRECTIVE, "callprototype")) {
        while (lex->tok.kind != LEX_EOF && !lex_is(lex, ';'))
            lex_next(lex);
        return lex_expect(lex, ';');
    }
    return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: .%.*s in a function",
                    (int)(lex->tok.len > 40 ? 40 : lex->tok.len), lex->tok.at);
}

static uint32_t enter_scope(struct ptx_parser *p)
{
    p->scope_parent =
        ptx_grow(p->arena, p->scope_parent, p->n_scopes, &p->cap_scopes, sizeof(*p->scope_parent));
    p->scope_parent[p->n_scopes] = p->scope;
    return p->scope = (uint32_t)p->n_scopes++;
}

/* A name at the start of a statement: a label if ':' follows. */
static int parse_label_or_stmt(struct ptx_parser *p)
{
    struct lexer before = p->lex;
    lex_next(&p->lex);
    if (p->lex.failed)
        return p->lex.failed;
    if (!lex_is(&p->lex, ':')) {
        p->lex = before;
        return parse_stmt(p);
    }
    lex_next(&p->lex);
    p->labels = ptx_grow(p->arena, p->labels, p->n_labels, &p->cap_labels, sizeof(*p->labels));
    p->labels[p->n_labels++] =
        (struct label){.name = arena_strndup(p->arena, before.tok.at, before.tok.len),
                       .scope = p->scope,
                       .stmt = (uint32_t)p->func->n_stmts};
    return 0;
}

static int label_cmp(const char *name, uint32_t scope, const struct label *l)
{
    int c = strcmp(name, l->name);
    return c ? c : (scope > l->scope) - (scope < l->scope);
}

static int label_order(const void *a, const void *b)
{
    const struct label *l = a;
    return label_cmp(l->name, l->scope, b);
}

static void resolve(struct ptx_parser *p, struct ptx_operand *op, uint32_t scope)
{
    if (op->kind != PTX_OPERAND_NAME)
        return;
    for (;; scope = p->scope_parent[scope]) {
        size_t lo = 0, hi = p->n_labels;
        while (lo < hi) {
            size_t mid = (lo + hi) / 2;
            int c = label_cmp(op->name, scope, &p->labels[mid]);
            if (c == 0) {
                op->kind = PTX_OPERAND_LABEL;
                op->index = p->labels[mid].stmt;
                return;
            }
            if (c < 0)
                hi = mid;
            else
                lo = mid + 1;
        }
        if (scope == 0)
            return;
    }
}

static int resolve_labels(struct ptx_parser *p)
{
    struct ptx_func *f = p->func;
    if (p->n_labels)
        qsort(p->labels, p->n_labels, sizeof(*p->labels), label_order);
    for (size_t i = 0; i + 1 < p->n_labels; i++)
        if (!label_order(&p->labels[i], &p->labels[i + 1]))
            return lex_fail(&p->lex, ERR_INVALID, "label %s stands twice in %s", p->labels[i].name,
                            f->name);
    for (size_t i = 0; i < f->n_stmts; i++)
        for (unsigned k = 0; k < f->stmts[i].n_operands; k++)
            resolve(p, &f->stmts[i].operands[k], f->stmts[i].scope);
    for (size_t i = 0; i < f->n_targets; i++)
        for (uint32_t k = 0; k < f->targets[i].n; k++)
            resolve(p, &f->targets[i].labels[k], 0);
    return 0;
}

int ptx_parse_body(struct ptx_parser *p, struct ptx_func *func)
{
    struct lexer *lex = &p->lex;
    uint32_t outer = p->depth;
    p->n_labels = p->n_scopes = 0;
    p->scope = p->loc = 0;
    enter_scope(p);
    lex_next(lex);
    for (p->depth++; p->depth > outer && !lex->failed;) {
        if (lex_accept(lex, '{')) {
            if (p->depth++ > PTX_MAX_DEPTH)
                return lex_fail(lex, ERR_TOOBIG, "scopes nested too deeply");
            enter_scope(p);
        } else if (lex_is(lex, '}')) {
            sym_leave(p, --p->depth);
            p->scope = p->scope_parent[p->scope];
            if (p->depth > outer)
                lex_next(lex);
        } else if (lex->tok.kind == LEX_DIRECTIVE) {
            parse_directive(p);
        } else if (lex_is(lex, '@')) {
            parse_stmt(p);
        } else if (lex->tok.kind == LEX_NAME) {
            parse_label_or_stmt(p);
        } else if (!lex_accept(lex, ';')) {
            lex_fail(lex, ERR_INVALID, "an instruction expected in %s", func->name);
        }
    }
    if (lex->failed || resolve_labels(p))
        return lex->failed;
    func->has_body = true;
    return lex_expect(lex, '}');
}
