#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Integer expressions of tasks and plans: 64-bit signed, `+ - * / %`, comparisons, `&& || !`, and
 * min(a,b) max(a,b) ceildiv(a,b) pow2ceil(a). Division truncates as in C. Overflow, division by
 * zero and a negative argument of ceildiv or pow2ceil are errors, never a wrapped number. `&&` and
 * `||` evaluate both sides only when needed.
 *
 * An expression is parsed once into an arena and evaluated against a chain of symbol tables.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

enum { EXPR_TEXT_MAX = 1024, EXPR_DEPTH_MAX = 64 };

struct symbol {
    const char *name;
    int64_t value;
};

/* Looked up from this table outwards; the first hit counts. */
struct symbols {
    const struct symbol *at;
    size_t n;
    const struct symbols *outer;
};

struct expr;

/* ERR_INVALID with the column of the fault. */
int expr_parse(struct arena *arena, const char *text, struct expr **ret, struct err *err);

/* A constant, for places where a document may hold a bare number. */
struct expr *expr_constant(struct arena *arena, int64_t value);

/* ERR_INVALID: unknown symbol (the nearest known one is named), overflow, division by zero. */
int expr_eval(const struct expr *expr, const struct symbols *symbols, int64_t *ret,
              struct err *err);

/* ERR_INVALID as expr_eval for an unknown symbol, also where evaluation wouldn't get to it. */
int expr_check(const struct expr *expr, const struct symbols *symbols, struct err *err);

/*
 * What an expression can be while symbols are somewhere within bounds: an interval that holds every
 * value (not every value in it need come up). `ranges` are looked up first, then `symbols`. False: it
 * can't be said, as somewhere within it may overflow, divide by zero or know a symbol not.
 */
struct expr_interval {
    int64_t lo, hi;
};
struct expr_range {
    const char *name;
    struct expr_interval within;
};
bool expr_bounds(const struct expr *expr, const struct expr_range *ranges, size_t n,
                 const struct symbols *symbols, struct expr_interval *ret);

/* Does the expression mention this symbol? */
bool expr_mentions(const struct expr *expr, const char *name);

/* The text as it was written. */
const char *expr_text(const struct expr *expr);

/* NULL if the name is in no table of the chain. */
const int64_t *symbols_find(const struct symbols *symbols, const char *name);
