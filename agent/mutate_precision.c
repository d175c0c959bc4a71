/* SPDX-License-Identifier: MIT */
#include "agent/mutate_rules.h"
#include "base/util.h"

#include <string.h>

/* Rounding to a format with fewer bits, to nearest even, NaN and infinity as they are. For f32
 * alone: what has another type doesn't compile, and so isn't a mutant. On one line, so that the
 * source's lines keep their numbers and a program that stays the same has the same image. */
#define ROUND(name, shift)                                                                         \
    "static __device__ __forceinline__ float ws_" name "(float v) {"                               \
    "  unsigned b = __float_as_uint(v), h = 1u << (" shift " - 1);"                                \
    "  return (b & 0x7f800000u) == 0x7f800000u ? v"                                                \
    "    : __uint_as_float((b + h - 1 + (b >> " shift " & 1)) & ~(2 * h - 1)); } "                  \
    "template <class T> T ws_" name "(T) = delete; "

static const struct format {
    const char *name, *call, *prelude;
    int bits; /* of the mantissa */
} formats[] = {
    { "tf32", "ws_tf32(%s)", ROUND("tf32", "13"), 10 },
    { "f16", "ws_f16(%s)",
      "static __device__ __forceinline__ float ws_f16(float v) { float r;"
      "  asm(\"{ .reg .b16 h; cvt.rn.f16.f32 h, %1; cvt.f32.f16 %0, h; }\" : \"=f\"(r) : \"f\"(v));"
      " return r; } "
      "template <class T> T ws_f16(T) = delete; ", 10 },
    { "bf16", "ws_bf16(%s)", ROUND("bf16", "16"), 7 },
    { "e4m3", "ws_e4m3(%s)", ROUND("e4m3", "20"), 3 },
};

const char *mutate_prelude(const char *with)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        auto_free char *call = strndup(formats[i].call, strlen(formats[i].call) - 3);
        if (with && strstr(with, call)) {
            return formats[i].prelude;
        }
    }
    return NULL;
}

/* What is loaded, what is computed on the way, what adds up: each may be as narrow as the task
 * says, except what adds up, which is f32 in every task. */
enum site { SITE_LOAD, SITE_VALUE, SITE_SUM };

static bool is_fault(const struct format *f, enum site site, const char *precision)
{
    if (str_eq(precision, "f32")) {
        return true;
    }
    int allowed = str_eq(precision, "bf16") ? 7 : 10;
    return site == SITE_SUM ? !str_eq(f->name, "tf32") : f->bits < allowed;
}

static void note_all(struct mtext *t, size_t from, size_t to, enum site site, const char *precision)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (is_fault(&formats[i], site, precision)) {
            mtext_note(t, MUTATE_CLASS_PRECISION, from, to, formats[i].call);
        }
    }
}

/* A maximum may be rounded as one likes where it is only subtracted again. */
static bool under_maximum(const struct mtext *t, size_t i)
{
    while (i > 0 && !mtext_among(t, i - 1, "; { }")) {
        i--;
        if (mtext_among(t, i, ") ] }") && t->tokens[i].mate < i) {
            i = t->tokens[i].mate;
        } else if (mtext_is(t, i, "(") && i > 0 && mtext_among(t, i - 1, "fmaxf max")) {
            return true;
        }
    }
    return false;
}

static void sum_rules(struct mtext *t, size_t i, const char *precision)
{
    size_t start = mtext_statement(t, i), end = mtext_expression_end(t, i + 1);
    if (t->tokens[start].kind != MUTATE_KIND_NAME || mtext_operand_end(t, start) + 1 != i
        || !mtext_is(t, end + 1, ";")) {
        return;
    }
    for (size_t k = 0; k < ARRAY_LEN(formats); k++) {
        if (!is_fault(&formats[k], SITE_SUM, precision)) {
            continue;
        }
        const struct mtoken *first = &t->tokens[start], *value = &t->tokens[i + 1];
        const struct mtoken *last = &t->tokens[end];
        int left = (int)(t->tokens[i].at - first->at);
        int right = (int)(last->at + last->len - value->at);
        auto_free char *with
            = xprintf("%.*s = ws_%s(%.*s + (%.*s))", left, t->source + first->at, formats[k].name,
                      left, t->source + first->at, right, t->source + value->at);
        if (!strstr(with, "%s")) {
            mtext_note(t, MUTATE_CLASS_PRECISION, start, end, with);
        }
    }
}

static void load_rules(struct mtext *t, size_t i, const char *precision)
{
    size_t end = mtext_operand_end(t, i);
    bool value = i > 0 && mtext_among(t, i - 1, "= ( , + - * / += return *=")
        && mtext_among(t, end + 1, ") , ; + - * /");
    if (value && mtext_is(t, end, "]") && !under_maximum(t, i)) {
        note_all(t, i, end, SITE_LOAD, precision);
    }
}

static void call_rules(struct mtext *t, size_t i, const char *precision)
{
    bool defined = i > 0 && t->tokens[i - 1].kind == MUTATE_KIND_NAME && !mtext_is(t, i - 1, "return");
    if (defined || under_maximum(t, i)) {
        return;
    }
    if (mtext_among(t, i, "__bfloat162float __half2float __ldg __ldcs")) {
        note_all(t, i, t->tokens[i + 1].mate, SITE_LOAD, precision);
    } else if (mtext_among(t, i, "expf exp2f fast_exp2 exp2_fast fmaf rsqrtf tanhf __shfl_xor_sync")) {
        note_all(t, i, t->tokens[i + 1].mate, SITE_VALUE, precision);
    }
}

void mutate_precision(struct mtext *t, const char *precision)
{
    for (size_t i = 0; i + 2 < t->n; i++) {
        if (t->tokens[i].macro) {
            continue;
        }
        if (mtext_is(t, i, "+=")) {
            sum_rules(t, i, precision);
        } else if (t->tokens[i].kind == MUTATE_KIND_NAME && mtext_is(t, i + 1, "[")) {
            load_rules(t, i, precision);
        } else if (t->tokens[i].kind == MUTATE_KIND_NAME && mtext_is(t, i + 1, "(")) {
            call_rules(t, i, precision);
        } else if (mtext_is(t, i, "float") && t->tokens[i + 1].kind == MUTATE_KIND_NAME
                   && mtext_is(t, i + 2, "=") && t->tokens[i + 3].kind != MUTATE_KIND_NUMBER
                   && !mtext_among(t, i + 3, "- FLOOR {")) {
            note_all(t, i + 3, mtext_expression_end(t, i + 3), SITE_VALUE, precision);
        }
    }
}
