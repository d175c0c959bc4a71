#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Functions as parsed: statements in order, with operands resolved to registers, variables, special
 * registers and labels. The decoder reads this; nobody changes it afterwards.
 *
 * An opcode is kept as its dot-separated parts ("ld", "global", "v4", "f32"). Registers are
 * numbered within a function; scopes ({...} in inline assembly) are already resolved. A label is
 * the index of the statement it stands before.
 */
#include "evaluator/sim/ptx.h"

#define PTX_TYPES(X)                                                                               \
    X(B8, 1)                                                                                       \
    X(B16, 2)                                                                                      \
    X(B32, 4) X(B64, 8) X(B128, 16) X(U8, 1) X(U16, 2) X(U32, 4) X(U64, 8) X(S8, 1) X(S16, 2)      \
        X(S32, 4) X(S64, 8) X(F16, 2) X(F16X2, 4) X(BF16, 2) X(BF16X2, 4) X(F32, 4) X(F64, 8)      \
            X(TF32, 4) X(E4M3, 1) X(E5M2, 1) X(E4M3X2, 2) X(E5M2X2, 2) X(PRED, 1) X(U16X2, 4)      \
                X(S16X2, 4) X(F32X2, 8)
enum ptx_type {
    PTX_NONE,
#define X(name, size) PTX_##name,
    PTX_TYPES(X)
#undef X
};

enum { PTX_MAX_PARTS = 16, PTX_MAX_VEC = 16, PTX_MAX_LIST = 128 };

enum ptx_operand_kind {
    PTX_OPERAND_SINK, /* _ */
    PTX_OPERAND_REG,  /* index */
    PTX_OPERAND_IMM,  /* value; `type` says how it was written (U64, F32, F64) */
    PTX_OPERAND_VAR,  /* address of var plus value */
    PTX_OPERAND_SPECIAL,
    PTX_OPERAND_VEC,   /* n operands in vec */
    PTX_OPERAND_NAME,  /* a function, or a name that nothing resolves */
    PTX_OPERAND_LABEL, /* index of a statement */
    PTX_OPERAND_PAIR   /* a|b: vec[0], vec[1] */
};

struct ptx_operand {
    uint8_t kind, type;
    bool negated;   /* !p */
    bool is_memory; /* [..]: kind VAR, REG or IMM is the base, value the offset */
    uint8_t n;
    uint32_t index;
    uint64_t value;
    struct ptx_var *var;
    const char *name;
    struct ptx_operand *vec;
};

struct ptx_stmt {
    const char *part[PTX_MAX_PARTS];
    uint8_t n_parts, n_operands;
    bool guarded, guard_negated;
    uint32_t guard;     /* register */
    uint32_t line, loc; /* PTX line; index + 1 of a ptx_loc, 0 for none */
    uint32_t scope;
    struct ptx_operand *operands;
};

struct ptx_loc {
    uint32_t file, line;
};

struct ptx_reg {
    const char *name; /* of one of a range: without its number */
    int32_t number;   /* -1 for a register by itself */
    uint8_t type;     /* enum ptx_type */
};

struct ptx_targets { /* .branchtargets: a list of labels under a name */
    const char *name;
    struct ptx_operand *labels;
    uint32_t n;
};

struct ptx_func {
    const char *name;
    bool is_entry, has_body;
    struct ptx_var **params, **returns; /* of a .func; space PARAM, or REG (then addr = register) */
    size_t n_params, n_returns;
    struct ptx_stmt *stmts;
    size_t n_stmts;
    struct ptx_reg *regs;
    size_t n_regs;
    struct ptx_targets *targets;
    size_t n_targets;
    uint32_t line;
};

struct ptx_file {
    uint32_t index;
    const char *name;
};

/* Of a module, for the decoder. */
struct ptx_func *ptx_module_func(const struct ptx_module *module, const char *name);
const struct ptx_loc *ptx_module_loc(const struct ptx_module *module, uint32_t loc);
const char *ptx_module_file(const struct ptx_module *module, uint32_t index);

unsigned ptx_type_size(enum ptx_type type);
enum ptx_type ptx_type_parse(const char *name, size_t len); /* PTX_NONE if it isn't one */
bool ptx_type_is_float(enum ptx_type type);
bool ptx_type_is_signed(enum ptx_type type);
