#pragma once
/* SPDX-License-Identifier: MIT */
/* What the rules of mutate.h share: CUDA text as tokens, and where a mutant is noted. */
#include <stdbool.h>
#include <stddef.h>
#include "agent/mutate.h"

enum mutate_kind { MUTATE_KIND_NAME, MUTATE_KIND_NUMBER, MUTATE_KIND_STRING, MUTATE_KIND_SIGN };

struct mtoken {
    enum mutate_kind kind;
    size_t at, len;
    int line;
    bool macro; /* inside the body of a #define */
    size_t mate; /* a bracket's other half; its own index if there is none */
};

struct mtext {
    const char *source;
    size_t n;
    struct mtoken *tokens; /* and one of length 0 behind them */
    struct mutants *to;
};

/* Tokens of a source; directives other than #define and all comments are skipped. */
void mtext_read(struct mtext *t, const char *source, struct mutants *to);

bool mtext_is(const struct mtext *t, size_t i, const char *text);
/* Is it one of the words of a list separated by spaces? */
bool mtext_among(const struct mtext *t, size_t i, const char *words);
/* First token of the statement that token i is in. */
size_t mtext_statement(const struct mtext *t, size_t i);
/* Does a declaration begin at this token ("float v[2] = ...")? */
bool mtext_declares(const struct mtext *t, size_t start);
/* The last token of the operand that begins at i ("x", "f(a)[2].y", "(a + b)"). */
size_t mtext_operand_end(const struct mtext *t, size_t i);
/* Is token i an operator between two operands? */
bool mtext_binary(const struct mtext *t, size_t i);
/* The token before the first , ; or closing bracket on i's level. */
size_t mtext_expression_end(const struct mtext *t, size_t i);

/* Notes a mutant that replaces tokens from..to (inclusive) by the text; "%s" in it is what was there. */
void mtext_note(struct mtext *t, enum mutate_class kind, size_t from, size_t to,
                const char *format);
