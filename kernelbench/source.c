/* SPDX-License-Identifier: MIT */
#include "kernelbench/source.h"
#include "base/buf.h"
#include "base/util.h"

#include <ctype.h>
#include <string.h>

enum { KERNELS_SHOWN = 16 };

struct word {
    const char *at;
    size_t len;
};

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool word_is(struct word word, const char *text)
{
    return strlen(text) == word.len && memcmp(text, word.at, word.len) == 0;
}

/* The next identifier or number at or after `s`; len 0 at the end. */
static struct word next_word(const char *s)
{
    while (*s && !word_char(*s)) {
        s++;
    }
    size_t n = 0;
    while (word_char(s[n])) {
        n++;
    }
    return (struct word) { s, n };
}

static bool mentions(const char *source, const char *name)
{
    for (struct word w = next_word(source); w.len; w = next_word(w.at + w.len)) {
        if (word_is(w, name)) {
            return true;
        }
    }
    return false;
}

static const char *skip_parentheses(const char *s)
{
    int depth = 0;
    for (; *s; s++) {
        depth += (*s == '(') - (*s == ')');
        if (depth == 0) {
            return s + 1;
        }
    }
    return s;
}

/* The name of the function that is declared after __global__: the word before its parameters. */
static struct word declared(const char *s)
{
    static const char *const attributes[] = { "__launch_bounds__", "__cluster_dims__",
                                              "__maxnreg__", "__block_size__", "__attribute__" };
    for (struct word w = next_word(s); w.len; w = next_word(s)) {
        s = w.at + w.len;
        s += strspn(s, " \t\r\n");
        if (*s != '(') {
            continue;
        }
        bool attribute = false;
        for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
            attribute = attribute || word_is(w, attributes[i]);
        }
        if (!attribute) {
            return w;
        }
        s = skip_parentheses(s);
    }
    return (struct word) { s, 0 };
}

static size_t list_kernels(const char *source, struct word ret[KERNELS_SHOWN])
{
    size_t n = 0;
    for (struct word w = next_word(source); w.len && n < KERNELS_SHOWN;
         w = next_word(w.at + w.len)) {
        if (!word_is(w, "__global__")) {
            continue;
        }
        struct word name = declared(w.at + w.len);
        if (name.len) {
            ret[n++] = name;
        }
    }
    return n;
}

static int missing(const char *source, const char *file, const char *name, const struct jpath *at,
                   struct err *err)
{
    struct word kernels[KERNELS_SHOWN];
    size_t n = list_kernels(source, kernels);
    auto_buf struct buf names;
    buf_init(&names, 1024);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&names, "%s%.*s", i ? ", " : "", (int)MIN(kernels[i].len, (size_t)64),
                   kernels[i].at);
    }
    struct jpath here = { at, "kernel", 0 };
    if (n == 0) {
        return jread_fail(&here, err, "\"%s\" isn't in %s, which has no __global__ function", name,
                          file);
    }
    return jread_fail(&here, err, "\"%s\" isn't in %s; kernels there: %s", name, file, names.at);
}

/* extern "C", with whatever space between. */
static bool has_c_linkage(const char *source)
{
    for (struct word w = next_word(source); w.len; w = next_word(w.at + w.len)) {
        const char *after = w.at + w.len;
        if (word_is(w, "extern") && str_prefix(after + strspn(after, " \t\r\n"), "\"C\"")) {
            return true;
        }
    }
    return false;
}

int source_check_text(const char *source, size_t len, const char *file, struct err *err)
{
    if (len > SOURCE_MAX) {
        return err_set(err, ERR_TOOBIG, "%s: %zu bytes of source, %d at most", file, len,
                       SOURCE_MAX);
    }
    if (memchr(source, '\0', len)) {
        return err_set(err, ERR_INVALID, "%s: there is a NUL byte in the source", file);
    }
    if (next_word(source).len == 0) {
        return err_set(err, ERR_INVALID, "%s: the source is empty", file);
    }
    return 0;
}

static int check_steps(const char *source, const char *file, const struct plan_launch *steps,
                       size_t n, const struct jpath *at, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct jpath here = { at, NULL, i };
        if (steps[i].kernel && !mentions(source, steps[i].kernel)) {
            return missing(source, file, steps[i].kernel, &here, err);
        }
    }
    return 0;
}

int source_check_kernels(const char *source, const char *file, const struct plan *plan,
                         const struct jpath *at, struct err *err)
{
    if (strstr(source, "##")) {
        return 0;
    }
    if (!has_c_linkage(source)) {
        return err_set(err, ERR_INVALID, "%s: no kernel is declared extern \"C\", so none can be "
                                         "found by its name", file);
    }
    struct jpath launches = { at, "launches", 0 }, prepare = { at, "prepare", 0 };
    int r = check_steps(source, file, plan->launches, plan->n_launches, &launches, err);
    return r < 0 ? r : check_steps(source, file, plan->prepare, plan->n_prepare, &prepare, err);
}
