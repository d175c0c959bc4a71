/* SPDX-License-Identifier: MIT */
/* Declarations of variables, parameters and registers, and the initialisers of variables. */
#include "evaluator/sim/ptx_parser.h"

#include <string.h>

int ptx_int(struct ptx_parser *p, uint64_t max, uint64_t *ret_value)
{
    struct lex_token *tok = &p->lex.tok;
    if (tok->kind != LEX_INT)
        return lex_fail(&p->lex, ERR_INVALID, "a number expected");
    if (tok->value > max)
        return lex_fail(&p->lex, ERR_TOOBIG, "%llu is more than %llu",
                        (unsigned long long)tok->value, (unsigned long long)max);
    *ret_value = tok->value;
    lex_next(&p->lex);
    return 0;
}

void ptx_skip_line(struct ptx_parser *p, uint32_t line)
{
    while (p->lex.tok.kind != LEX_EOF && p->lex.tok.line == line)
        lex_next(&p->lex);
}

bool ptx_space_of(const struct lex_token *tok, enum ptx_space *ret_space)
{
    static const struct {
        const char *name;
        enum ptx_space space;
    } spaces[] = {{"global", PTX_GLOBAL}, {"shared", PTX_SHARED}, {"local", PTX_LOCAL},
                  {"const", PTX_CONST},   {"param", PTX_PARAM},   {"reg", PTX_REG}};
    if (tok->kind != LEX_DIRECTIVE)
        return false;
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
        if (tok->len == strlen(spaces[i].name) && !memcmp(tok->at, spaces[i].name, tok->len)) {
            *ret_space = spaces[i].space;
            return true;
        }
    return false;
}

/* .align N, .ptr, .attribute(...), .v4 and the type, in any order. */
struct decl {
    enum ptx_type type;
    uint32_t align, vec;
};

static int parse_decl(struct ptx_parser *p, struct decl *ret_decl)
{
    struct decl d = {.vec = 1};
    struct lexer *lex = &p->lex;
    bool pointer = false;
    while (lex->tok.kind == LEX_DIRECTIVE) {
        enum ptx_type type = ptx_type_parse(lex->tok.at, lex->tok.len);
        enum ptx_space space;
        if (lex_is_word(lex, LEX_DIRECTIVE, "align")) {
            uint64_t align = 0;
            lex_next(lex);
            if (ptx_int(p, 1 << 20, &align))
                return lex->failed;
            if (!align || (align & (align - 1)))
                return lex_fail(lex, ERR_INVALID, "an alignment must be a power of two");
            if (!pointer) /* of what a pointer parameter points at: only a promise */
                d.align = (uint32_t)align;
            continue;
        }
        if (lex_is_word(lex, LEX_DIRECTIVE, "ptr"))
            pointer = true;
        else if (lex_is_word(lex, LEX_DIRECTIVE, "v2") || lex_is_word(lex, LEX_DIRECTIVE, "v4"))
            d.vec = (uint32_t)(lex->tok.at[1] - '0');
        else if (lex_is_word(lex, LEX_DIRECTIVE, "attribute"))
            return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: .attribute");
        else if (type != PTX_NONE)
            d.type = type;
        else if (!pointer || !ptx_space_of(&lex->tok, &space))
            return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: .%.*s in a declaration",
                            (int)(lex->tok.len > 40 ? 40 : lex->tok.len), lex->tok.at);
        lex_next(lex);
    }
    if (d.type == PTX_NONE)
        return lex_fail(lex, ERR_INVALID, "a declaration without a type");
    *ret_decl = d;
    return 0;
}

enum { MAX_DIMS = 8 };

struct dims {
    uint64_t n[MAX_DIMS], count; /* count: of all elements */
    unsigned rank;
    bool open; /* [] */
};

static int parse_dims(struct ptx_parser *p, struct dims *ret_dims)
{
    struct dims d = {.count = 1};
    for (; lex_accept(&p->lex, '['); d.rank++) {
        if (d.rank == MAX_DIMS)
            return lex_fail(&p->lex, ERR_TOOBIG, "more than %d dimensions", MAX_DIMS);
        if (lex_accept(&p->lex, ']')) {
            d.open = true;
            continue;
        }
        uint64_t *n = &d.n[d.rank];
        if (ptx_int(p, 1ull << 36, n) || lex_expect(&p->lex, ']'))
            return p->lex.failed;
        if (*n && d.count > (1ull << 36) / *n)
            return lex_fail(&p->lex, ERR_TOOBIG, "an array of more than 2^36 elements");
        d.count *= *n;
    }
    *ret_dims = d;
    return 0;
}

struct init {
    struct ptx_var *var;
    uint8_t *bytes;
    uint64_t at, room; /* next byte; room grows for [] arrays */
    unsigned width;
    enum ptx_type type;
    const struct dims *dims;
    struct ptx_reloc *relocs;
    size_t cap_relocs;
};

