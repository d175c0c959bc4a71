/* SPDX-License-Identifier: MIT */
/* The module level of PTX: directives, functions and kernels, and looking them up. */
#include "evaluator/sim/ptx_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "// warpsim: kernel NAME regs N spill N shared N" among the leading comment lines. */
static void read_info(const char *text, const char *end, struct ptx_kernel *k)
{
    while (text < end && (*text == '/' || *text == '\n' || *text == '\r')) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((eol ? eol : end) - text);
        char line[512], name[400];
        int regs, spill, shared;
        n = n < sizeof(line) ? n : sizeof(line) - 1;
        memcpy(line, text, n);
        line[n] = 0;
        if (sscanf(line, "// warpsim: kernel %399s regs %d spill %d shared %d", name, &regs, &spill,
                   &shared) == 4 &&
            !strcmp(name, k->name)) {
            k->info_regs = regs;
            k->info_spill = spill;
            k->info_shared = shared;
        }
        if (!eol)
            return;
        text = eol + 1;
    }
}

static int parse_params(struct ptx_parser *p, bool is_kernel, struct ptx_var ***ret_vars,
                        size_t *ret_n)
{
    struct ptx_var **vars = NULL;
    size_t n = 0, cap = 0;
    if (lex_expect(&p->lex, '('))
        return p->lex.failed;
    while (!lex_is(&p->lex, ')')) {
        vars = ptx_grow(p->arena, vars, n, &cap, sizeof(*vars));
        if (ptx_parse_param(p, is_kernel, &vars[n++]))
            return p->lex.failed;
        if (!lex_accept(&p->lex, ','))
            break;
    }
    *ret_vars = vars;
    *ret_n = n;
    return lex_expect(&p->lex, ')');
}

static int layout_params(struct ptx_parser *p, struct ptx_kernel *k, struct ptx_var **vars,
                         size_t n)
{
    struct ptx_param *params = arena_alloc(p->arena, n ? n : 1, sizeof(*params));
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        at = (at + vars[i]->align - 1) / vars[i]->align * vars[i]->align;
        params[i] = (struct ptx_param){vars[i]->name, (uint32_t)vars[i]->size, vars[i]->align,
                                       (uint32_t)at};
        vars[i]->addr = at;
        at += vars[i]->size;
        if (at > PTX_MAX_PARAM_BYTES)
            return lex_fail(&p->lex, ERR_TOOBIG, "parameters of more than %d bytes",
                            PTX_MAX_PARAM_BYTES);
    }
    k->params = params;
    k->n_params = n;
    k->param_size = (uint32_t)at;
    return 0;
}

/* .maxntid 256, 1, 1 */
static int parse_dims3(struct ptx_parser *p, uint32_t *ret_dims)
{
    uint64_t v;
    uint32_t dims[3] = {1, 1, 1};
    unsigned n = 0;
    lex_next(&p->lex);
    do {
        if (n == 3)
            return lex_fail(&p->lex, ERR_INVALID, "more than three dimensions");
        if (ptx_int(p, UINT32_MAX, &v))
            return p->lex.failed;
        dims[n++] = (uint32_t)v;
    } while (lex_accept(&p->lex, ','));
    memcpy(ret_dims, dims, sizeof(dims));
    return 0;
}

/* The directives between a kernel's parameters and its body. */
static int parse_tuning(struct ptx_parser *p, struct ptx_kernel *k)
{
    struct lexer *lex = &p->lex;
    while (lex->tok.kind == LEX_DIRECTIVE) {
        uint32_t dims[3] = {0};
        uint64_t n = 0;
        const char *name = arena_strndup(p->arena, lex->tok.at, lex->tok.len);
        if (!strcmp(name, "maxntid") || !strcmp(name, "reqntid") ||
            !strcmp(name, "reqnctapercluster")) {
            if (parse_dims3(p, dims))
                return lex->failed;
            if (name[0] == 'm')
                memcpy(k->maxntid, dims, sizeof(dims));
            else if (!strcmp(name, "reqntid"))
                memcpy(k->reqntid, dims, sizeof(dims));
            else if ((uint64_t)dims[0] * dims[1] * dims[2] != 1)
                k->refused = "clusters (.reqnctapercluster)";
        } else if (!strcmp(name, "minnctapersm") || !strcmp(name, "maxnreg") ||
                   !strcmp(name, "maxclusterrank")) {
            lex_next(lex);
            if (ptx_int(p, UINT32_MAX, &n))
                return lex->failed;
            if (!strcmp(name, "minnctapersm"))
                k->minnctapersm = (uint32_t)n;
            else if (!strcmp(name, "maxnreg"))
                k->maxnreg = (uint32_t)n;
        } else if (!strcmp(name, "noreturn") || !strcmp(name, "explicitcluster") ||
                   !strcmp(name, "blocksareclusters")) {
            if (name[0] == 'b')
                k->refused = "clusters (.blocksareclusters)";
            lex_next(lex);
        } else if (!strcmp(name, "pragma")) {
            while (lex->tok.kind != LEX_EOF && !lex_is(lex, ';'))
                lex_next(lex);
            lex_next(lex);
        } else {
            return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: .%.64s of a function", name);
        }
    }
    return 0;
}

