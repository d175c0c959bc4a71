/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/refuse.h"
#include "base/util.h"
#include "evaluator/worker/refuse_rules.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTERNS_MAX = 64, FILES_MAX = 64 };

struct word {
    const char *at;
    size_t len;
};

struct reader {
    const char *at, *end;
    unsigned line;
    size_t depth, parens;      /* of braces; of parentheses in the statement */
    struct word first, name;   /* of the statement: its first word; what it declares */
    bool is_extern, is_function, is_entry, is_shared;
    char where[REFUSE_NAME_MAX];
    bool in_entry;
    struct { char name[REFUSE_NAME_MAX]; const struct refuse_rule *rule; } externs[EXTERNS_MAX];
    size_t n_externs;
    unsigned file, source_line; /* of the last .loc */
    unsigned numbers[2];        /* of a .file or .loc statement */
    size_t n_numbers;
    unsigned files[FILES_MAX];  /* indices that mean kernel.cu */
    size_t n_files;
    struct refuse_finding *found;
    unsigned *found_file;
    size_t n;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '%' || c == '.';
}

static bool word_is(struct word w, const char *text)
{
    return strlen(text) == w.len && memcmp(w.at, text, w.len) == 0;
}

static bool matches(struct word w, const char *pattern)
{
    size_t n = strlen(pattern);
    if (n && pattern[n - 1] == '*') {
        return w.len >= n - 1 && memcmp(w.at, pattern, n - 1) == 0;
    }
    return word_is(w, pattern);
}

static void copy(char *to, struct word w)
{
    size_t n = MIN(w.len, (size_t)REFUSE_NAME_MAX - 1);
    for (size_t i = 0; i < n; i++) {
        to[i] = w.at[i] >= 0x20 && w.at[i] < 0x7f ? w.at[i] : '?';
    }
    to[n] = '\0';
}

/* A slot for one more: a free one, or a remark's if a refusal has to be told. */
static struct refuse_finding *slot(struct reader *r, enum refuse_level level)
{
    if (r->n < REFUSE_FINDINGS_MAX) {
        return &r->found[r->n++];
    }
    for (size_t i = r->n; i-- > 0;) {
        if (level != REFUSE_LEVEL_REMARK && r->found[i].level == REFUSE_LEVEL_REMARK) {
            return &r->found[i];
        }
    }
    return NULL;
}

static void find(struct reader *r, const struct refuse_rule *rule, struct word text)
{
    for (size_t i = 0; i < r->n; i++) {
        if (str_eq(r->found[i].rule, rule->name) && str_eq(r->found[i].where, r->where)) {
            return;
        }
    }
    struct refuse_finding *f = slot(r, rule->level);
    if (!f && rule->level == REFUSE_LEVEL_REMARK) {
        return;
    }
    if (!f) { /* one that isn't told could be the one that counts */
        f = &r->found[r->n - 1];
        rule = &refuse_crowded;
    }
    *f = (struct refuse_finding) { .rule = rule->name, .reason = rule->reason,
                                   .level = rule->level, .line = r->line,
                                   .entry = r->in_entry,
                                   .source_line = r->depth ? r->source_line : 0 };
    copy(f->where, (struct word) { r->where, strlen(r->where) });
    copy(f->text, text);
    r->found_file[f - r->found] = r->file;
}

static void find_text(struct reader *r, const char *name, struct word text)
{
    for (size_t i = 0; refuse_rules[i].name; i++) {
        if (refuse_rules[i].place == PLACE_TEXT && str_eq(refuse_rules[i].name, name)) {
            find(r, &refuse_rules[i], text);
            return;
        }
    }
}

/* As ptxas reads them: they don't nest, and one to the end of its line ends at '\n' alone. */
static void skip_comment(struct reader *r)
{
    bool whole_line = r->at[1] == '/';
    for (r->at += 2; r->at < r->end; r->at++) {
        if (*r->at == '\\') {
            find_text(r, "unreadable", (struct word) { r->at, 1 });
        }
        if (whole_line && *r->at == '\n') {
            return;
        }
        r->line += *r->at == '\n';
        if (!whole_line && r->at[0] == '*' && r->end - r->at > 1 && r->at[1] == '/') {
            r->at += 2;
            return;
        }
    }
}