static int init_put(struct ptx_parser *p, struct init *in, uint64_t bits)
{
    if (in->at + in->width > in->room)
        return lex_fail(&p->lex, ERR_INVALID, "more initial values than %s has room for",
                        in->var->name);
    memcpy(in->bytes + in->at, &bits, in->width);
    in->at += in->width;
    return 0;
}

static int init_symbol(struct ptx_parser *p, struct init *in)
{
    struct lexer *lex = &p->lex;
    bool generic = lex_is_word(lex, LEX_NAME, "generic");
    if (generic) {
        lex_next(lex);
        if (lex_expect(lex, '('))
            return lex->failed;
    }
    struct sym *s = lex->tok.kind == LEX_NAME ? sym_find(p, lex->tok.at, lex->tok.len) : NULL;
    if (!s || s->kind != SYM_VAR)
        return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: initial value %.*s",
                        (int)(lex->tok.len > 40 ? 40 : lex->tok.len), lex->tok.at);
    lex_next(lex);
    if (generic && lex_expect(lex, ')'))
        return lex->failed;
    uint64_t add = 0;
    bool minus = lex_is(lex, '-');
    if ((lex_accept(lex, '+') || lex_accept(lex, '-')) && ptx_int(p, UINT64_MAX, &add))
        return lex->failed;
    if (in->width != 8)
        return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: an address of %u bytes", in->width);
    in->relocs =
        ptx_grow(p->arena, in->relocs, in->var->n_relocs, &in->cap_relocs, sizeof(*in->relocs));
    in->relocs[in->var->n_relocs++] =
        (struct ptx_reloc){.offset = (uint32_t)in->at, .add = minus ? -add : add, .target = s->var};
    return init_put(p, in, 0);
}

static int init_number(struct ptx_parser *p, struct init *in)
{
    struct lexer *lex = &p->lex;
    bool minus = lex_accept(lex, '-');
    uint64_t bits = lex->tok.value;
    double d;
    float f;
    if (lex->tok.kind == LEX_INT) {
        d = (double)bits;
        bits = minus ? -bits : bits;
    } else if (lex->tok.kind == LEX_F64) {
        memcpy(&d, &bits, 8);
    } else if (lex->tok.kind == LEX_F32) {
        memcpy(&f, &bits, 4);
        d = f;
    } else {
        return minus ? lex_fail(lex, ERR_INVALID, "a number expected") : init_symbol(p, in);
    }
    bool exact = lex->tok.kind == LEX_F32 && in->type == PTX_F32 && !minus;
    if (minus)
        d = -d;
    f = (float)d;
    if (in->type == PTX_F64)
        memcpy(&bits, &d, 8);
    else if (in->type == PTX_F32 && !exact)
        memcpy(&bits, &f, 4);
    lex_next(lex);
    return init_put(p, in, bits);
}

static int parse_init(struct ptx_parser *p, struct init *in, unsigned depth)
{
    if (depth > PTX_MAX_DEPTH)
        return lex_fail(&p->lex, ERR_TOOBIG, "initial values nested too deeply");
    uint64_t start = in->at, size = in->width;
    if (!lex_accept(&p->lex, '{'))
        return init_number(p, in);
    while (!lex_is(&p->lex, '}')) {
        if (parse_init(p, in, depth + 1))
            return p->lex.failed;
        if (!lex_accept(&p->lex, ','))
            break;
    }
    /* a short list leaves the rest of its row zero */
    for (unsigned i = depth; i < in->dims->rank; i++)
        size *= in->dims->n[i];
    if (in->at - start < size && size <= in->room - start)
        in->at = start + size;
    return lex_expect(&p->lex, '}');
}

static int var_init(struct ptx_parser *p, struct ptx_var *var, const struct decl *d,
                    const struct dims *dims)
{
    if (var->space != PTX_GLOBAL && var->space != PTX_CONST)
        return lex_fail(&p->lex, ERR_INVALID, "%s can't have an initial value", var->name);
    if (dims->open || var->size > PTX_MAX_INIT)
        return lex_fail(&p->lex, ERR_TOOBIG, "the initial value of %s is too large", var->name);
    struct init in = {.var = var,
                      .room = var->size,
                      .type = d->type,
                      .dims = dims,
                      .width = ptx_type_size(d->type),
                      .bytes = arena_alloc(p->arena, var->size + 8, 1)};
    if (in.width > 8)
        return lex_fail(&p->lex, ERR_UNSUPPORTED, "unsupported: 128-bit initial values");
    if (parse_init(p, &in, 0))
        return p->lex.failed;
    var->init = in.bytes;
    var->relocs = in.relocs;
    return 0;
}

