/* SPDX-License-Identifier: MIT */
/* The operands of a statement: registers, constants, variables, addresses, lists. */
#include "evaluator/sim/ptx_parser.h"

#include <string.h>

static int parse_operand_at(struct ptx_parser *p, struct ptx_operand *ret_operand, unsigned depth);

/* a, b, c up to the closing character. */
static int parse_list(struct ptx_parser *p, char close, struct ptx_operand *ret_operand,
                      unsigned depth)
{
    struct ptx_operand vec[PTX_MAX_LIST];
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
