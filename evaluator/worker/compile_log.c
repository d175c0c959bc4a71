/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/compile_log.h"
#include "base/util.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AROUND = 2, LINE_SHOWN = 160 };

struct line {
    const char *at;
    size_t len;
};

static struct line next_line(const char **at)
{
    const char *end = strchr(*at, '\n');
    struct line line = { *at, end ? (size_t)(end - *at) : strlen(*at) };
    *at += line.len + (end != NULL);
    return line;
}

static bool holds(struct line line, const char *word)
{
    return memmem(line.at, line.len, word, strlen(word)) != NULL;
}

/* "file(12): error: text" starts a message; 0 if it doesn't, else the source line, or -1 if the
 * message is about another file. */
static long message_line(struct line line)
{
    static const char own[] = "kernel.cu(";
    const char *open = memchr(line.at, '(', line.len);
    if (!open || !(holds(line, "): error") || holds(line, "): warning")
                   || holds(line, "): catastrophic error") || holds(line, "): internal error"))) {
        return 0;
    }
    if (line.len > sizeof(own) && memcmp(line.at, own, sizeof(own) - 1) == 0) {
        long n = strtol(line.at + sizeof(own) - 1, NULL, 10);
        return n > 0 ? n : -1;
    }
    return -1;
}

static void put_source_line(const char *source, size_t len, long wanted, bool marked,
                            struct buf *out)
{
    const char *at = source, *end = source + len;
    for (long n = 1; n < wanted && at < end; n++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    if (at >= end) {
        return;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    size_t n = newline ? (size_t)(newline - at) : (size_t)(end - at);
    buf_printf(out, " %c%5ld | %.*s\n", marked ? '>' : ' ', wanted, (int)MIN(n, LINE_SHOWN), at);
}

static void put_message(struct line line, const char *hide, struct buf *out)
{
    size_t n = strlen(hide);
    if (n && line.len > n && memcmp(line.at, hide, n) == 0) {
        line.at += n;
        line.len -= n;
    }
    buf_printf(out, "%.*s\n", (int)MIN(line.len, 600), line.at);
}

struct explained {
    const struct compile_log_texts *texts;
    long last; /* source line shown last, so that it isn't shown twice in a row */
    int count;
    struct buf *out;
};

/* The compiler's own echo: the source line, then a caret under the column. */
static void put_context(struct explained *e, long number, const char *rest)
{
    struct line echo = next_line(&rest);
    struct line caret = next_line(&rest);
    bool has_caret = holds(caret, "^") && caret.len > 2 && echo.len >= 2;
    for (long n = MAX(1, number - AROUND); n <= number; n++) {
        if (e->last != number || n == number) {
            put_source_line(e->texts->source, e->texts->source_len, n, n == number, e->out);
        }
    }
    if (has_caret && caret.len < LINE_SHOWN) {
        buf_printf(e->out, "        | %.*s\n", (int)(caret.len - 2), caret.at + 2);
    }
    for (long n = number + 1; n <= number + AROUND && e->last != number; n++) {
        put_source_line(e->texts->source, e->texts->source_len, n, false, e->out);
    }
    e->last = number;
}

/* "ptxas application ptx input, line 27; error": the PTX line, and the source line it came from. */
static void put_ptx_context(struct explained *e, struct line message)
{
    static const char mark[] = "ptx input, line ";
    const char *hit = memmem(message.at, message.len, mark, sizeof(mark) - 1);
    if (!hit || !e->texts->ptx) {
        return;
    }
    long wanted = strtol(hit + sizeof(mark) - 1, NULL, 10), source_line = 0;
    const char *at = e->texts->ptx;
    for (long n = 1; *at && n <= wanted; n++) {
        struct line line = next_line(&at);
        const char *loc = memmem(line.at, line.len, ".loc", 4);
        const char *name = memmem(line.at, line.len, ".entry", 6);
        if (name) {
            source_line = 0;
        }
        if (loc && strtol(loc + 4, (char **)&loc, 10) == 1) {
            source_line = strtol(loc, NULL, 10);
        }
        if (n == wanted) {
            buf_printf(e->out, "   PTX  | %.*s\n", (int)MIN(line.len, LINE_SHOWN), line.at);
        }
    }
    if (source_line > 0) {
        put_context(e, source_line, "");
    }
}

static bool is_tool_error(struct line line)
{
    return holds(line, "error   :") || holds(line, "fatal   :") || holds(line, "error :")
        || holds(line, "nvrtc: error");
}

/* One pass over the log, for errors or for warnings. */
static void explain_pass(struct explained *e, const char *log, bool errors)
{
    while (*log) {
        struct line line = next_line(&log);
        if (e->count >= COMPILE_LOG_MESSAGES || e->out->len > COMPILE_LOG_MAX - 2048) {
            buf_puts(e->out, "(further messages cut)\n");
            return;
        }
        long number = message_line(line);
        bool is_error = number ? !holds(line, "): warning") : is_tool_error(line);
        if ((!number && !is_error) || is_error != errors) {
            continue;
        }
        put_message(line, e->texts->hide, e->out);
        e->count++;
        if (number > 0) {
            put_context(e, number, log);
        } else {
            put_ptx_context(e, line);
        }
    }
}

/* Too much static shared memory fails without a message. */
static void explain_shared(const char *log, struct buf *out)
{
    json_t *kernels = compile_log_kernels(log), *kernel;
    const char *name;
    json_object_foreach(kernels, name, kernel)
    {
        long shared = (long)json_integer_value(json_object_get(kernel, "shared"));
        if (shared > 48 << 10) {
            buf_printf(out, "error: kernel %s uses too much static shared memory: %ld bytes\n",
                       name, shared);
        }
    }
    json_decref(kernels);
}

void compile_log_explain(const char *log, const struct compile_log_texts *texts, struct buf *out)
{
    struct explained e = { .texts = texts, .out = out };
    explain_pass(&e, log, true);
    if (e.count == 0) {
        explain_shared(log, out);
        explain_pass(&e, log, false);
    }
}

static long number_before(struct line line, const char *words)
{
    const char *hit = memmem(line.at, line.len, words, strlen(words));
    if (!hit) {
        return 0;
    }
    while (hit > line.at && hit[-1] == ' ') {
        hit--;
    }
    while (hit > line.at && hit[-1] >= '0' && hit[-1] <= '9') {
        hit--;
    }
    return strtol(hit, NULL, 10);
}

static json_t *kernel_entry(json_t *kernels, const char *name, size_t len)
{
    char key[512];
    snprintf(key, sizeof(key), "%.*s", (int)MIN(len, sizeof(key) - 1), name);
    json_t *kernel = json_object_get(kernels, key);
    if (!kernel) {
        kernel = json_pack("{s:i,s:i,s:i,s:i}", "registers", 0, "spill_bytes", 0, "stack", 0,
                           "shared", 0);
        json_object_set_new(kernels, key, kernel);
    }
    return kernel;
}

static void read_properties(struct line line, json_t *kernel)
{
    if (holds(line, "bytes stack frame")) {
        long spill = number_before(line, "bytes spill stores")
            + number_before(line, "bytes spill loads");
        json_object_set_new(kernel, "spill_bytes", json_integer(spill));
        json_object_set_new(kernel, "stack",
                            json_integer(number_before(line, "bytes stack frame")));
    } else if (holds(line, "Used ") && holds(line, " registers")) {
        long stack = number_before(line, "bytes cumulative stack size");
        json_object_set_new(kernel, "registers", json_integer(number_before(line, "registers")));
        json_object_set_new(kernel, "shared", json_integer(number_before(line, "bytes smem")));
        if (stack) {
            json_object_set_new(kernel, "stack", json_integer(stack));
        }
    }
}

json_t *compile_log_kernels(const char *log)
{
    static const char entry[] = "Compiling entry function '", of[] = "Function properties for ";
    json_t *kernels = json_object(), *kernel = NULL;
    while (*log) {
        struct line line = next_line(&log);
        const char *hit = memmem(line.at, line.len, entry, sizeof(entry) - 1);
        if (hit) {
            hit += sizeof(entry) - 1;
            const char *end = memchr(hit, '\'', line.len - (size_t)(hit - line.at));
            kernel = end ? kernel_entry(kernels, hit, (size_t)(end - hit)) : NULL;
            continue;
        }
        hit = memmem(line.at, line.len, of, sizeof(of) - 1);
        if (hit) {
            /* Device functions that weren't inlined have properties too; they aren't kernels. */
            char key[512];
            hit += sizeof(of) - 1;
            snprintf(key, sizeof(key), "%.*s",
                     (int)MIN(line.len - (size_t)(hit - line.at), sizeof(key) - 1), hit);
            kernel = json_object_get(kernels, key);
        } else if (kernel) {
            read_properties(line, kernel);
        }
    }
    return kernels;
}