static void skip(struct reader *r)
{
    while (r->at < r->end) {
        bool pair = r->end - r->at > 1 && *r->at == '/';
        if (isspace((unsigned char)*r->at)) {
            r->line += *r->at == '\n';
            r->at++;
        } else if (pair && (r->at[1] == '/' || r->at[1] == '*')) {
            skip_comment(r);
        } else {
            return;
        }
    }
}

/* ptxas knows no escapes: a string ends at the next quote. */
static struct word string(struct reader *r)
{
    const char *start = ++r->at;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\' || *r->at == '\n') {
            find_text(r, "unreadable", (struct word) { r->at, 1 });
        }
        r->line += *r->at == '\n';
        r->at++;
    }
    struct word w = { start, (size_t)(r->at - start) };
    r->at += r->at < r->end;
    return w;
}

/* Dots and double colons belong to a word: st.global.L2::evict_last. */
static struct word word(struct reader *r)
{
    const char *start = r->at;
    while (r->at < r->end) {
        bool colons = *r->at == ':' && r->end - r->at > 2 && r->at[1] == ':' && r->at > start
            && is_word(r->at[2]);
        if (!colons && !is_word(*r->at)) {
            break;
        }
        r->at += colons ? 2 : 1;
    }
    return (struct word) { start, (size_t)(r->at - start) };
}

static struct word head_of(struct word w)
{
    const char *dot = memchr(w.at, '.', w.len);
    return (struct word) { w.at, dot ? (size_t)(dot - w.at) : w.len };
}

static bool has_part(struct word w, const char *pattern)
{
    const char *at = w.at, *end = w.at + w.len;
    while (at < end) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        struct word part = { at, (size_t)((dot ? dot : end) - at) };
        if (at > w.at && matches(part, pattern)) {
            return true;
        }
        at = dot ? dot + 1 : end;
    }
    return false;
}

/* Instructions are looked for anywhere: what may stand before one on its line is ptxas's to say. */
static void judge_word(struct reader *r, struct word w)
{
    for (size_t i = 0; refuse_rules[i].name; i++) {
        const struct refuse_rule *rule = &refuse_rules[i];
        if ((rule->place == PLACE_OPCODE && matches(head_of(w), rule->pattern))
            || (rule->place == PLACE_PART && has_part(w, rule->pattern))
            || (rule->place == PLACE_REGISTER && w.at[0] == '%' && matches(w, rule->pattern))) {
            find(r, rule, w);
            return;
        }
    }
    for (size_t i = 0; r->depth && i < r->n_externs; i++) {
        if (word_is(w, r->externs[i].name)) {
            find(r, r->externs[i].rule, w);
        }
    }
}

static void note_extern(struct reader *r)
{
    if (r->n_externs == EXTERNS_MAX || r->name.len == 0 || r->name.len >= REFUSE_NAME_MAX) {
        find_text(r, "unresolved", r->name); /* more than any honest kernel declares */
        return;
    }
    for (size_t i = 0; refuse_rules[i].name; i++) {
        if (refuse_rules[i].place == PLACE_EXTERN && matches(r->name, refuse_rules[i].pattern)) {
            copy(r->externs[r->n_externs].name, r->name);
            r->externs[r->n_externs++].rule = &refuse_rules[i];
            return;
        }
    }
}

static void end_statement(struct reader *r)
{
    if (word_is(r->first, ".loc") && r->n_numbers >= 2) {
        r->file = r->numbers[0];
        r->source_line = r->numbers[1];
    }
    if (r->is_extern && r->is_function) {
        note_extern(r);
    } else if (r->is_extern && !r->is_shared) {
        find_text(r, "unresolved", r->name);
    }
    r->first = r->name = (struct word) { "", 0 };
    r->is_extern = r->is_function = r->is_entry = r->is_shared = false;
    r->parens = r->n_numbers = 0;
}

/* Words outside of functions: which function begins, what is declared from elsewhere. */
static void declare(struct reader *r, struct word w)
{
    r->is_extern = r->is_extern || word_is(w, ".extern");
    r->is_shared = r->is_shared || word_is(w, ".shared");
    r->is_function = r->is_function || word_is(w, ".func") || word_is(w, ".entry");
    r->is_entry = r->is_entry || word_is(w, ".entry");
    if (w.at[0] != '.' && r->parens == 0 && !isdigit((unsigned char)w.at[0])
        && (r->name.len == 0 || !r->is_function)) {
        r->name = w;
    }
}

