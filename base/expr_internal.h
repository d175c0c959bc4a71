#pragma once
/* SPDX-License-Identifier: MIT */
/* The inside of an expression, for expr.c and expr_bounds.c alone. */
#include "base/expr.h"

enum op {
    OP_CONST, OP_SYMBOL, OP_NEG, OP_NOT, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_MIN, OP_MAX,
    OP_CEILDIV, OP_POW2CEIL, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_AND, OP_OR
};

struct expr {
    enum op op;
    int64_t value;
    const char *name; /* OP_SYMBOL */
    const struct expr *a, *b;
    const char *text; /* root only */
};

/* The power of two at or above a >= 0; negative: it doesn't fit. */
int expr_pow2ceil(int64_t a, int64_t *ret);
