/* SPDX-License-Identifier: MIT */
#include "agent/mutate_rules.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Is token i part of what a declaration declares, before any =? */
static bool in_declarator(const struct mtext *t, size_t i)
{
    size_t start = mtext_statement(t, i), stop = i;
    if (!mtext_declares(t, start)) {
        return false;
    }
    for (size_t k = start; k < stop; k++) {
        if (mtext_is(t, k, "=")) {
            /* after a comma on this level the next declarator begins */
            size_t end = mtext_expression_end(t, k + 1);
            if (end >= i) {
                return false;
            }
            k = end;
        }
    }
    return true;
}

static void index_rules(struct mtext *t, size_t i)
{
    size_t close = t->tokens[i].mate;
    if (close <= i + 1 || i == 0 || in_declarator(t, i)
        || !(t->tokens[i - 1].kind == MUTATE_KIND_NAME || mtext_is(t, i - 1, "]"))) {
        return;
    }
    mtext_note(t, MUTATE_CLASS_INDEX, i + 1, close - 1, "(%s) + 1");
    if (mtext_is(t, close + 1, "[") && t->tokens[close + 1].mate > close + 2) {
        size_t open = close + 1, end = t->tokens[open].mate;
        const char *s = t->source;
        size_t a = t->tokens[i].at, b = t->tokens[open].at, c = t->tokens[end].at + 1;
        auto_free char *swapped
            = xprintf("%.*s%.*s", (int)(c - b), s + b, (int)(b - a), s + a);
        if (!strchr(swapped, '%') || !strstr(swapped, "%s")) {
            mtext_note(t, MUTATE_CLASS_SWAP, i, end, swapped);
        }
    }
}

static void operator_rules(struct mtext *t, size_t i)
{
    static const char *const other[][2] = { { "+", "-" }, { "-", "+" }, { "*", "+" }, { "/", "*" },
                                            { "%", "/" }, { "&&", "||" }, { "<<", ">>" },
                                            { ">>", "<<" } };
    if (!mtext_binary(t, i) || in_declarator(t, i)) {
        return;
    }
    for (size_t k = 0; k < ARRAY_LEN(other); k++) {
        if (mtext_is(t, i, other[k][0])) {
            mtext_note(t, mtext_is(t, i, "&&") ? MUTATE_CLASS_BOUNDARY : MUTATE_CLASS_OPERATOR, i, i,
                       other[k][1]);
        }
    }
    if (mtext_among(t, i, "+ -")) {
        size_t end = mtext_operand_end(t, i + 1);
        if (!mtext_is(t, end + 1, "?")) {
            mtext_note(t, MUTATE_CLASS_TERM, i, end, "");
        }
    }
}

static void assignment_rules(struct mtext *t, size_t i)
{
    static const char *const other[][2] = { { "+=", "-=" }, { "*=", "/=" }, { "-=", "+=" } };
    size_t start = mtext_statement(t, i);
    bool of_loop = start > 0 && mtext_is(t, start - 1, "(");
    for (size_t k = 0; k < ARRAY_LEN(other) && !of_loop; k++) {
        if (mtext_is(t, i, other[k][0])) {
            mtext_note(t, MUTATE_CLASS_OPERATOR, i, i, other[k][1]);
        }
    }
}

static void number_rules(struct mtext *t, size_t i)
{
    auto_free char *text = strndup(t->source + t->tokens[i].at, t->tokens[i].len);
    bool hex = str_prefix(text, "0x"), real = !hex && strpbrk(text, ".eE");
    double value = strtod(text, NULL);
    if (i >= 2 && mtext_is(t, i - 2, "__launch_bounds__")) {
        return; /* a promise of more threads than there are is kept as well */
    }
    bool assigned = i > 0 && (mtext_is(t, i - 1, "=")
                              || (mtext_is(t, i - 1, "-") && mtext_is(t, i - 2, "=")));
    if (real && fabs(value) > 1e30) {
        mtext_note(t, MUTATE_CLASS_IDENTITY, i, i, "0.0f");
    } else if (real && value == 0 && assigned) {
        mtext_note(t, MUTATE_CLASS_IDENTITY, i, i, "1.0f");
    } else if (real && value != 0) {
        mtext_note(t, MUTATE_CLASS_CONSTANT, i, i, "(%s * 1.01f)");
    } else if (!real && !hex && value >= 2 && value <= 1024 && !t->tokens[i].macro
               && !in_declarator(t, i)) {
        mtext_note(t, MUTATE_CLASS_CONSTANT, i, i, "(%s + 1)");
    }
}

