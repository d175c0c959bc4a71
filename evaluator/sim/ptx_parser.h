#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the parser's files share: ptx.c (module level), ptx_var.c (variables and initialisers),
 * ptx_body.c (function bodies), ptx_sym.c (names). Every function reports through lex_fail and
 * returns its code; after a failure the lexer is at its end, so loops on tokens come to theirs.
 *
 * Names have scopes: the module's, a function's, and those of nested {...}. A register range
 * (".reg .b32 %r<56>") is one symbol that stands for all its registers.
 */
#include "base/arena.h"
#include "evaluator/sim/ptx_ast.h"
#include "evaluator/sim/ptx_lex.h"

enum {
    PTX_MAX_TEXT = 64 << 20,
    PTX_MAX_REGS = 1 << 17,
    PTX_MAX_STMTS = 1 << 20,
    PTX_MAX_DEPTH = 64,
    PTX_MAX_INIT = 64 << 20,
    PTX_MAX_PARAM_BYTES = 32764,
    PTX_SYM_BUCKETS = 4096
};

enum sym_kind { SYM_REG, SYM_RANGE, SYM_VAR };

struct sym {
    const char *name;
    size_t len;
    enum sym_kind kind;
    uint32_t index, count; /* register, or first register and number of a range */
    struct ptx_var *var;
    uint32_t depth;
    struct sym *next;   /* in its bucket */
    struct sym *before; /* declared before this one: the undo list of scopes */
};

struct label {
    const char *name;
    uint32_t scope, stmt;
};

struct ptx_parser {
    struct lexer lex;
    struct arena *arena;
    struct ptx_module *module;
    struct sym **buckets, *last_sym;
    uint32_t depth;
    struct ptx_func **funcs;
    size_t n_funcs, cap_funcs, cap_kernels, cap_vars;
    struct ptx_file *files;
    size_t n_files, cap_files;
    struct ptx_loc *locs;
    size_t n_locs, cap_locs;
    /* of the function being parsed */
    struct ptx_func *func;
    size_t cap_stmts, cap_regs, cap_targets;
    struct label *labels;
    size_t n_labels, cap_labels;
    uint32_t *scope_parent; /* by scope number; scope 0 is the function's own */
    size_t n_scopes, cap_scopes;
    uint32_t scope, loc;
};

/* Room for one more element of an array in the arena (old memory is only freed with it). */
void *ptx_grow(struct arena *arena, void *array, size_t n, size_t *cap, size_t size);

struct sym *sym_find(const struct ptx_parser *p, const char *name, size_t len);
struct sym *sym_add(struct ptx_parser *p, enum sym_kind kind, const char *name, size_t len);
void sym_leave(struct ptx_parser *p, uint32_t depth); /* forgets what is deeper */
/* Register number of a name, through ranges too; -1 if it is none. */
int64_t sym_reg(const struct ptx_parser *p, const char *name, size_t len);

/* tok is the space directive ("global", "shared", ...): parses the declarations up to and without
 * the ';'. Each variable is also appended to the module if it is global or const. */
int ptx_parse_vars(struct ptx_parser *p, enum ptx_space space, bool is_extern);
/* One parameter: tok is ".param" or ".reg". Of a kernel: is_kernel. */
int ptx_parse_param(struct ptx_parser *p, bool is_kernel, struct ptx_var **ret_var);
/* tok is "reg": declarations up to and without the ';'. */
int ptx_parse_regs(struct ptx_parser *p);
bool ptx_space_of(const struct lex_token *tok, enum ptx_space *ret_space);
/* Skips the tokens left on a directive's line. */
void ptx_skip_line(struct ptx_parser *p, uint32_t line);
int ptx_int(struct ptx_parser *p, uint64_t max, uint64_t *ret_value);

/* tok is the '{' of the body. */
int ptx_parse_body(struct ptx_parser *p, struct ptx_func *func);
int ptx_parse_operand(struct ptx_parser *p, struct ptx_operand *ret_operand);
