/* SPDX-License-Identifier: MIT */
#include "agent/reply_parts.h"
#include "base/buf.h"
#include "base/util.h"

#include <ctype.h>
#include <string.h>

static const char *settle(struct buf *out, struct arena *arena, size_t *ret_len)
{
    *ret_len = out->len;
    return arena_strndup(arena, out->len ? out->at : "", out->len);
}

const char *reply_mend_text(const char *text, size_t len, struct reply_notes *notes, size_t *ret_len)
{
    auto_buf struct buf out;
    buf_init(&out, REPLY_MAX + 1);
    size_t i = 0;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        reply_note(notes, "a byte order mark was dropped");
        i = 3;
    }
    while (i < len) {
        size_t plain = 0;
        while (i + plain < len && (unsigned char)text[i + plain] < 0x80 && text[i + plain] != '\r') {
            plain++;
        }
        buf_add(&out, text + i, plain);
        i += plain;
        if (i == len) {
            break;
        }
        size_t n = utf8_len(text + i, len - i);
        if (n == 0) {
            reply_note(notes, "bytes that are no UTF-8 became \"?\"");
            buf_add(&out, "?", 1);
            i++;
        } else if (text[i] == '\r') {
            reply_note(notes, "Windows line ends became plain ones");
            buf_add(&out, "\n", 1);
            i += i + 1 < len && text[i + 1] == '\n' ? 2 : 1;
        } else {
            buf_add(&out, text + i, n);
            i += n;
        }
    }
    return settle(&out, notes->arena, ret_len);
}

static const struct {
    const char *name, *text;
} entities[] = { { "&lt;", "<" },    { "&gt;", ">" },   { "&amp;", "&" }, { "&quot;", "\"" },
                 { "&#39;", "'" },   { "&#34;", "\"" }, { "&apos;", "'" } };

