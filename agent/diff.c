/* SPDX-License-Identifier: MIT */
#include "agent/diff.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

struct lines {
    struct diff_line *at;
    size_t n;
};

static struct lines split(const char *text, struct arena *arena)
{
    struct lines lines = { .at = arena_alloc(arena, DIFF_LINES_MAX, sizeof(struct diff_line)) };
    while (*text && lines.n < DIFF_LINES_MAX) {
        size_t len = strcspn(text, "\n");
        lines.at[lines.n++] = (struct diff_line) { DIFF_KEEP, text, len };
        text += len + (text[len] == '\n');
    }
    return lines;
}

static bool same(const struct diff_line *a, const struct diff_line *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* Longest common subsequence by rows; sizes are capped, so the table is at most 64 MB of uint32. */
static uint32_t *table(const struct lines *a, const struct lines *b)
{
    size_t width = b->n + 1;
    uint32_t *t = xcalloc((a->n + 1) * width, sizeof(*t));
    for (size_t i = a->n; i-- > 0;) {
        for (size_t j = b->n; j-- > 0;) {
            t[i * width + j] = same(&a->at[i], &b->at[j])
                ? t[(i + 1) * width + j + 1] + 1
                : MAX(t[(i + 1) * width + j], t[i * width + j + 1]);
        }
    }
    return t;
}

size_t diff_lines(const char *before, const char *after, struct arena *arena,
                  struct diff_line **ret)
{
    struct lines a = split(before, arena), b = split(after, arena);
    size_t width = b.n + 1, n = 0, i = 0, j = 0;
    auto_free uint32_t *t = table(&a, &b);
    struct diff_line *out = arena_alloc(arena, a.n + b.n + 1, sizeof(*out));
    while (i < a.n || j < b.n) {
        if (i < a.n && j < b.n && same(&a.at[i], &b.at[j])) {
            out[n++] = a.at[i];
            i++;
            j++;
        } else if (i < a.n
                   && (j == b.n || t[(i + 1) * width + j] >= t[i * width + j + 1])) {
            out[n] = a.at[i++];
            out[n++].kind = DIFF_REMOVE;
        } else {
            out[n] = b.at[j++];
            out[n++].kind = DIFF_ADD;
        }
    }
    *ret = out;
    return n;
}
