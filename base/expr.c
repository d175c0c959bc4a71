/* SPDX-License-Identifier: MIT */
#include "base/expr_internal.h"
#include "base/util.h"

#include <ctype.h>
#include <string.h>

struct parser {
    struct arena *arena;
    const char *text, *at;
    int depth;
    struct err *err;
};

static struct expr *node(struct parser *p, enum op op, const struct expr *a, const struct expr *b)
{
    struct expr *e = arena_alloc(p->arena, 1, sizeof(*e));
    e->op = op;
    e->a = a;
    e->b = b;
    return e;
}

static struct expr *fail(struct parser *p, const char *what)
{
    err_set(p->err, ERR_INVALID, "in \"%s\", column %zu: %s", p->text,
            (size_t)(p->at - p->text) + 1, what);
    return NULL;
}

static void skip_space(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t') {
        p->at++;
    }
}

static bool take(struct parser *p, const char *token)
{
    skip_space(p);
    if (!str_prefix(p->at, token)) {
        return false;
    }
    p->at += strlen(token);
    return true;
}

static struct expr *parse_binary(struct parser *p, int level);

static struct expr *parse_call(struct parser *p, const char *name, size_t len)
{
    static const struct {
        const char *name;
        enum op op;
        int args;
    } calls[] = { { "min", OP_MIN, 2 }, { "max", OP_MAX, 2 }, { "ceildiv", OP_CEILDIV, 2 },
                  { "pow2ceil", OP_POW2CEIL, 1 } };
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (strlen(calls[i].name) != len || memcmp(name, calls[i].name, len) != 0) {
            continue;
        }
        struct expr *a = parse_binary(p, 0), *b = NULL;
        if (a && calls[i].args == 2) {
            if (!take(p, ",")) {
                return fail(p, "this function takes two arguments");
            }
            b = parse_binary(p, 0);
        }
        if (!a || (calls[i].args == 2 && !b)) {
            return NULL;
        }
        return take(p, ")") ? node(p, calls[i].op, a, b) : fail(p, "expected \")\"");
    }
    return fail(p, "unknown function (there are min, max, ceildiv and pow2ceil)");
}

static struct expr *parse_number(struct parser *p)
{
    int64_t value = 0;
    while (isdigit((unsigned char)*p->at)) {
        if (__builtin_mul_overflow(value, 10, &value)
            || __builtin_add_overflow(value, *p->at - '0', &value)) {
            return fail(p, "the number doesn't fit in 64 bits");
        }
        p->at++;
    }
    if (isalpha((unsigned char)*p->at) || *p->at == '.' || *p->at == '_') {
        return fail(p, "only whole numbers can be used");
    }
    struct expr *e = node(p, OP_CONST, NULL, NULL);
    e->value = value;
    return e;
}

static struct expr *parse_primary(struct parser *p)
{
    skip_space(p);
    if (isdigit((unsigned char)*p->at)) {
        return parse_number(p);
    }
    if (isalpha((unsigned char)*p->at) || *p->at == '_') {
        const char *name = p->at;
        while (isalnum((unsigned char)*p->at) || *p->at == '_') {
            p->at++;
        }
        size_t len = (size_t)(p->at - name);
        if (take(p, "(")) {
            return parse_call(p, name, len);
        }
        struct expr *e = node(p, OP_SYMBOL, NULL, NULL);
        e->name = arena_strndup(p->arena, name, len);
        return e;
    }
    if (take(p, "(")) {
        struct expr *e = parse_binary(p, 0);
        if (!e) {
            return NULL;
        }
        return take(p, ")") ? e : fail(p, "expected \")\"");
    }
    return fail(p, *p->at ? "expected a number, a name or \"(\"" : "it ends too early");
}

