/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/scan.h"
#include "base/util.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The source with joined lines and without comments; `line` holds each character's line. */
struct plain {
    char *at;
    unsigned *line;
    size_t len;
};

static size_t splice(const char *text, size_t len, size_t i)
{
    if (text[i] != '\\' || i + 1 >= len) {
        return 0;
    }
    size_t j = i + 1;
    while (j < len && (text[j] == ' ' || text[j] == '\t' || text[j] == '\r')) {
        j++;
    }
    return j < len && text[j] == '\n' ? j + 1 - i : 0;
}

static void plain_join(const char *text, size_t len, struct plain *ret)
{
    *ret = (struct plain) { .at = xcalloc(len + 1, 1), .line = xcalloc(len + 1, sizeof(unsigned)) };
    unsigned line = 1;
    for (size_t i = 0; i < len;) {
        size_t skip = splice(text, len, i);
        if (skip) {
            i += skip;
            line++;
            continue;
        }
        ret->at[ret->len] = text[i] ? text[i] : ' ';
        ret->line[ret->len++] = line;
        line += text[i] == '\n';
        i++;
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Where the word (identifier or number) that ends before i begins. */
static size_t word_start(const char *s, size_t i)
{
    while (i > 0 && (is_word(s[i - 1]) || s[i - 1] == '\'')) {
        i--;
    }
    return i;
}

/* R"mark( anything )mark" */
static size_t raw_literal(const char *s, size_t len, size_t i)
{
    char end[20] = ")";
    size_t n = 0;
    while (n < 16 && s[i + 1 + n] && !strchr("( )\\\n", s[i + 1 + n])) {
        n++;
    }
    if (s[i + 1 + n] != '(') {
        return 0;
    }
    memcpy(end + 1, s + i + 1, n);
    end[n + 1] = '"';
    const char *hit = strstr(s + i, end);
    return hit ? (size_t)(hit - s) + n + 2 - i : len - i;
}

/* Length of the string or character literal that starts at i, or 0. */
static size_t literal(const char *s, size_t len, size_t i)
{
    char quote = s[i];
    if (quote != '"' && quote != '\'') {
        return 0;
    }
    size_t word = word_start(s, i);
    if (quote == '\'' && word < i && isdigit((unsigned char)s[word])) {
        return 0; /* between digits it separates them: 1'000 */
    }
    if (quote == '"' && word < i && s[i - 1] == 'R' && i - word <= 3) {
        size_t n = raw_literal(s, len, i);
        if (n) {
            return n;
        }
    }
    size_t j = i + 1;
    while (j < len && s[j] != quote && s[j] != '\n') {
        j += s[j] == '\\' && j + 1 < len ? 2 : 1;
    }
    return j < len ? j + 1 - i : len - i;
}

static void plain_strip_comments(struct plain *p)
{
    for (size_t i = 0; i < p->len;) {
        size_t n = literal(p->at, p->len, i);
        if (n) {
            i += n;
        } else if (str_prefix(p->at + i, "//")) {
            while (i < p->len && p->at[i] != '\n') {
                p->at[i++] = ' ';
            }
        } else if (str_prefix(p->at + i, "/*")) {
            const char *end = strstr(p->at + i + 2, "*/");
            size_t stop = end ? (size_t)(end - p->at) + 2 : p->len;
            /* A comment that spans lines is one space: what follows it stays on its first line. */
            memset(p->at + i, ' ', stop - i);
            i = stop;
        } else {
            i++;
        }
    }
}

static size_t blanks(const char *s, size_t i)
{
    while (s[i] == ' ' || s[i] == '\t' || s[i] == '\f' || s[i] == '\v' || s[i] == '\r') {
        i++;
    }
    return i;
}

static bool path_is_plain(const char *path, size_t n)
{
    if (n == 0 || path[0] == '/' || path[0] == '~' || memchr(path, '\\', n)) {
        return false;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (path[i] == '.' && path[i + 1] == '.') {
            return false;
        }
    }
    return true;
}

static int check_operand(const char *s, size_t i, unsigned line, const char *directive,
                         struct err *err)
{
    char close = s[i] == '"' ? '"' : s[i] == '<' ? '>' : '\0';
    size_t n = 0;
    if (!close) {
        return err_set(err, ERR_INVALID,
                       "kernel.cu(%u): error: #%s needs a file name in quotes or angle brackets; "
                       "names made by macros are refused", line, directive);
    }
    while (s[i + 1 + n] && s[i + 1 + n] != close && s[i + 1 + n] != '\n') {
        n++;
    }
    if (!path_is_plain(s + i + 1, n)) {
        return err_set(err, ERR_INVALID,
                       "kernel.cu(%u): error: #%s of \"%.*s\" is refused: only headers of the CUDA "
                       "include folder can be included", line, directive, (int)MIN(n, 80),
                       s + i + 1);
    }
    return 0;
}

static int check_directive(const char *s, size_t i, unsigned line, struct err *err)
{
    static const char *const loading[] = { "include_next", "include", "import", "embed" };
    i = blanks(s, i);
    for (size_t k = 0; k < ARRAY_LEN(loading); k++) {
        size_t n = strlen(loading[k]);
        if (strncmp(s + i, loading[k], n) == 0 && !isalnum((unsigned char)s[i + n])
            && s[i + n] != '_') {
            return check_operand(s, blanks(s, i + n), line, loading[k], err);
        }
    }
    return 0;
}

static int check_text(const struct plain *p, struct err *err)
{
    bool line_start = true;
    for (size_t i = 0; i < p->len;) {
        i = blanks(p->at, i);
        if (i >= p->len) {
            break;
        }
        size_t mark = p->at[i] == '#' ? 1
            : str_prefix(p->at + i, "%:") ? 2
            : str_prefix(p->at + i, "?\?=") ? 3 : 0;
        if (line_start && mark) {
            int r = check_directive(p->at, i + mark, p->line[i], err);
            if (r < 0) {
                return r;
            }
        }
        line_start = p->at[i] == '\n';
        i++;
    }
    return 0;
}

/* Assembler text may hold directives of its own. */
static int check_literals(const struct plain *p, struct err *err)
{
    static const char *const bad[] = { "incbin", "#include", "# include", ".include" };
    for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
        for (const char *at = strstr(p->at, bad[k]); at; at = strstr(at + 1, bad[k])) {
            size_t i = (size_t)(at - p->at), start = i;
            while (start > 0 && p->at[start - 1] != '\n') {
                start--;
            }
            if (bad[k][0] == '#' && blanks(p->at, start) == i) {
                continue; /* an honest directive, judged above */
            }
            return err_set(err, ERR_INVALID,
                           "kernel.cu(%u): error: \"%s\" inside a line is refused", p->line[i],
                           bad[k]);
        }
    }
    return 0;
}

int scan_source(const char *text, size_t len, struct err *err)
{
    struct plain p;
    plain_join(text, len, &p);
    /* Once as it stands, so that nothing hides in what only looks like a comment. */
    int r = check_text(&p, err);
    plain_strip_comments(&p);
    if (r == 0) {
        r = check_text(&p, err);
    }
    if (r == 0) {
        r = check_literals(&p, err);
    }
    free(p.at);
    free(p.line);
    return r;
}
