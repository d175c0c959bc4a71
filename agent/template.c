/* SPDX-License-Identifier: MIT */
#include "agent/template.h"
#include "base/util.h"

#include <string.h>

enum { DEPTH_MAX = 8 };

struct renderer {
    const char *file, *text;
    const struct template_value *values;
    size_t n;
    bool used[TEMPLATE_VALUES_MAX];
    size_t open[DEPTH_MAX], depth; /* parts that are open, by value */
    size_t hidden;                 /* how many of them are absent */
    struct buf *out;
    struct err *err;
};

struct mark {
    char kind; /* '?', '/' or 0: a value */
    const char *name;
    size_t len;
    const char *after;
};

static int fail(const struct renderer *r, const char *at, const char *what, const char *name,
                size_t len)
{
    int line = 1;
    for (const char *c = r->text; c < at; c++) {
        line += *c == '\n';
    }
    return err_set(r->err, ERR_INVALID, "%s, line %d: %s \"%.*s\"", r->file, line, what, (int)len,
                   name);
}

static int find(struct renderer *r, const char *at, const struct mark *mark, size_t *ret)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strlen(r->values[i].name) == mark->len
            && memcmp(r->values[i].name, mark->name, mark->len) == 0) {
            r->used[i] = true;
            *ret = i;
            return 0;
        }
    }
    return fail(r, at, "nothing is called", mark->name, mark->len);
}

static int read_mark(const struct renderer *r, const char *at, struct mark *ret)
{
    const char *start = at + 2, *end = strstr(at, "}}");
    if (!end) {
        return fail(r, at, "a mark isn't closed:", at, MIN(strlen(at), (size_t)20));
    }
    *ret = (struct mark) { 0 };
    if (*start == '?' || *start == '/') {
        ret->kind = *start++;
    }
    ret->name = start;
    ret->len = (size_t)(end - start);
    ret->after = end + 2;
    return 0;
}

static int open_or_close(struct renderer *r, const char *at, const struct mark *mark, size_t value)
{
    bool absent = !r->values[value].text;
    if (mark->kind == '?' && r->depth < DEPTH_MAX) {
        r->open[r->depth++] = value;
        r->hidden += absent;
        return 0;
    }
    if (mark->kind == '?' || r->depth == 0 || r->open[r->depth - 1] != value) {
        return fail(r, at, "this doesn't end what was begun last:", mark->name, mark->len);
    }
    r->depth--;
    r->hidden -= absent;
    return 0;
}

/* One mark at `at`; what it stands for goes out. */
static int take_mark(struct renderer *r, const char *at, const char **ret_after)
{
    struct mark mark = { 0 };
    size_t value = 0;
    int code = read_mark(r, at, &mark);
    code = code < 0 ? code : find(r, at, &mark, &value);
    if (code < 0) {
        return code;
    }
    const char *text = r->values[value].text;
    *ret_after = mark.after;
    if (mark.kind) {
        bool alone = (at == r->text || at[-1] == '\n') && *mark.after == '\n';
        *ret_after += alone;
        return open_or_close(r, at, &mark, value);
    }
    if (r->hidden) {
        return 0;
    }
    if (!text) {
        return fail(r, at, "outside of a part there must be a value for", mark.name, mark.len);
    }
    buf_puts(r->out, text); /* a full buffer sticks, and is seen at the end */
    return 0;
}

int template_render(const char *file, const char *text, const struct template_value *values,
                    size_t n, struct buf *out, struct err *err)
{
    struct renderer r = { .file = file, .text = text, .values = values, .n = n, .out = out,
                          .err = err };
    require(n <= TEMPLATE_VALUES_MAX);
    for (const char *at = text; *at;) {
        const char *mark = strstr(at, "{{");
        size_t plain = mark ? (size_t)(mark - at) : strlen(at);
        if (!r.hidden) {
            buf_add(out, at, plain);
        }
        at += plain;
        int code = mark ? take_mark(&r, mark, &at) : 0;
        if (code < 0) {
            return code;
        }
    }
    if (r.depth) {
        const char *name = values[r.open[r.depth - 1]].name;
        return fail(&r, text + strlen(text), "this part isn't closed:", name, strlen(name));
    }
    for (size_t i = 0; i < n; i++) {
        if (!r.used[i]) {
            return err_set(err, ERR_INVALID, "%s: the value \"%s\" is used nowhere", file,
                           values[i].name);
        }
    }
    return out->failed ? err_set(err, out->failed, "%s: the text is too long", file) : 0;
}