static int parse_one_var(struct ptx_parser *p, enum ptx_space space, bool is_extern,
                         const struct decl *d)
{
    struct lexer *lex = &p->lex;
    if (lex->tok.kind != LEX_NAME)
        return lex_fail(lex, ERR_INVALID, "a variable's name expected");
    struct sym *s = sym_add(p, SYM_VAR, lex->tok.at, lex->tok.len);
    struct ptx_var *var = s->var = arena_alloc(p->arena, 1, sizeof(*var));
    var->name = s->name;
    var->space = space;
    var->line = lex->tok.line;
    lex_next(lex);
    struct dims dims = {.count = 0};
    if (parse_dims(p, &dims))
        return lex->failed;
    unsigned width = ptx_type_size(d->type) * d->vec;
    var->size = dims.open ? 0 : dims.count * width;
    var->align = d->align ? d->align : width;
    var->is_extern = is_extern && space == PTX_SHARED;
    if (space != PTX_GLOBAL && space != PTX_CONST && var->size > 1 << 24)
        return lex_fail(lex, ERR_TOOBIG, "%s is larger than 16 MiB", var->name);
    if (lex_accept(lex, '=') && var_init(p, var, d, &dims))
        return lex->failed;
    if (space == PTX_GLOBAL || space == PTX_CONST) {
        struct ptx_module *m = p->module;
        m->vars = ptx_grow(p->arena, m->vars, m->n_vars, &p->cap_vars, sizeof(*m->vars));
        m->vars[m->n_vars++] = var;
    }
    return 0;
}

int ptx_parse_vars(struct ptx_parser *p, enum ptx_space space, bool is_extern)
{
    struct decl d;
    lex_next(&p->lex);
    if (parse_decl(p, &d))
        return p->lex.failed;
    do {
        if (parse_one_var(p, space, is_extern, &d))
            return p->lex.failed;
    } while (lex_accept(&p->lex, ','));
    return 0;
}

static uint32_t add_reg(struct ptx_parser *p, const char *name, int32_t number, enum ptx_type type)
{
    struct ptx_func *f = p->func;
    f->regs = ptx_grow(p->arena, f->regs, f->n_regs, &p->cap_regs, sizeof(*f->regs));
    f->regs[f->n_regs] = (struct ptx_reg){.name = name, .number = number, .type = (uint8_t)type};
    return (uint32_t)f->n_regs++;
}

static int parse_one_reg(struct ptx_parser *p, enum ptx_type type)
{
    struct lexer *lex = &p->lex;
    if (lex->tok.kind != LEX_NAME)
        return lex_fail(lex, ERR_INVALID, "a register's name expected");
    struct sym *s = sym_add(p, SYM_REG, lex->tok.at, lex->tok.len);
    s->count = 1;
    s->index = (uint32_t)p->func->n_regs;
    lex_next(lex);
    if (lex_accept(lex, '<')) {
        uint64_t n = 0;
        if (ptx_int(p, PTX_MAX_REGS, &n) || lex_expect(lex, '>'))
            return lex->failed;
        s->kind = SYM_RANGE;
        s->count = (uint32_t)n;
    }
    if (p->func->n_regs + s->count > PTX_MAX_REGS)
        return lex_fail(lex, ERR_TOOBIG, "more than %d registers", PTX_MAX_REGS);
    for (uint32_t i = 0; i < s->count; i++)
        add_reg(p, s->name, s->kind == SYM_RANGE ? (int32_t)i : -1, type);
    return 0;
}

int ptx_parse_regs(struct ptx_parser *p)
{
    struct decl d;
    lex_next(&p->lex);
    if (parse_decl(p, &d))
        return p->lex.failed;
    if (d.vec != 1)
        return lex_fail(&p->lex, ERR_UNSUPPORTED, "unsupported: vector registers");
    do {
        if (parse_one_reg(p, d.type))
            return p->lex.failed;
    } while (lex_accept(&p->lex, ','));
    return 0;
}

int ptx_parse_param(struct ptx_parser *p, bool is_kernel, struct ptx_var **ret_var)
{
    struct lexer *lex = &p->lex;
    enum ptx_space space;
    if (!ptx_space_of(&lex->tok, &space) || (space != PTX_PARAM && space != PTX_REG))
        return lex_fail(lex, ERR_INVALID, "a parameter expected");
    struct ptx_var *var;
    if (space == PTX_REG) {
        size_t reg = p->func->n_regs;
        if (is_kernel || ptx_parse_regs(p))
            return lex_fail(lex, ERR_INVALID, "a parameter can't be a register here");
        var = arena_alloc(p->arena, 1, sizeof(*var));
        var->space = PTX_REG;
        var->addr = reg;
        var->name = p->func->n_regs > reg ? p->func->regs[reg].name : "";
    } else {
        struct decl d;
        lex_next(lex);
        if (parse_decl(p, &d) || parse_one_var(p, PTX_PARAM, false, &d))
            return lex->failed;
        var = p->last_sym->var;
        var->is_kernel_param = is_kernel;
    }
    *ret_var = var;
    return 0;
}