static void forget_body(struct ptx_parser *p)
{
    p->cap_stmts = p->cap_regs = p->cap_targets = 0;
}

static void keep_func(struct ptx_parser *p, struct ptx_func *f)
{
    for (size_t i = 0; i < p->n_funcs; i++)
        if (!strcmp(p->funcs[i]->name, f->name)) {
            if (f->has_body)
                p->funcs[i] = f;
            return;
        }
    p->funcs = ptx_grow(p->arena, p->funcs, p->n_funcs, &p->cap_funcs, sizeof(*p->funcs));
    p->funcs[p->n_funcs++] = f;
}

static int keep_kernel(struct ptx_parser *p, const struct ptx_kernel *k, const char *text)
{
    struct ptx_module *m = p->module;
    if (ptx_module_kernel(m, k->name))
        return lex_fail(&p->lex, ERR_INVALID, "kernel %s stands twice", k->name);
    m->kernels = ptx_grow(p->arena, m->kernels, m->n_kernels, &p->cap_kernels, sizeof(*k));
    m->kernels[m->n_kernels] = *k;
    read_info(text, p->lex.end, &m->kernels[m->n_kernels++]);
    return 0;
}

/* tok is "entry" or "func". */
static int parse_func(struct ptx_parser *p, const char *text)
{
    struct lexer *lex = &p->lex;
    struct ptx_func *f = p->func = arena_alloc(p->arena, 1, sizeof(*f));
    struct ptx_kernel k = {
        .info_regs = -1, .info_spill = -1, .info_shared = -1, .func = f, .line = lex->tok.line};
    forget_body(p);
    f->is_entry = lex_is_word(lex, LEX_DIRECTIVE, "entry");
    f->line = lex->tok.line;
    p->depth = 1;
    lex_next(lex);
    if (lex_is_word(lex, LEX_DIRECTIVE, "attribute"))
        return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: .attribute of a function");
    if (!f->is_entry && lex_is(lex, '(') && parse_params(p, false, &f->returns, &f->n_returns))
        return lex->failed;
    if (lex->tok.kind != LEX_NAME)
        return lex_fail(lex, ERR_INVALID, "a function's name expected");
    k.name = f->name = arena_strndup(p->arena, lex->tok.at, lex->tok.len);
    lex_next(lex);
    if (lex_is(lex, '(') && parse_params(p, f->is_entry, &f->params, &f->n_params))
        return lex->failed;
    if (parse_tuning(p, &k) || (f->is_entry && layout_params(p, &k, f->params, f->n_params)))
        return lex->failed;
    bool body = lex_is(lex, '{');
    if (body ? ptx_parse_body(p, f) : lex_expect(lex, ';'))
        return lex->failed;
    p->depth = 0;
    sym_leave(p, 0);
    if (!f->is_entry)
        keep_func(p, f);
    return f->is_entry && body ? keep_kernel(p, &k, text) : lex->failed;
}

static int parse_file(struct ptx_parser *p)
{
    uint64_t index;
    uint32_t line = p->lex.tok.line;
    lex_next(&p->lex);
    if (ptx_int(p, UINT32_MAX, &index))
        return p->lex.failed;
    if (p->lex.tok.kind == LEX_STRING) {
        p->files = ptx_grow(p->arena, p->files, p->n_files, &p->cap_files, sizeof(*p->files));
        p->files[p->n_files++] = (struct ptx_file){
            (uint32_t)index, arena_strndup(p->arena, p->lex.tok.at, p->lex.tok.len)};
    }
    ptx_skip_line(p, line);
    return 0;
}

/* Debugging sections, up to their closing brace. */
static int skip_section(struct ptx_parser *p)
{
    unsigned depth = 0;
    for (; p->lex.tok.kind != LEX_EOF; lex_next(&p->lex)) {
        if (lex_is(&p->lex, '{'))
            depth++;
        if (lex_is(&p->lex, '}') && --depth == 0) {
            lex_next(&p->lex);
            return 0;
        }
    }
    return lex_fail(&p->lex, ERR_INVALID, "a .section without its end");
}

static int parse_version(struct ptx_parser *p)
{
    lex_next(&p->lex);
    double v;
    if (p->lex.tok.kind != LEX_F64)
        return lex_fail(&p->lex, ERR_INVALID, "a version expected");
    memcpy(&v, &p->lex.tok.value, sizeof(v));
    p->module->version = v > 0 && v < 1000 ? (uint32_t)(v * 10 + 0.5) : 0;
    lex_next(&p->lex);
    return 0;
}

