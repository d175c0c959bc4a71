/* SPDX-License-Identifier: MIT */
#include "agent/mtext.h"
#include "base/util.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MUTANTS_FIRST = 256, MUTATE_DEPTH = 128 };

static size_t skip_comment(const char *s, size_t i)
{
    if (s[i] == '/' && s[i + 1] == '/') {
        return i + strcspn(s + i, "\n");
    }
    if (s[i] == '/' && s[i + 1] == '*') {
        const char *end = strstr(s + i + 2, "*/");
        return end ? (size_t)(end - s) + 2 : strlen(s);
    }
    return i;
}

/* The end of a directive's line, with what a backslash continues. */
static size_t skip_directive(const char *s, size_t i)
{
    while (s[i] && s[i] != '\n') {
        i += s[i] == '\\' && s[i + 1] ? 2 : 1;
    }
    return i;
}

static size_t string_end(const char *s, size_t i)
{
    char quote = s[i++];
    while (s[i] && s[i] != quote && s[i] != '\n') {
        i += s[i] == '\\' && s[i + 1] ? 2 : 1;
    }
    return s[i] == quote ? i + 1 : i;
}

static size_t number_end(const char *s, size_t i)
{
    bool hex = s[i] == '0' && (s[i + 1] == 'x' || s[i + 1] == 'X');
    while (isalnum((unsigned char)s[i]) || s[i] == '.'
           || (!hex && (s[i] == '+' || s[i] == '-') && (s[i - 1] == 'e' || s[i - 1] == 'E'))) {
        i++;
    }
    return i;
}

static size_t sign_len(const char *s)
{
    static const char *const signs[] = { "<<=", ">>=", "...", "->*", "<<", ">>", "<=", ">=", "==",
                                         "!=", "&&", "||", "+=", "-=", "*=", "/=", "%=", "&=",
                                         "|=", "^=", "++", "--", "->", "::" };
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (str_prefix(s, signs[i])) {
            return strlen(signs[i]);
        }
    }
    return 1;
}

static struct mtoken next_token(const char *s, size_t i)
{
    struct mtoken token = { .at = i };
    if (isalpha((unsigned char)s[i]) || s[i] == '_') {
        size_t end = i;
        while (isalnum((unsigned char)s[end]) || s[end] == '_') {
            end++;
        }
        token.len = end - i;
    } else if (isdigit((unsigned char)s[i])
               || (s[i] == '.' && isdigit((unsigned char)s[i + 1]))) {
        token.kind = MUTATE_KIND_NUMBER;
        token.len = number_end(s, i) - i;
    } else if (s[i] == '"' || s[i] == '\'') {
        token.kind = MUTATE_KIND_STRING;
        token.len = string_end(s, i) - i;
    } else {
        token.kind = MUTATE_KIND_SIGN;
        token.len = sign_len(s + i);
    }
    return token;
}

static void add(struct mtext *t, struct mtoken token, size_t *room)
{
    if (t->n + 1 >= *room) {
        *room *= 2;
        t->tokens = xrealloc(t->tokens, *room, sizeof(*t->tokens));
    }
    token.mate = t->n;
    t->tokens[t->n++] = token;
}

static void match_brackets(struct mtext *t)
{
    size_t open[MUTATE_DEPTH], depth = 0;
    for (size_t i = 0; i < t->n; i++) {
        char c = t->source[t->tokens[i].at];
        if (t->tokens[i].kind != MUTATE_KIND_SIGN || t->tokens[i].len != 1) {
            continue;
        }
        if (strchr("([{", c)) {
            open[depth < MUTATE_DEPTH ? depth : MUTATE_DEPTH - 1] = i;
            depth += depth < MUTATE_DEPTH;
        } else if (strchr(")]}", c) && depth) {
            t->tokens[i].mate = open[--depth];
            t->tokens[t->tokens[i].mate].mate = i;
        }
    }
}

/* The body of "#define NAME body" is read on as tokens; other directives are skipped whole. */
static size_t directive(const char *s, size_t i, size_t *ret_macro_end)
{
    size_t end = skip_directive(s, i), at = i + 1 + strspn(s + i + 1, " \t");
    if (!str_prefix(s + at, "define ")) {
        return end;
    }
    at += 7 + strspn(s + at + 7, " ");
    while (isalnum((unsigned char)s[at]) || s[at] == '_') {
        at++;
    }
    *ret_macro_end = s[at] == '(' ? 0 : end; /* a macro with parameters is left alone */
    return s[at] == '(' ? end : at;
}

void mtext_read(struct mtext *t, const char *source, struct mutants *to)
{
    size_t room = 1024, macro_end = 0, counted = 0;
    int line = 1;
    *t = (struct mtext) { .source = source, .to = to, .tokens = xcalloc(room, sizeof(*t->tokens)) };
    for (size_t i = 0; source[i];) {
        size_t after = skip_comment(source, i);
        if (after != i || isspace((unsigned char)source[i])) {
            i = after != i ? after : i + 1;
            continue;
        }
        if (source[i] == '#') {
            i = directive(source, i, &macro_end);
            continue;
        }
        if (source[i] == '\\') {
            i++;
            continue;
        }
        struct mtoken token = next_token(source, i);
        for (; counted < i; counted++) {
            line += source[counted] == '\n';
        }
        token.line = line;
        token.macro = i < macro_end;
        add(t, token, &room);
        i += token.len;
    }
    t->tokens[t->n] = (struct mtoken) { .at = strlen(source), .kind = MUTATE_KIND_SIGN };
    match_brackets(t);
}

