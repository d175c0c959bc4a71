/* SPDX-License-Identifier: MIT */
/* The body of a function: scopes, labels, statements and their operands. */
#include "evaluator/sim/ptx_parser.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OPERANDS = 16 };

static int parse_operand_at(struct ptx_parser *p, struct ptx_operand *ret_operand, unsigned depth);

/* a, b, c up to the closing character. */
static int parse_list(struct ptx_parser *p, char close, struct ptx_operand *ret_operand,
                      unsigned depth)
{
    struct ptx_operand vec[PTX_MAX_VEC * 4];
    unsigned n = 0;
    while (!lex_is(&p->lex, close)) {
        if (n == sizeof(vec) / sizeof(vec[0]))
            return lex_fail(&p->lex, ERR_TOOBIG, "more than %u operands in a list", n);
        if (parse_operand_at(p, &vec[n++], depth + 1))
            return p->lex.failed;
        if (!lex_accept(&p->lex, ','))
            break;
    }
    ret_operand->kind = PTX_OPERAND_VEC;
    ret_operand->n = (uint8_t)n;
    ret_operand->vec = arena_alloc(p->arena, n ? n : 1, sizeof(vec[0]));
    memcpy(ret_operand->vec, vec, n * sizeof(vec[0]));
    return lex_expect(&p->lex, close);
}

static int parse_immediate(struct ptx_parser *p, struct ptx_operand *op)
{
    struct lexer *lex = &p->lex;
    bool minus = false, flip = false, lnot = false;
    while (lex_is(lex, '-') || lex_is(lex, '+') || lex_is(lex, '~') || lex_is(lex, '!')) {
        minus ^= lex_is(lex, '-');
        flip ^= lex_is(lex, '~');
        lnot |= lex_is(lex, '!');
        lex_next(lex);
    }
    op->kind = PTX_OPERAND_IMM;
    op->value = lex->tok.value;
    if (lex->tok.kind == LEX_INT) {
        op->type = PTX_U64;
        op->value = minus ? -op->value : op->value;
        op->value = flip ? ~op->value : op->value;
        op->value = lnot ? !op->value : op->value;
    } else if ((lex->tok.kind == LEX_F32 || lex->tok.kind == LEX_F64) && !flip && !lnot) {
        op->type = lex->tok.kind == LEX_F32 ? PTX_F32 : PTX_F64;
        if (minus)
            op->value ^= op->type == PTX_F32 ? 0x80000000ull : 1ull << 63;
    } else {
        return lex_fail(lex, ERR_INVALID, "an operand expected");
    }
    lex_next(lex);
    return 0;
}

/* %tid.x and the like: whatever starts with % and is no register. */
static void parse_special(struct ptx_parser *p, struct ptx_operand *op)
{
    struct lex_token name = p->lex.tok;
    lex_next(&p->lex);
    op->kind = PTX_OPERAND_SPECIAL;
    if (p->lex.tok.kind == LEX_DIRECTIVE && p->lex.tok.len == 1) {
        op->name = arena_printf(p->arena, "%.*s.%c", (int)(name.len > 64 ? 64 : name.len) - 1,
                                name.at + 1, p->lex.tok.at[0]);
        lex_next(&p->lex);
    } else {
        op->name = arena_strndup(p->arena, name.at + 1, name.len - 1);
    }
}

static int parse_name(struct ptx_parser *p, struct ptx_operand *op)
{
    struct lex_token tok = p->lex.tok;
    if (tok.len == 1 && tok.at[0] == '_') {
        lex_next(&p->lex);
        op->kind = PTX_OPERAND_SINK;
        return 0;
    }
    int64_t reg = sym_reg(p, tok.at, tok.len);
    struct sym *s = sym_find(p, tok.at, tok.len);
    if (reg >= 0) {
        op->kind = PTX_OPERAND_REG;
        op->index = (uint32_t)reg;
        op->type = p->func->regs[reg].type;
    } else if (s && s->kind == SYM_VAR) {
        op->kind = PTX_OPERAND_VAR;
        op->var = s->var;
    } else if (tok.at[0] == '%') {
        parse_special(p, op);
        return 0;
    } else if (tok.len == 7 && !memcmp(tok.at, "WARP_SZ", 7)) {
        op->kind = PTX_OPERAND_IMM;
        op->type = PTX_U64;
        op->value = 32;
    } else {
        op->kind = PTX_OPERAND_NAME;
        op->name = arena_strndup(p->arena, tok.at, tok.len);
    }
    lex_next(&p->lex);
    return 0;
}

