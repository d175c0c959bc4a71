/* SPDX-License-Identifier: MIT */
#include "evaluator/sim/ptx_lex.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int lex_fail(struct lexer *lex, int code, const char *format, ...)
{
    if (lex->failed)
        return lex->failed;
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    lex->failed = code;
    err_set(lex->err, code, "PTX line %u: %s", lex->tok.line, text);
    lex->tok.kind = LEX_EOF;
    lex->p = lex->end;
    return code;
}

static bool name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '$' || c == '%';
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$';
}

static void skip_comment(struct lexer *lex)
{
    if (lex->p[1] == '/') {
        while (lex->p < lex->end && *lex->p != '\n')
            lex->p++;
        return;
    }
    for (lex->p += 2; lex->p < lex->end; lex->p++) {
        if (*lex->p == '\n')
            lex->line++;
        if (*lex->p == '*' && lex->end - lex->p > 1 && lex->p[1] == '/') {
            lex->p += 2;
            return;
        }
    }
}

static void skip_space(struct lexer *lex)
{
    while (lex->p < lex->end) {
        char c = *lex->p;
        if (c == '\n')
            lex->line++;
        if (isspace((unsigned char)c))
            lex->p++;
        else if (c == '/' && lex->end - lex->p > 1 && (lex->p[1] == '/' || lex->p[1] == '*'))
            skip_comment(lex);
        else
            return;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 0f and 0d: exactly 8 or 16 hexadecimal digits. */
static void lex_hex_float(struct lexer *lex, unsigned digits)
{
    uint64_t v = 0;
    lex->p += 2;
    for (unsigned i = 0; i < digits; i++) {
        int d = lex->p < lex->end ? hex_digit(*lex->p) : -1;
        if (d < 0) {
            lex_fail(lex, ERR_INVALID, "a floating-point constant needs %u hex digits", digits);
            return;
        }
        v = v << 4 | (unsigned)d;
        lex->p++;
    }
    lex->tok.kind = digits == 8 ? LEX_F32 : LEX_F64;
    lex->tok.value = v;
}

/* Decimal floating point: the digits are copied, since the text isn't terminated. */
static void lex_decimal_float(struct lexer *lex, const char *start)
{
    char digits[64];
    while (lex->p < lex->end &&
           (isdigit((unsigned char)*lex->p) || *lex->p == '.' || *lex->p == 'e' || *lex->p == 'E' ||
            ((*lex->p == '-' || *lex->p == '+') && (lex->p[-1] == 'e' || lex->p[-1] == 'E'))))
        lex->p++;
    size_t n = (size_t)(lex->p - start);
    if (n >= sizeof(digits)) {
        lex_fail(lex, ERR_TOOBIG, "a constant of %zu characters", n);
        return;
    }
    memcpy(digits, start, n);
    digits[n] = 0;
    double d = strtod(digits, NULL);
    memcpy(&lex->tok.value, &d, sizeof(d));
    lex->tok.kind = LEX_F64;
}

static void lex_number(struct lexer *lex)
{
    const char *start = lex->p;
    char second = lex->end - lex->p > 1 ? lex->p[1] : 0;
    unsigned base = 10;
    if (*lex->p == '0' && (second == 'f' || second == 'F')) {
        lex_hex_float(lex, 8);
        return;
    }
    if (*lex->p == '0' && (second == 'd' || second == 'D')) {
        lex_hex_float(lex, 16);
        return;
    }
    if (*lex->p == '0' && (second == 'x' || second == 'X')) {
        base = 16;
        lex->p += 2;
    } else if (*lex->p == '0' && (second == 'b' || second == 'B')) {
        base = 2;
        lex->p += 2;
    } else if (*lex->p == '0' && isdigit((unsigned char)second)) {
        base = 8;
    }
    uint64_t v = 0;
    int d;
    while (lex->p < lex->end && (d = hex_digit(*lex->p)) >= 0 && d < (int)base) {
        v = v * base + (unsigned)d;
        lex->p++;
    }
    if (base == 10 && lex->p < lex->end && (*lex->p == '.' || *lex->p == 'e' || *lex->p == 'E')) {
        lex_decimal_float(lex, start);
        return;
    }
    if (lex->p < lex->end && *lex->p == 'U')
        lex->p++;
    lex->tok.kind = LEX_INT;
    lex->tok.value = v;
}

static void lex_string(struct lexer *lex)
{
    const char *start = ++lex->p;
    while (lex->p < lex->end && *lex->p != '"' && *lex->p != '\n')
        lex->p++;
    if (lex->p >= lex->end || *lex->p != '"') {
        lex_fail(lex, ERR_INVALID, "a string without its end");
        return;
    }
    lex->tok.kind = LEX_STRING;
    lex->tok.at = start;
    lex->tok.len = (size_t)(lex->p - start);
    lex->p++;
}

static void lex_name(struct lexer *lex)
{
    const char *start = lex->p++;
    while (lex->p < lex->end && name_char(*lex->p))
        lex->p++;
    lex->tok.at = start;
    lex->tok.len = (size_t)(lex->p - start);
}

void lex_next(struct lexer *lex)
{
    skip_space(lex);
    lex->tok = (struct lex_token){.kind = LEX_EOF, .at = lex->p, .line = lex->line};
    if (lex->p >= lex->end || lex->failed)
        return;
    char c = *lex->p;
    if (name_start(c)) {
        lex->tok.kind = LEX_NAME;
        lex_name(lex);
    } else if (c == '.' && lex->end - lex->p > 1 && name_start(lex->p[1])) {
        lex->tok.kind = LEX_DIRECTIVE;
        lex->p++;
        lex_name(lex);
    } else if (isdigit((unsigned char)c)) {
        lex_number(lex);
    } else if (c == '"') {
        lex_string(lex);
    } else if (c && strchr("{}()[]<>,;:=@!|+-*/%&^~?.", c)) {
        lex->tok.kind = LEX_PUNCT;
        lex->tok.punct = c;
        lex->tok.len = 1;
        lex->p++;
    } else {
        lex_fail(lex, ERR_INVALID, "unexpected byte 0x%02x", (unsigned char)c);
    }
}

void lex_opcode(struct lexer *lex)
{
    const char *start = lex->tok.at;
    while (lex->p < lex->end) {
        bool scope = *lex->p == ':' && lex->end - lex->p > 2 && lex->p[1] == ':';
        if (*lex->p == '.' || name_char(*lex->p))
            lex->p++;
        else if (scope)
            lex->p += 2;
        else
            break;
    }
    lex->tok.len = (size_t)(lex->p - start);
}

bool lex_is(const struct lexer *lex, char punct)
{
    return lex->tok.kind == LEX_PUNCT && lex->tok.punct == punct;
}

bool lex_is_word(const struct lexer *lex, enum lex_kind kind, const char *word)
{
    return lex->tok.kind == kind && lex->tok.len == strlen(word) &&
           !memcmp(lex->tok.at, word, lex->tok.len);
}

bool lex_accept(struct lexer *lex, char punct)
{
    if (!lex_is(lex, punct))
        return false;
    lex_next(lex);
    return true;
}

int lex_expect(struct lexer *lex, char punct)
{
    if (lex_accept(lex, punct))
        return 0;
    if (lex->tok.kind == LEX_EOF)
        return lex_fail(lex, ERR_INVALID, "'%c' expected, but the text ends", punct);
    int n = lex->tok.len > 40 ? 40 : (int)lex->tok.len;
    return lex_fail(lex, ERR_INVALID, "'%c' expected before '%.*s'", punct, n, lex->tok.at);
}

void lex_init(struct lexer *lex, const char *text, size_t n, struct err *err)
{
    *lex = (struct lexer){.p = text, .end = text + n, .line = 1, .err = err};
    lex_next(lex);
}
