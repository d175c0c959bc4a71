/* SPDX-License-Identifier: MIT */
#include "agent/prompt_parts.h"
#include "base/util.h"

#include <string.h>

/* C1 controls; zero-width and direction marks: U+200B..200F, U+2028..202E, U+2060..206F, U+FEFF. */
static bool is_invisible(const char *s, size_t n)
{
    const unsigned char *b = (const unsigned char *)s;
    if (n == 2) {
        return b[0] == 0xc2 && b[1] < 0xa0;
    }
    if (n != 3) {
        return false;
    }
    bool marks = b[0] == 0xe2 && b[1] == 0x80 && ((b[2] >= 0x8b && b[2] <= 0x8f)
                                                  || (b[2] >= 0xa8 && b[2] <= 0xae));
    return marks || (b[0] == 0xe2 && b[1] == 0x81 && b[2] >= 0xa0 && b[2] <= 0xaf)
        || (b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf);
}

char *prompt_clean(struct arena *arena, const char *text, size_t len)
{
    char *out = arena_alloc(arena, len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        if ((c >= 0x20 && c < 0x7f) || c == '\n') { /* nearly all there is */
            out[n++] = text[i++];
            continue;
        }
        size_t step = utf8_len(text + i, len - i);
        if (step == 0) {
            out[n++] = '?';
        } else if (step == 1 ? c >= 0x20 ? c != 0x7f : c == '\n' || c == '\t'
                             : !is_invisible(text + i, step)) {
            memcpy(out + n, text + i, step);
            n += step;
        }
        i += step ? step : 1;
    }
    out[n] = '\0';
    return out;
}

char *prompt_line(struct arena *arena, const char *text, size_t most)
{
    char *out = prompt_clean(arena, text, strlen(text));
    size_t n = 0;
    for (char *c = out; *c; c++) {
        *c = *c == '\n' || *c == '\t' ? ' ' : *c;
    }
    if (strlen(out) <= most) {
        return out;
    }
    while (out[n]) {
        size_t step = utf8_len(out + n, strlen(out + n));
        if (n + step > most) {
            break;
        }
        n += step;
    }
    out[n] = '\0';
    return arena_printf(arena, "%s...", out);
}

static size_t count_lines(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n += text[i] == '\n';
    }
    return n;
}

/* Back to the end of a line, if one ends in the last half; else to the beginning of a character. */
static size_t head_end(const char *text, size_t at)
{
    for (size_t i = at; i > at / 2; i--) {
        if (text[i - 1] == '\n') {
            return i;
        }
    }
    while (at && ((unsigned char)text[at] & 0xc0) == 0x80) {
        at--;
    }
    return at;
}

static size_t tail_start(const char *text, size_t at, size_t len)
{
    for (size_t i = at; i < at + (len - at) / 2; i++) {
        if (text[i - 1] == '\n') {
            return i;
        }
    }
    while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80) {
        at++;
    }
    return at;
}

const char *prompt_cut(struct arena *arena, const char *text, size_t most)
{
    enum { MARK_ROOM = 80 };
    size_t len = strlen(text);
    if (len <= most) {
        return text;
    }
    size_t keep = most > MARK_ROOM ? most - MARK_ROOM : 0;
    size_t head = head_end(text, keep * 3 / 5);
    size_t tail = tail_start(text, MAX(len - keep * 2 / 5, head + 1), len);
    size_t left_out = tail - head;
    return arena_printf(arena, "%.*s%s[... %zu lines, %zu bytes left out here ...]\n%s", (int)head,
                        text, head && text[head - 1] != '\n' ? "\n" : "",
                        count_lines(text + head, left_out), left_out, text + tail);
}

void prompt_fence(struct buf *out, const char *tag, const char *text)
{
    size_t longest = 0, run = 0, len = strlen(text);
    for (const char *c = text; *c; c++) {
        run = *c == '`' ? run + 1 : 0;
        longest = MAX(longest, run);
    }
    char fence[64];
    size_t n = MAX(longest + 1, (size_t)3);
    if (n < sizeof(fence)) {
        memset(fence, '`', n);
        fence[n] = '\0';
        buf_printf(out, "%s%s\n", fence, tag);
        buf_add(out, text, len);
        buf_printf(out, "%s%s\n", len && text[len - 1] != '\n' ? "\n" : "", fence);
        return;
    }
    /* A run that long is no code: break it, so that the fence stays readable. */
    buf_printf(out, "```%s\n", tag);
    for (const char *c = text; *c; c++) {
        buf_add(out, *c == '`' ? "'" : c, 1);
    }
    buf_printf(out, "%s```\n", len && text[len - 1] != '\n' ? "\n" : "");
}

const char *prompt_join(struct arena *arena, const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    char *out = arena_alloc(arena, n + m + 2, 1);
    memcpy(out, a, n);
    out[n] = '\n';
    memcpy(out + n + 1, b, m);
    return out;
}

void prompt_divide(struct prompt_share *shares, size_t n, size_t bytes)
{
    size_t wanted = 0, left = bytes;
    for (size_t i = 0; i < n; i++) {
        wanted += shares[i].size;
        shares[i].most = 0;
    }
    /* Whoever wants no more than its part of what is left gets all it wants; the rest share. */
    for (bool again = true; again && wanted > bytes;) {
        size_t open = 0, room = left;
        again = false;
        for (size_t i = 0; i < n; i++) {
            open += shares[i].most ? 0 : shares[i].share;
        }
        for (size_t i = 0; i < n && open; i++) {
            if (!shares[i].most && shares[i].size <= room * shares[i].share / open) {
                shares[i].most = MAX(shares[i].size, (size_t)1);
                left -= MIN(left, shares[i].size);
                again = true;
            }
        }
    }
    size_t open = 0;
    for (size_t i = 0; i < n; i++) {
        open += shares[i].most ? 0 : shares[i].share;
    }
    for (size_t i = 0; i < n; i++) {
        if (!shares[i].most) {
            shares[i].most = wanted <= bytes ? shares[i].size : left * shares[i].share / open;
        }
    }
}