bool mtext_is(const struct mtext *t, size_t i, const char *text)
{
    return i < t->n && strlen(text) == t->tokens[i].len
        && memcmp(t->source + t->tokens[i].at, text, t->tokens[i].len) == 0;
}

bool mtext_among(const struct mtext *t, size_t i, const char *words)
{
    if (i >= t->n) {
        return false;
    }
    const char *word = t->source + t->tokens[i].at;
    size_t len = t->tokens[i].len;
    while (*words) {
        size_t n = strcspn(words, " ");
        if (n == len && memcmp(words, word, n) == 0) {
            return true;
        }
        words += n;
        words += *words == ' ';
    }
    return false;
}

size_t mtext_statement(const struct mtext *t, size_t i)
{
    while (i > 0) {
        if (mtext_among(t, i - 1, "; { } else do") || t->tokens[i - 1].macro != t->tokens[i].macro) {
            return i;
        }
        if (mtext_is(t, i - 1, ")")) {
            size_t open = t->tokens[i - 1].mate;
            if (open > 0 && mtext_among(t, open - 1, "if for while")) {
                return i;
            }
        }
        if (mtext_is(t, i - 1, "(") && i >= 2 && mtext_is(t, i - 2, "for")) {
            return i;
        }
        i--;
    }
    return i;
}

bool mtext_declares(const struct mtext *t, size_t start)
{
    size_t i = start;
    while (mtext_among(t, i, "const static __shared__ extern __device__ volatile unsigned signed "
                             "constexpr register __constant__")) {
        i++;
    }
    if (i > start && i < t->n && t->tokens[i].kind == MUTATE_KIND_NAME) {
        return true;
    }
    return i + 1 < t->n && t->tokens[i].kind == MUTATE_KIND_NAME
        && !mtext_among(t, i, "return goto case else")
        && (t->tokens[i + 1].kind == MUTATE_KIND_NAME
            || (mtext_among(t, i + 1, "* &") && mtext_among(t, i, "float int pack double float4 uint4 "
                "bool char __nv_bfloat16 __half f16 bf16")));
}

size_t mtext_operand_end(const struct mtext *t, size_t i)
{
    if (mtext_is(t, i, "(")) {
        i = t->tokens[i].mate;
    }
    while (i + 1 < t->n) {
        if (mtext_among(t, i + 1, "( [") && t->tokens[i + 1].mate > i) {
            i = t->tokens[i + 1].mate;
        } else if (mtext_among(t, i + 1, ". ->")) {
            i += 2;
        } else {
            break;
        }
    }
    return i;
}

bool mtext_binary(const struct mtext *t, size_t i)
{
    if (i == 0 || i + 1 >= t->n) {
        return false;
    }
    const struct mtoken *before = &t->tokens[i - 1];
    bool left = before->kind == MUTATE_KIND_NUMBER
        || (before->kind == MUTATE_KIND_NAME
            && !mtext_among(t, i - 1, "return float int unsigned const pack double char float4 uint4 "
                            "void bool short long __nv_bfloat16 __half f16 bf16 case operator"))
        || mtext_among(t, i - 1, ") ]");
    return left && (t->tokens[i + 1].kind != MUTATE_KIND_SIGN || mtext_among(t, i + 1, "( - * & !"));
}

size_t mtext_expression_end(const struct mtext *t, size_t i)
{
    for (size_t k = i; k < t->n; k++) {
        if (mtext_among(t, k, "( [ {") && t->tokens[k].mate > k) {
            k = t->tokens[k].mate;
        } else if (mtext_among(t, k, ", ; ) ] }")) {
            return k > i ? k - 1 : i;
        }
    }
    return t->n ? t->n - 1 : 0;
}

/* One line of text for people: white space squeezed. */
static void describe(char *ret, size_t size, const char *was, size_t was_len, const char *now)
{
    size_t n = 0;
    bool space = false;
    const char *parts[] = { was, " -> ", now };
    size_t lens[] = { MIN(was_len, size / 3), 4, MIN(strlen(now), size / 2) };
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        for (size_t i = 0; i < lens[p] && n + 2 < size; i++) {
            bool blank = isspace((unsigned char)parts[p][i]);
            if (blank && space) {
                continue;
            }
            ret[n++] = blank ? ' ' : parts[p][i];
            space = blank;
        }
    }
    ret[n] = '\0';
}

static struct mutant *room_for(struct mutants *to)
{
    if (to->n == to->room) {
        size_t room = to->room ? 2 * to->room : MUTANTS_FIRST;
        struct mutant *more = arena_alloc(to->arena, room, sizeof(*more));
        if (to->n) {
            memcpy(more, to->at, to->n * sizeof(*more));
        }
        to->at = more;
        to->room = room;
    }
    return &to->at[to->n++];
}

void mtext_note(struct mtext *t, enum mutate_class kind, size_t from, size_t to, const char *format)
{
    if (from > to || to >= t->n) { /* text that breaks off in the middle */
        return;
    }
    const struct mtoken *first = &t->tokens[from], *last = &t->tokens[to];
    size_t len = last->at + last->len - first->at;
    auto_free char *was = strndup(t->source + first->at, len);
    const char *mark = strstr(format, "%s");
    auto_free char *with = mark
        ? xprintf("%.*s%s%s", (int)(mark - format), format, was, mark + 2) : xstrdup(format);
    struct mutant *m = room_for(t->to);
    *m = (struct mutant) { .kind = kind, .at = first->at, .len = len, .line = first->line,
                           .with = arena_strdup(t->to->arena, with) };
    describe(m->what, sizeof(m->what), was, len, with);
}
