/* SPDX-License-Identifier: MIT */
#include "agent/reply_parts.h"
#include "base/buf.h"
#include "base/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TAG_MAX = 32, DEPTH_MAX = 2 };

struct fence {
    char mark;
    size_t run, indent;
    const char *info; /* after the run, trimmed */
    size_t info_len;
};

struct splitter {
    struct reply_notes *notes;
    struct reply_pieces *pieces;
    struct buf *prose;
    int depth;
};

static size_t line_len(const char *at, const char *end)
{
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    return stop ? (size_t)(stop - at) : (size_t)(end - at);
}

static bool fence_at(const char *line, size_t len, struct fence *ret)
{
    size_t i = 0;
    while (i < len && (line[i] == ' ' || line[i] == '\t')) {
        i++;
    }
    size_t start = i;
    if (i == len || (line[i] != '`' && line[i] != '~')) {
        return false;
    }
    while (i < len && line[i] == line[start]) {
        i++;
    }
    *ret = (struct fence) { .mark = line[start], .run = i - start, .indent = start };
    while (i < len && isspace((unsigned char)line[i])) {
        i++;
    }
    while (len > i && isspace((unsigned char)line[len - 1])) {
        len--;
    }
    ret->info = line + i;
    ret->info_len = len - i;
    /* ``` in the middle of a line of prose is code in a sentence, not a fence. */
    return ret->run >= 3 && (ret->mark == '~' || !memchr(ret->info, '`', ret->info_len));
}

static const char *tag_of(const struct fence *fence, struct arena *arena)
{
    size_t n = 0;
    while (n < fence->info_len && n < TAG_MAX
           && (isalnum((unsigned char)fence->info[n]) || strchr("+-_.", fence->info[n]))) {
        n++;
    }
    char *tag = arena_strndup(arena, fence->info, n);
    for (char *c = tag; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return tag;
}

/* Prose that was fenced as a whole: look inside. */
static bool is_wrapper(const struct reply_block *block)
{
    static const char *const tags[] = { "", "markdown", "md", "text", "txt", "plaintext" };
    bool may = false;
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        may = may || str_eq(block->tag, tags[i]);
    }
    const char *end = block->text + block->len;
    struct fence fence;
    for (const char *at = block->text; may && at < end;) {
        size_t len = line_len(at, end);
        if (fence_at(at, len, &fence)) {
            return true;
        }
        at += MIN(len + 1, (size_t)(end - at));
    }
    return false;
}

static void split(struct splitter *s, const char *text, size_t len);

static void keep(struct splitter *s, const struct fence *fence, struct buf *body, bool closed)
{
    struct arena *arena = s->notes->arena;
    struct reply_block block = { .tag = tag_of(fence, arena), .len = body->len, .closed = closed };
    block.text = arena_strndup(arena, body->len ? body->at : "", body->len);
    if (s->depth < DEPTH_MAX && is_wrapper(&block)) {
        reply_note(s->notes, "the blocks stood inside another block");
        s->depth++;
        split(s, block.text, block.len);
        s->depth--;
    } else if (!closed && block.text[strspn(block.text, " \t\n")] == '\0') {
        reply_note(s->notes, "a fence at the end opened nothing");
    } else if (s->pieces->n == REPLY_BLOCKS_MAX) {
        reply_note(s->notes, "more than %d blocks: the rest was passed over", REPLY_BLOCKS_MAX);
    } else {
        s->pieces->blocks[s->pieces->n++] = block;
    }
}

static void add_line(struct buf *to, const char *line, size_t len, size_t indent)
{
    while (indent && len && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
        indent--;
    }
    buf_add(to, line, len);
    buf_add(to, "\n", 1);
}

static void split(struct splitter *s, const char *text, size_t len)
{
    const char *end = text + len;
    struct fence open = { 0 }, fence;
    auto_buf struct buf body;
    buf_init(&body, REPLY_MAX + 1);
    for (const char *at = text; at < end;) {
        size_t n = line_len(at, end);
        bool is_fence = fence_at(at, n, &fence);
        bool same = is_fence && open.run && fence.mark == open.mark && fence.run >= open.run;
        if (!open.run && is_fence) {
            open = fence;
        } else if (!open.run) {
            add_line(s->prose, at, n, 0);
        } else if (same && (fence.info_len == 0 || fence.run == open.run)) {
            /* No line of CUDA or JSON begins like this: it is a fence, whether the last was closed. */
            bool closes = fence.info_len == 0;
            if (!closes) {
                reply_note(s->notes, "a block wasn't closed before the next one began");
            }
            keep(s, &open, &body, true);
            buf_shift(&body, body.len);
            open = closes ? (struct fence) { 0 } : fence;
        } else {
            add_line(&body, at, n, open.indent);
        }
        at += MIN(n + 1, (size_t)(end - at));
    }
    if (open.run) {
        keep(s, &open, &body, false);
    }
}

void reply_split(const char *text, size_t len, struct reply_notes *notes, struct reply_pieces *ret)
{
    auto_buf struct buf prose;
    buf_init(&prose, 2 * REPLY_MAX);
    *ret = (struct reply_pieces) { .prose = "" };
    struct splitter s = { notes, ret, &prose, 0 };
    split(&s, text, len);
    ret->prose = arena_strndup(notes->arena, prose.len ? prose.at : "", prose.len);
    ret->prose_len = prose.len;
}

static bool is_thinking_tag(const char *at, const char *mark)
{
    static const char *const names[] = { "think>", "thinking>", "reasoning>" };
    bool is = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t n = strlen(mark);
        is = is || (str_prefix(at, mark) && strncasecmp(at + n, names[i], strlen(names[i])) == 0);
    }
    return is;
}

size_t reply_thinking(const char *text, size_t len, bool *ret_unfinished)
{
    const char *at = text + len;
    while ((at = memrchr(text, '<', (size_t)(at - text))) && !is_thinking_tag(at, "</")) {
    }
    *ret_unfinished = !at && is_thinking_tag(text + strspn(text, " \t\n"), "<");
    return at ? (size_t)(strchr(at, '>') + 1 - text) : 0;
}

static const char *past_comment(const char *at)
{
    for (at += 2; *at; at++) {
        if (at[0] == '*' && at[1] == '/') {
            return at + 2;
        }
    }
    return at;
}

bool reply_code_says(const char *code, const char *needle)
{
    for (const char *at = code; *at;) {
        if (*at == *needle && str_prefix(at, needle)) {
            return true;
        }
        if (at[0] == '/' && at[1] == '/') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            at = past_comment(at);
        } else if (*at == '"') {
            at++;
            while (*at && *at != '"' && *at != '\n') {
                at += *at == '\\' && at[1] ? 2 : 1;
            }
            at += *at != '\0';
        } else {
            at++;
        }
    }
    return false;
}