/* base, base+4, base+-4: tok is behind the base. */
static int parse_offset(struct ptx_parser *p, struct ptx_operand *op)
{
    while (lex_is(&p->lex, '+') || lex_is(&p->lex, '-')) {
        struct ptx_operand offset = {0};
        bool minus = lex_is(&p->lex, '-');
        lex_next(&p->lex);
        if (parse_immediate(p, &offset))
            return p->lex.failed;
        op->value += minus ? -offset.value : offset.value;
    }
    return 0;
}

static int parse_memory(struct ptx_parser *p, struct ptx_operand *op)
{
    lex_next(&p->lex);
    int rc = p->lex.tok.kind == LEX_NAME ? parse_name(p, op) : parse_immediate(p, op);
    if (rc || parse_offset(p, op))
        return p->lex.failed;
    if (lex_is(&p->lex, ','))
        return lex_fail(&p->lex, ERR_UNSUPPORTED, "unsupported: an address with coordinates");
    op->is_memory = true;
    return lex_expect(&p->lex, ']');
}

static int parse_plain(struct ptx_parser *p, struct ptx_operand *op, unsigned depth)
{
    struct lexer *lex = &p->lex;
    if (lex_accept(lex, '{'))
        return parse_list(p, '}', op, depth);
    if (lex_accept(lex, '('))
        return parse_list(p, ')', op, depth);
    if (lex_is(lex, '['))
        return parse_memory(p, op);
    if (lex->tok.kind == LEX_NAME)
        return parse_name(p, op) || (op->kind == PTX_OPERAND_VAR && parse_offset(p, op))
                   ? lex->failed
                   : 0;
    if (lex_is(lex, '!')) {
        struct lexer before = *lex;
        lex_next(lex);
        if (lex->tok.kind == LEX_NAME) {
            op->negated = true;
            return parse_name(p, op);
        }
        *lex = before;
    }
    return parse_immediate(p, op);
}

static int parse_operand_at(struct ptx_parser *p, struct ptx_operand *ret_operand, unsigned depth)
{
    struct ptx_operand op = {0};
    if (depth > 4)
        return lex_fail(&p->lex, ERR_TOOBIG, "operands nested too deeply");
    if (parse_plain(p, &op, depth))
        return p->lex.failed;
    if (lex_accept(&p->lex, '|')) {
        struct ptx_operand *pair = arena_alloc(p->arena, 2, sizeof(*pair));
        pair[0] = op;
        if (parse_plain(p, &pair[1], depth))
            return p->lex.failed;
        op = (struct ptx_operand){.kind = PTX_OPERAND_PAIR, .n = 2, .vec = pair};
    }
    *ret_operand = op;
    return 0;
}

int ptx_parse_operand(struct ptx_parser *p, struct ptx_operand *ret_operand)
{
    return parse_operand_at(p, ret_operand, 0);
}

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
    f->targets = ptx_grow(p->arena, f->targets, f->n_targets, &p->cap_targets,
                          sizeof(*f->targets));
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
    if (lex_is_word(lex, LEX_DIRECTIVE, "pragma") || lex_is_word(lex, LEX_DIRECTIVE, "calltargets") ||
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
    p->scope_parent = ptx_grow(p->arena, p->scope_parent, p->n_scopes, &p->cap_scopes,
                               sizeof(*p->scope_parent));
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
                       .scope = p->scope, .stmt = (uint32_t)p->func->n_stmts};
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