static int parse_target(struct ptx_parser *p)
{
    lex_next(&p->lex);
    if (p->lex.tok.kind != LEX_NAME)
        return lex_fail(&p->lex, ERR_INVALID, "a target expected");
    p->module->target = arena_strndup(p->arena, p->lex.tok.at, p->lex.tok.len);
    do {
        lex_next(&p->lex);
    } while (lex_is(&p->lex, ',') || (p->lex.tok.kind == LEX_NAME));
    return 0;
}

static int parse_top(struct ptx_parser *p, const char *text)
{
    struct lexer *lex = &p->lex;
    bool is_extern = false;
    enum ptx_space space;
    uint64_t n;
    if (lex->tok.kind != LEX_DIRECTIVE)
        return lex_fail(lex, ERR_INVALID, "a directive expected");
    while (lex_is_word(lex, LEX_DIRECTIVE, "visible") ||
           lex_is_word(lex, LEX_DIRECTIVE, "extern") || lex_is_word(lex, LEX_DIRECTIVE, "weak") ||
           lex_is_word(lex, LEX_DIRECTIVE, "common")) {
        is_extern |= lex->tok.at[0] == 'e';
        lex_next(lex);
    }
    if (lex_is_word(lex, LEX_DIRECTIVE, "entry") || lex_is_word(lex, LEX_DIRECTIVE, "func"))
        return parse_func(p, text);
    if (ptx_space_of(&lex->tok, &space) && space != PTX_REG && space != PTX_PARAM)
        return ptx_parse_vars(p, space, is_extern) ? lex->failed : lex_expect(lex, ';');
    if (lex_is_word(lex, LEX_DIRECTIVE, "version"))
        return parse_version(p);
    if (lex_is_word(lex, LEX_DIRECTIVE, "target"))
        return parse_target(p);
    if (lex_is_word(lex, LEX_DIRECTIVE, "file"))
        return parse_file(p);
    if (lex_is_word(lex, LEX_DIRECTIVE, "section"))
        return skip_section(p);
    if (lex_is_word(lex, LEX_DIRECTIVE, "address_size")) {
        lex_next(lex);
        if (ptx_int(p, 64, &n) || n != 64)
            return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: .address_size other than 64");
        return 0;
    }
    if (lex_is_word(lex, LEX_DIRECTIVE, "pragma")) {
        while (lex->tok.kind != LEX_EOF && !lex_is(lex, ';'))
            lex_next(lex);
        return lex_expect(lex, ';');
    }
    return lex_fail(lex, ERR_UNSUPPORTED, "unsupported: .%.*s",
                    (int)(lex->tok.len > 40 ? 40 : lex->tok.len), lex->tok.at);
}

int ptx_module_parse(const char *text, size_t n, struct ptx_module **ret_module, struct err *err)
{
    if (n > PTX_MAX_TEXT)
        return err_set(err, ERR_TOOBIG, "PTX of more than %d bytes", PTX_MAX_TEXT);
    struct arena *arena = arena_new();
    struct ptx_parser *p = arena_alloc(arena, 1, sizeof(*p));
    p->arena = arena;
    p->module = arena_alloc(arena, 1, sizeof(*p->module));
    p->module->own = p;
    p->module->target = "";
    p->buckets = arena_alloc(arena, PTX_SYM_BUCKETS, sizeof(struct sym *));
    lex_init(&p->lex, text, n, err);
    while (p->lex.tok.kind != LEX_EOF)
        parse_top(p, text);
    int rc = p->lex.failed;
    if (!rc && !p->module->version)
        rc = err_set(err, ERR_INVALID, "not PTX: it has no .version");
    p->lex = (struct lexer){0};
    if (rc) {
        arena_free(arena);
        return rc;
    }
    *ret_module = p->module;
    return 0;
}

void ptx_module_free(struct ptx_module *module)
{
    if (module)
        arena_free(module->own->arena);
}

struct ptx_kernel *ptx_module_kernel(const struct ptx_module *module, const char *name)
{
    for (size_t i = 0; i < module->n_kernels; i++)
        if (!strcmp(module->kernels[i].name, name))
            return &module->kernels[i];
    return NULL;
}

struct ptx_var *ptx_module_var(const struct ptx_module *module, const char *name)
{
    for (size_t i = 0; i < module->n_vars; i++)
        if (!strcmp(module->vars[i]->name, name))
            return module->vars[i];
    return NULL;
}

struct ptx_func *ptx_module_func(const struct ptx_module *module, const char *name)
{
    for (size_t i = 0; i < module->own->n_funcs; i++)
        if (!strcmp(module->own->funcs[i]->name, name))
            return module->own->funcs[i];
    return NULL;
}

const struct ptx_loc *ptx_module_loc(const struct ptx_module *module, uint32_t loc)
{
    return loc && loc <= module->own->n_locs ? &module->own->locs[loc - 1] : NULL;
}

const char *ptx_module_file(const struct ptx_module *module, uint32_t index)
{
    for (size_t i = 0; i < module->own->n_files; i++)
        if (module->own->files[i].index == index)
            return module->own->files[i].name;
    return NULL;
}
