/* SPDX-License-Identifier: MIT */
/* Interval arithmetic over expressions (Moore 1966), with C's truncating division. */
#include "base/expr_internal.h"
#include "base/util.h"

#include <stddef.h>

static const struct expr_interval no = { 0, 0 }, yes = { 1, 1 }, maybe = { 0, 1 };

static bool is_true(struct expr_interval a)
{
    return a.lo > 0 || a.hi < 0;
}

static bool is_false(struct expr_interval a)
{
    return a.lo == 0 && a.hi == 0;
}

static struct expr_interval known(bool holds, bool fails)
{
    return holds ? yes : fails ? no : maybe;
}

/* The smallest and largest of four; both operations below are monotone in each operand. */
static struct expr_interval corners(const int64_t c[4])
{
    struct expr_interval r = { c[0], c[0] };
    for (size_t i = 1; i < 4; i++) {
        r.lo = MIN(r.lo, c[i]);
        r.hi = MAX(r.hi, c[i]);
    }
    return r;
}

static bool multiply(struct expr_interval a, struct expr_interval b, struct expr_interval *ret)
{
    int64_t c[4];
    if (__builtin_mul_overflow(a.lo, b.lo, &c[0]) || __builtin_mul_overflow(a.lo, b.hi, &c[1])
        || __builtin_mul_overflow(a.hi, b.lo, &c[2]) || __builtin_mul_overflow(a.hi, b.hi, &c[3])) {
        return false;
    }
    *ret = corners(c);
    return true;
}

static bool divide(enum op op, struct expr_interval a, struct expr_interval b,
                   struct expr_interval *ret)
{
    if ((b.lo <= 0 && b.hi >= 0) || a.lo == INT64_MIN || b.lo == INT64_MIN) {
        return false;
    }
    if (op == OP_CEILDIV) {
        if (a.lo < 0 || b.lo < 0) {
            return false;
        }
        *ret = (struct expr_interval) { a.lo / b.hi + (a.lo % b.hi != 0),
                                        a.hi / b.lo + (a.hi % b.lo != 0) };
    } else if (op == OP_DIV) {
        *ret = corners((const int64_t[]) { a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi });
    } else if (a.lo == a.hi && b.lo == b.hi) {
        *ret = (struct expr_interval) { a.lo % b.lo, a.lo % b.lo };
    } else {
        /* As large as the divisor allows, with the sign of what is divided. */
        int64_t most = (b.lo > 0 ? b.hi : -b.lo) - 1, least = b.lo > 0 ? b.lo : -b.hi;
        *ret = (struct expr_interval) { a.lo < 0 ? MAX(a.lo, -most) : 0, a.hi > 0 ? MIN(a.hi, most) : 0 };
        if (a.lo >= 0 && a.hi < least) {
            *ret = a;
        }
    }
    return true;
}

static struct expr_interval compare(enum op op, struct expr_interval a, struct expr_interval b)
{
    bool apart = a.hi < b.lo || b.hi < a.lo, same = a.lo == a.hi && b.lo == b.hi && a.lo == b.lo;
    switch (op) {
    case OP_EQ: return known(same, apart);
    case OP_NE: return known(apart, same);
    case OP_LT: return known(a.hi < b.lo, a.lo >= b.hi);
    case OP_LE: return known(a.hi <= b.lo, a.lo > b.hi);
    case OP_GT: return known(a.lo > b.hi, a.hi <= b.lo);
    default: return known(a.lo >= b.hi, a.hi < b.lo);
    }
}

static bool apply(enum op op, struct expr_interval a, struct expr_interval b,
                  struct expr_interval *ret)
{
    struct expr_interval r = { 0, 0 };
    bool good = true;
    switch (op) {
    case OP_NEG:
        good = !__builtin_sub_overflow((int64_t)0, a.hi, &r.lo)
               && !__builtin_sub_overflow((int64_t)0, a.lo, &r.hi);
        break;
    case OP_NOT: r = known(is_false(a), is_true(a)); break;
    case OP_ADD:
        good = !__builtin_add_overflow(a.lo, b.lo, &r.lo) && !__builtin_add_overflow(a.hi, b.hi, &r.hi);
        break;
    case OP_SUB:
        good = !__builtin_sub_overflow(a.lo, b.hi, &r.lo) && !__builtin_sub_overflow(a.hi, b.lo, &r.hi);
        break;
    case OP_MUL: good = multiply(a, b, &r); break;
    case OP_DIV:
    case OP_MOD:
    case OP_CEILDIV: good = divide(op, a, b, &r); break;
    case OP_MIN: r = (struct expr_interval) { MIN(a.lo, b.lo), MIN(a.hi, b.hi) }; break;
    case OP_MAX: r = (struct expr_interval) { MAX(a.lo, b.lo), MAX(a.hi, b.hi) }; break;
    case OP_POW2CEIL:
        good = a.lo >= 0 && expr_pow2ceil(a.lo, &r.lo) == 0 && expr_pow2ceil(a.hi, &r.hi) == 0;
        break;
    default: r = compare(op, a, b); break;
    }
    *ret = r;
    return good;
}

static bool find(const struct expr_range *ranges, size_t n, const struct symbols *symbols,
                 const char *name, struct expr_interval *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(ranges[i].name, name)) {
            *ret = ranges[i].within;
            return true;
        }
    }
    const int64_t *value = symbols_find(symbols, name);
    if (value) {
        *ret = (struct expr_interval) { *value, *value };
    }
    return value != NULL;
}

bool expr_bounds(const struct expr *e, const struct expr_range *ranges, size_t n,
                 const struct symbols *symbols, struct expr_interval *ret)
{
    struct expr_interval a, b = { 0, 0 };
    if (e->op == OP_CONST) {
        *ret = (struct expr_interval) { e->value, e->value };
        return true;
    }
    if (e->op == OP_SYMBOL) {
        return find(ranges, n, symbols, e->name, ret);
    }
    if (!expr_bounds(e->a, ranges, n, symbols, &a)) {
        return false;
    }
    /* The second side isn't evaluated where the first decides. */
    bool decided = (e->op == OP_AND && is_false(a)) || (e->op == OP_OR && is_true(a));
    if (!decided && e->b && !expr_bounds(e->b, ranges, n, symbols, &b)) {
        return false;
    }
    if (e->op == OP_AND) {
        *ret = known(is_true(a) && is_true(b), decided || is_false(b));
        return true;
    }
    if (e->op == OP_OR) {
        *ret = known(decided || is_true(b), is_false(a) && is_false(b));
        return true;
    }
    return apply(e->op, a, b, ret);
}