/* "float name = 0": of another type, or without the value. */
static void declaration_rules(struct mtext *t, size_t i)
{
    bool named = mtext_is(t, i, "float") && t->tokens[i + 1].kind == MUTATE_KIND_NAME;
    if (!named || !mtext_is(t, i + 2, "=") || (i > 0 && mtext_among(t, i - 1, "( , const"))) {
        return;
    }
    /* What a softmax shifts by may be a whole number as well. */
    if (!mtext_among(t, i + 1, "peak top own")) {
        mtext_note(t, MUTATE_CLASS_CAST, i, i, "int");
    }
    size_t end = mtext_expression_end(t, i + 3);
    if (t->tokens[i + 3].kind == MUTATE_KIND_NUMBER && end == i + 3) {
        mtext_note(t, MUTATE_CLASS_INIT, i + 2, end, "");
    }
}

static void name_rules(struct mtext *t, size_t i)
{
    static const struct {
        const char *name, *other;
        enum mutate_class kind;
        bool call;
    } rules[] = {
        { "fmaxf", "fminf", MUTATE_CLASS_OPERATOR, true },
        { "fminf", "fmaxf", MUTATE_CLASS_OPERATOR, true },
        { "min", "max", MUTATE_CLASS_BOUNDARY, true },
        { "__float2bfloat16", "__float2bfloat16_rz", MUTATE_CLASS_CAST, true },
        { "__float2half", "__float2half_rz", MUTATE_CLASS_CAST, true },
        { "__float2bfloat16", "(__nv_bfloat16)(int)", MUTATE_CLASS_CAST, true },
        { "__bfloat162float", "(float)(int)__bfloat162float", MUTATE_CLASS_CAST, true },
        { "__half2float", "(float)(int)__half2float", MUTATE_CLASS_CAST, true },
        { "__uint_as_float", "(float)", MUTATE_CLASS_CAST, true },
        { "rsqrtf", "sqrtf", MUTATE_CLASS_OPERATOR, true },
        { "eps", "(2 * eps)", MUTATE_CLASS_CONSTANT, false },
        { "eps", "(0 * eps)", MUTATE_CLASS_TERM, false },
        { "row", "col", MUTATE_CLASS_SWAP, false },
        { "col", "row", MUTATE_CLASS_SWAP, false },
        { "rows", "cols", MUTATE_CLASS_SWAP, false },
        { "cols", "rows", MUTATE_CLASS_SWAP, false },
        { "m", "n", MUTATE_CLASS_SWAP, false },
        { "n", "m", MUTATE_CLASS_SWAP, false },
        { "warp", "lane", MUTATE_CLASS_SWAP, false },
        { "lane", "warp", MUTATE_CLASS_SWAP, false },
        { "tx", "ty", MUTATE_CLASS_SWAP, false },
        { "ty", "tx", MUTATE_CLASS_SWAP, false },
    };
    bool call = mtext_is(t, i + 1, "(");
    bool declared = i > 0 && (t->tokens[i - 1].kind == MUTATE_KIND_NAME || mtext_among(t, i - 1, "."))
        && !mtext_is(t, i - 1, "return");
    for (size_t k = 0; k < ARRAY_LEN(rules); k++) {
        if (mtext_is(t, i, rules[k].name) && call == rules[k].call && !declared
            && !in_declarator(t, i)) {
            mtext_note(t, rules[k].kind, i, i, rules[k].other);
        }
    }
    if (mtext_among(t, i, "blockIdx threadIdx") && mtext_is(t, i + 1, ".")) {
        mtext_note(t, MUTATE_CLASS_SWAP, i + 2, i + 2, mtext_is(t, i + 2, "x") ? "y" : "x");
    }
    if (mtext_is(t, i, "__int_as_float") && call) {
        mtext_note(t, MUTATE_CLASS_IDENTITY, i, t->tokens[i + 1].mate, "0.0f");
    }
    if (mtext_among(t, i, "fmaf") && call) { /* fmaf(a, b, c): the product alone */
        size_t second = mtext_expression_end(t, i + 2) + 2;
        size_t third = mtext_expression_end(t, second) + 2;
        if (mtext_is(t, third - 1, ",")) {
            mtext_note(t, MUTATE_CLASS_TERM, third, mtext_expression_end(t, third), "0.0f");
        }
    }
}

void mutate_values(struct mtext *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->tokens[i].kind == MUTATE_KIND_NUMBER) {
            number_rules(t, i);
        }
        if (t->tokens[i].macro && !mtext_is(t, i, "__int_as_float")) {
            continue;
        }
        if (mtext_is(t, i, "[")) {
            index_rules(t, i);
        } else if (t->tokens[i].kind == MUTATE_KIND_SIGN) {
            operator_rules(t, i);
            assignment_rules(t, i);
        } else if (t->tokens[i].kind == MUTATE_KIND_NAME) {
            declaration_rules(t, i);
            name_rules(t, i);
        }
    }
}