static struct expr *parse_unary(struct parser *p)
{
    if (++p->depth > EXPR_DEPTH_MAX) {
        return fail(p, "nested too deeply");
    }
    struct expr *e;
    skip_space(p);
    bool is_not = p->at[0] == '!' && p->at[1] != '=';
    if (*p->at == '-' || is_not) {
        p->at++;
        e = parse_unary(p);
        e = e ? node(p, is_not ? OP_NOT : OP_NEG, e, NULL) : NULL;
    } else {
        e = parse_primary(p);
    }
    p->depth--;
    return e;
}

/* Precedence climbing; longer tokens stand before their prefixes. */
static const struct {
    const char *token;
    enum op op;
    int level;
} binaries[] = {
    { "||", OP_OR, 0 }, { "&&", OP_AND, 1 }, { "==", OP_EQ, 2 }, { "!=", OP_NE, 2 },
    { "<=", OP_LE, 3 }, { ">=", OP_GE, 3 },  { "<", OP_LT, 3 },  { ">", OP_GT, 3 },
    { "+", OP_ADD, 4 }, { "-", OP_SUB, 4 },  { "*", OP_MUL, 5 }, { "/", OP_DIV, 5 },
    { "%", OP_MOD, 5 },
};

static struct expr *parse_binary(struct parser *p, int level)
{
    enum { TIGHTEST = 6 };
    if (level == TIGHTEST) {
        return parse_unary(p);
    }
    struct expr *left = parse_binary(p, level + 1);
    while (left) {
        size_t i = 0;
        while (i < ARRAY_LEN(binaries)
               && !(binaries[i].level == level && take(p, binaries[i].token))) {
            i++;
        }
        if (i == ARRAY_LEN(binaries)) {
            break;
        }
        struct expr *right = parse_binary(p, level + 1);
        left = right ? node(p, binaries[i].op, left, right) : NULL;
    }
    return left;
}

int expr_parse(struct arena *arena, const char *text, struct expr **ret, struct err *err)
{
    if (strlen(text) > EXPR_TEXT_MAX) {
        return err_set(err, ERR_TOOBIG, "an expression of more than %d characters", EXPR_TEXT_MAX);
    }
    struct parser p = { arena, arena_strdup(arena, text), NULL, 0, err };
    p.at = p.text;
    struct expr *e = parse_binary(&p, 0);
    if (e) {
        skip_space(&p);
        if (*p.at) {
            e = fail(&p, "unexpected text");
        }
    }
    if (!e) {
        return ERR_INVALID;
    }
    e->text = p.text;
    *ret = e;
    return 0;
}

struct expr *expr_constant(struct arena *arena, int64_t value)
{
    struct expr *e = arena_alloc(arena, 1, sizeof(*e));
    e->op = OP_CONST;
    e->value = value;
    e->text = arena_printf(arena, "%lld", (long long)value);
    return e;
}

const int64_t *symbols_find(const struct symbols *symbols, const char *name)
{
    for (; symbols; symbols = symbols->outer) {
        for (size_t i = 0; i < symbols->n; i++) {
            if (str_eq(symbols->at[i].name, name)) {
                return &symbols->at[i].value;
            }
        }
    }
    return NULL;
}

static int unknown_symbol(const char *name, const struct symbols *symbols, struct err *err)
{
    const char *known[256];
    size_t n = 0;
    for (; symbols; symbols = symbols->outer) {
        for (size_t i = 0; i < symbols->n && n < ARRAY_LEN(known); i++) {
            known[n++] = symbols->at[i].name;
        }
    }
    const char *near = suggest(name, known, n);
    if (near) {
        return err_set(err, ERR_INVALID, "unknown symbol \"%s\", did you mean \"%s\"?", name, near);
    }
    return err_set(err, ERR_INVALID, "unknown symbol \"%s\"", name);
}

int expr_pow2ceil(int64_t a, int64_t *ret)
{
    int64_t v = 1;
    while (v < a) {
        if (__builtin_mul_overflow(v, 2, &v)) {
            return -1;
        }
    }
    *ret = v;
    return 0;
}