static void take_word(struct reader *r)
{
    struct word w = word(r);
    if (r->first.len == 0) {
        r->first = w;
    }
    if (isdigit((unsigned char)w.at[0]) && r->n_numbers < ARRAY_LEN(r->numbers)) {
        r->numbers[r->n_numbers++] = (unsigned)strtoul(w.at, NULL, 10);
    }
    judge_word(r, w);
    if (r->depth == 0) {
        declare(r, w);
    }
}

static void take_string(struct reader *r)
{
    static const char ours[] = "kernel.cu";
    struct word w = string(r);
    bool here = w.len >= sizeof(ours) - 1
        && memcmp(w.at + w.len - (sizeof(ours) - 1), ours, sizeof(ours) - 1) == 0;
    if (word_is(r->first, ".file") && r->n_numbers && here && r->n_files < FILES_MAX) {
        r->files[r->n_files++] = r->numbers[0];
    }
}

static void take_mark(struct reader *r)
{
    char c = *r->at++;
    switch (c) {
    case '(':
        r->parens++;
        break;
    case ')':
        r->parens -= r->parens > 0;
        break;
    case ':': /* what stood before was a label */
        r->first = (struct word) { "", 0 };
        break;
    case '{':
        if (r->depth++ == 0) {
            copy(r->where, r->name);
            /* A name cut short couldn't be found in a plan: any kernel may be meant then. */
            r->in_entry = r->is_entry && r->name.len < REFUSE_NAME_MAX;
            r->is_extern = false;
        }
        end_statement(r);
        break;
    case '}':
        r->depth -= r->depth > 0;
        end_statement(r);
        if (r->depth == 0) {
            r->where[0] = '\0';
            r->in_entry = false;
        }
        break;
    case ';':
        end_statement(r);
        break;
    case '\\':
    case '#': /* "# 5 "file"" is a line's number to ptxas */
        find_text(r, "unreadable", (struct word) { r->at - 1, 1 });
        break;
    default:
        break;
    }
}

/* .loc and .file have no semicolon: what stands on the next line is another statement. */
static void end_at_line(struct reader *r, unsigned line)
{
    bool by_line = word_is(r->first, ".loc") || word_is(r->first, ".file")
        || word_is(r->first, ".version") || word_is(r->first, ".target")
        || word_is(r->first, ".address_size");
    if (by_line && r->line != line) {
        end_statement(r);
    }
}

size_t refuse_scan(const char *ptx, size_t len, struct refuse_finding *ret)
{
    unsigned files[REFUSE_FINDINGS_MAX] = { 0 };
    struct reader *r = xcalloc(1, sizeof(*r));
    *r = (struct reader) { .at = ptx, .end = ptx + len, .line = 1, .first = { "", 0 },
                           .name = { "", 0 }, .found = ret, .found_file = files };
    for (;;) {
        unsigned line = r->line;
        skip(r);
        end_at_line(r, line);
        if (r->at >= r->end) {
            break;
        }
        if (*r->at == '"') {
            take_string(r);
        } else if (is_word(*r->at)) {
            take_word(r);
        } else {
            take_mark(r);
        }
    }
    for (size_t i = 0; i < r->n; i++) { /* lines of other files say nothing to the reader */
        bool ours = false;
        for (size_t k = 0; k < r->n_files; k++) {
            ours = ours || r->files[k] == files[i];
        }
        ret[i].source_line = ours ? ret[i].source_line : 0;
    }
    size_t n = r->n;
    free(r);
    return n;
}

json_t *refuse_json(const struct refuse_finding *findings, size_t n)
{
    static const char *const levels[] = {
#define X(name, text) text,
        REFUSE_LEVEL_LIST(X)
#undef X
    };
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct refuse_finding *f = &findings[i];
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:s,s:i,s:i,s:s,s:b,s:s}", "rule", f->rule, "level",
                            levels[f->level], "reason", f->reason, "line", (int)f->line,
                            "source_line", (int)f->source_line, "where", f->where, "entry",
                            f->entry, "text", f->text));
    }
    return list;
}
