#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * PTX tokens. The lexer looks one token ahead (`tok`) and never past the end of its text, which
 * needn't be terminated. Names point into the text; numbers are decoded. A byte that no token can
 * begin with is an error that names the line; after an error every token is LEX_EOF.
 *
 * An instruction's opcode ("ld.global.L1::no_allocate.v4.f32") is one token, but only where an
 * instruction may begin, since elsewhere `%tid.x` and `.f32` follow other rules: the parser asks
 * for it with lex_opcode once it has seen the first name.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum lex_kind {
    LEX_EOF,
    LEX_NAME,      /* [A-Za-z_$%][A-Za-z0-9_$]* */
    LEX_DIRECTIVE, /* .name, the text without its dot */
    LEX_INT,
    LEX_F32, /* 0f3F800000 */
    LEX_F64, /* 0d..., 1.5 */
    LEX_STRING,
    LEX_PUNCT
};

struct lex_token {
    enum lex_kind kind;
    const char *at; /* into the text */
    size_t len;
    uint64_t value; /* LEX_INT, or the bits of LEX_F32, LEX_F64 */
    char punct;
    uint32_t line;
};

struct lexer {
    const char *p, *end;
    uint32_t line;
    struct lex_token tok;
    struct err *err;
    int failed; /* 0 or the first error's code */
};

void lex_init(struct lexer *lex, const char *text, size_t n, struct err *err);
void lex_next(struct lexer *lex);

/* tok is the LEX_NAME that begins an instruction: extends it over the whole opcode. */
void lex_opcode(struct lexer *lex);

bool lex_is(const struct lexer *lex, char punct);
bool lex_is_word(const struct lexer *lex, enum lex_kind kind, const char *word);
bool lex_accept(struct lexer *lex, char punct); /* skips it if it is there */
int lex_expect(struct lexer *lex, char punct);

/* Records "PTX line N: ..." and the code; the first error wins. */
int lex_fail(struct lexer *lex, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