static int apply(enum op op, int64_t a, int64_t b, int64_t *ret, struct err *err)
{
    bool overflow = false;
    switch (op) {
    case OP_NEG: overflow = __builtin_sub_overflow((int64_t)0, a, ret); break;
    case OP_NOT: *ret = !a; break;
    case OP_ADD: overflow = __builtin_add_overflow(a, b, ret); break;
    case OP_SUB: overflow = __builtin_sub_overflow(a, b, ret); break;
    case OP_MUL: overflow = __builtin_mul_overflow(a, b, ret); break;
    case OP_DIV:
    case OP_MOD:
    case OP_CEILDIV:
        if (b == 0) {
            return err_set(err, ERR_INVALID, "division by zero");
        }
        if (a == INT64_MIN && b == -1) {
            overflow = true;
        } else if (op == OP_CEILDIV) {
            if (a < 0 || b < 0) {
                return err_set(err, ERR_INVALID, "ceildiv of a negative number");
            }
            *ret = a / b + (a % b != 0);
        } else {
            *ret = op == OP_DIV ? a / b : a % b;
        }
        break;
    case OP_MIN: *ret = MIN(a, b); break;
    case OP_MAX: *ret = MAX(a, b); break;
    case OP_POW2CEIL:
        if (a < 0) {
            return err_set(err, ERR_INVALID, "pow2ceil of a negative number");
        }
        overflow = expr_pow2ceil(a, ret) < 0;
        break;
    case OP_EQ: *ret = a == b; break;
    case OP_NE: *ret = a != b; break;
    case OP_LT: *ret = a < b; break;
    case OP_LE: *ret = a <= b; break;
    case OP_GT: *ret = a > b; break;
    case OP_GE: *ret = a >= b; break;
    default: require(false);
    }
    return overflow ? err_set(err, ERR_INVALID, "the result doesn't fit in 64 bits") : 0;
}

static int eval(const struct expr *e, const struct symbols *symbols, int64_t *ret, struct err *err)
{
    int64_t a = 0, b = 0;
    int r;
    switch (e->op) {
    case OP_CONST:
        *ret = e->value;
        return 0;
    case OP_SYMBOL: {
        const int64_t *value = symbols_find(symbols, e->name);
        if (!value) {
            return unknown_symbol(e->name, symbols, err);
        }
        *ret = *value;
        return 0;
    }
    case OP_AND:
    case OP_OR:
        r = eval(e->a, symbols, &a, err);
        if (r < 0 || (e->op == OP_AND) == !a) {
            *ret = a != 0;
            return r;
        }
        r = eval(e->b, symbols, &b, err);
        *ret = b != 0;
        return r;
    default:
        r = eval(e->a, symbols, &a, err);
        if (r == 0 && e->b) {
            r = eval(e->b, symbols, &b, err);
        }
        return r < 0 ? r : apply(e->op, a, b, ret, err);
    }
}

int expr_eval(const struct expr *expr, const struct symbols *symbols, int64_t *ret, struct err *err)
{
    int64_t value = 0;
    int r = eval(expr, symbols, &value, err);
    if (r < 0) {
        err_wrap(err, "in \"%s\"", expr->text);
        return r;
    }
    *ret = value;
    return 0;
}

static int check(const struct expr *e, const struct symbols *symbols, struct err *err)
{
    if (!e) {
        return 0;
    }
    if (e->op == OP_SYMBOL && !symbols_find(symbols, e->name)) {
        return unknown_symbol(e->name, symbols, err);
    }
    int r = check(e->a, symbols, err);
    return r < 0 ? r : check(e->b, symbols, err);
}

int expr_check(const struct expr *expr, const struct symbols *symbols, struct err *err)
{
    int r = check(expr, symbols, err);
    if (r < 0) {
        err_wrap(err, "in \"%s\"", expr->text);
    }
    return r;
}

bool expr_mentions(const struct expr *expr, const char *name)
{
    return expr
        && ((expr->op == OP_SYMBOL && str_eq(expr->name, name)) || expr_mentions(expr->a, name)
            || expr_mentions(expr->b, name));
}

const char *expr_text(const struct expr *expr)
{
    return expr->text;
}