/* The index of the entity that begins here, or -1. */
static int entity_at(const char *at)
{
    for (size_t i = 0; i < ARRAY_LEN(entities); i++) {
        if (str_prefix(at, entities[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

const char *reply_mend_entities(const char *text, size_t len, struct reply_notes *notes,
                                size_t *ret_len)
{
    *ret_len = len;
    bool found = false;
    for (size_t i = 0; i < len; i++) {
        bool entity = text[i] == '&' && entity_at(text + i) >= 0;
        if (text[i] == '<' || text[i] == '>' || (text[i] == '&' && !entity)) {
            return text; /* written plainly at least in part: leave it all as it is */
        }
        found = found || entity;
    }
    if (!found) {
        return text;
    }
    auto_buf struct buf out;
    buf_init(&out, REPLY_MAX + 1);
    for (size_t i = 0; i < len;) {
        int entity = text[i] == '&' ? entity_at(text + i) : -1;
        if (entity >= 0) {
            buf_puts(&out, entities[entity].text);
            i += strlen(entities[entity].name);
        } else {
            buf_add(&out, text + i++, 1);
        }
    }
    reply_note(notes, "entities like &lt; were taken for the characters they stand for");
    return settle(&out, notes->arena, ret_len);
}

/* What was mended in a plan, a bit each, with the note for it. */
#define MENDED_LIST(X)                                                                             \
    X(COMMENTS, "comments in the plan were dropped")                                               \
    X(COMMAS, "trailing commas in the plan were dropped")                                          \
    X(QUOTES, "typographic or single quotes in the plan became plain ones")                        \
    X(SPACES, "unusual spaces in the plan became plain ones")                                      \
    X(WORDS, "bare words in the plan were put in quotes")                                          \
    X(LITERALS, "True, False or None in the plan became JSON's")
enum {
#define X(name, text) MENDED_##name,
    MENDED_LIST(X)
#undef X
};

struct mender {
    const char *s;
    size_t len, i;
    struct buf *out;
    unsigned mended;
    bool doubt;
};

enum quote { QUOTE_NONE, QUOTE_DOUBLE, QUOTE_SINGLE, QUOTE_APOSTROPHE };

/* Typographic quotes are U+2018..U+201F; *ret_n is the length in bytes. */
static enum quote quote_at(const struct mender *m, size_t i, size_t *ret_n)
{
    const unsigned char *at = (const unsigned char *)m->s + i;
    *ret_n = 1;
    if (*at == '\'') {
        return QUOTE_APOSTROPHE;
    }
    if (i + 2 >= m->len || at[0] != 0xe2 || at[1] != 0x80 || at[2] < 0x98 || at[2] > 0x9f) {
        return QUOTE_NONE;
    }
    *ret_n = 3;
    return at[2] < 0x9c ? QUOTE_SINGLE : QUOTE_DOUBLE;
}

static size_t space_at(const struct mender *m, size_t i)
{
    static const char *const spaces[] = { "\xc2\xa0", "\xe2\x80\x89", "\xe2\x80\xaf",
                                          "\xe2\x80\x8b", "\xef\xbb\xbf", "\xe3\x80\x80" };
    for (size_t k = 0; k < ARRAY_LEN(spaces); k++) {
        if (str_prefix(m->s + i, spaces[k])) {
            return strlen(spaces[k]);
        }
    }
    return 0;
}

static size_t comment_at(struct mender *m, size_t i)
{
    if (str_prefix(m->s + i, "//")) {
        return strcspn(m->s + i, "\n");
    }
    if (!str_prefix(m->s + i, "/*")) {
        return 0;
    }
    for (size_t end = i + 2; end + 1 < m->len; end++) {
        if (m->s[end] == '*' && m->s[end + 1] == '/') {
            return end + 2 - i;
        }
    }
    m->doubt = true;
    return m->len - i;
}

/* The next character that isn't space or comment; 0 at the end. */
static char next_mark(struct mender *m, size_t i)
{
    while (i < m->len) {
        size_t n = isspace((unsigned char)m->s[i]) ? 1 : space_at(m, i);
        n = n ? n : comment_at(m, i);
        if (!n) {
            return m->s[i];
        }
        i += n;
    }
    return '\0';
}

static void copy_string(struct mender *m)
{
    size_t start = m->i++;
    while (m->i < m->len && m->s[m->i] != '"') {
        m->doubt = m->doubt || m->s[m->i] == '\n';
        m->i += m->s[m->i] == '\\' && m->i + 1 < m->len ? 2 : 1;
    }
    m->doubt = m->doubt || m->i >= m->len;
    m->i = MIN(m->i + 1, m->len);
    buf_add(m->out, m->s + start, m->i - start);
}

/* Ends at the next quote of its kind; anything inside that might be another end is doubt. */
static void mend_quoted(struct mender *m, enum quote kind, size_t n)
{
    size_t start = m->i += n;
    while (m->i < m->len && quote_at(m, m->i, &n) != kind) {
        m->doubt = m->doubt || strchr("\"\n\\", m->s[m->i]) || quote_at(m, m->i, &n) != QUOTE_NONE;
        m->i++;
    }
    m->doubt = m->doubt || m->i >= m->len;
    buf_add(m->out, "\"", 1);
    buf_add(m->out, m->s + start, m->i - start);
    buf_add(m->out, "\"", 1);
    m->i = MIN(m->i + n, m->len);
    m->mended |= 1u << MENDED_QUOTES;
}

static void mend_word(struct mender *m)
{
    static const char *const literals[][2] = { { "true", "true" },   { "false", "false" },
                                               { "null", "null" },   { "True", "true" },
                                               { "False", "false" }, { "None", "null" } };
    size_t start = m->i;
    while (m->i < m->len && (isalnum((unsigned char)m->s[m->i]) || m->s[m->i] == '_')) {
        m->i++;
    }
    char word[64] = "";
    size_t n = m->i - start;
    memcpy(word, m->s + start, MIN(n, sizeof(word) - 1));
    for (size_t k = 0; k < ARRAY_LEN(literals); k++) {
        if (n < sizeof(word) && str_eq(word, literals[k][0])) {
            buf_puts(m->out, literals[k][1]);
            m->mended |= k < 3 ? 0 : 1u << MENDED_LITERALS;
            return;
        }
    }
    char next = next_mark(m, m->i);
    m->doubt = m->doubt || !next || !strchr(":,]}", next);
    buf_add(m->out, "\"", 1);
    buf_add(m->out, m->s + start, n);
    buf_add(m->out, "\"", 1);
    m->mended |= 1u << MENDED_WORDS;
}

static void mend_one(struct mender *m)
{
    char c = m->s[m->i];
    size_t n = 0;
    enum quote kind;
    if (c == '"') {
        copy_string(m);
    } else if ((n = comment_at(m, m->i))) {
        buf_add(m->out, " ", 1);
        m->i += n;
        m->mended |= 1u << MENDED_COMMENTS;
    } else if ((n = space_at(m, m->i))) {
        buf_add(m->out, " ", 1);
        m->i += n;
        m->mended |= 1u << MENDED_SPACES;
    } else if ((kind = quote_at(m, m->i, &n)) != QUOTE_NONE) {
        mend_quoted(m, kind, n);
    } else if (c == ',' && next_mark(m, m->i + 1) && strchr("]}", next_mark(m, m->i + 1))) {
        m->i++;
        m->mended |= 1u << MENDED_COMMAS;
    } else if (isdigit((unsigned char)c)) {
        while (m->i < m->len && (isalnum((unsigned char)m->s[m->i]) || strchr(".+-", m->s[m->i]))) {
            buf_add(m->out, m->s + m->i++, 1);
        }
    } else if (isalpha((unsigned char)c) || c == '_') {
        mend_word(m);
    } else {
        buf_add(m->out, m->s + m->i++, 1);
    }
}

const char *reply_mend_json(const char *text, size_t len, struct reply_notes *notes, size_t *ret_len)
{
    static const char *const said[] = {
#define X(name, note) note,
        MENDED_LIST(X)
#undef X
    };
    auto_buf struct buf out;
    buf_init(&out, 2 * REPLY_MAX);
    struct mender m = { .s = text, .len = len, .out = &out };
    while (m.i < m.len && !m.doubt) {
        mend_one(&m);
    }
    if (m.doubt || out.failed || !m.mended) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        if (m.mended & (1u << i)) {
            reply_note(notes, "%s", said[i]);
        }
    }
    return settle(&out, notes->arena, ret_len);
}
