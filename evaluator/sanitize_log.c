/* SPDX-License-Identifier: MIT */
#include "evaluator/sanitize_log.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 300, LINES_TOLD = 5 };

struct block {
    char lines[LINES_TOLD][LINE_MAX_BYTES];
    size_t n;
    bool ours; /* about a kernel of the gate */
};

static bool starts(const char *line, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_prefix(line, words[i])) {
            return true;
        }
    }
    return false;
}

/* Lines that stand for themselves. */
static bool is_notice(const char *line, struct sanitize_log *log)
{
    static const char *const summaries[] = { "ERROR SUMMARY", "RACECHECK SUMMARY", "LEAK SUMMARY" };
    static const char *const problems[] = { "Internal Sanitizer Error", "Error: No attachable",
                                            "Error: Target application", "Error: process didn't",
                                            "Target application", "Unable to", "Failed to" };
    static const char *const notices[] = { "COMPUTE-SANITIZER", "Program hit", "Warning",
                                           "No CUDA-", "This tool", "and " };
    if (starts(line, summaries, ARRAY_LEN(summaries))) {
        log->complete = true;
        return true;
    }
    if (starts(line, problems, ARRAY_LEN(problems))) {
        if (!log->problem[0]) {
            snprintf(log->problem, sizeof(log->problem), "%.250s", line);
        }
        return true;
    }
    return line[0] == '\0' || starts(line, notices, ARRAY_LEN(notices));
}

static void end_block(struct block *block, const char *tool, struct buf *text,
                      struct sanitize_log *log)
{
    bool counts = block->n > 0 && !block->ours;
    if (counts && log->errors++ < SANITIZE_TOLD && text->len < SANITIZE_TEXT_MAX) {
        buf_printf(text, "%s%s: ", text->len ? "\n" : "", tool);
        for (size_t i = 0; i < block->n; i++) {
            buf_printf(text, "%s%s", i ? "; " : "", block->lines[i]);
        }
    }
    block->n = 0;
    block->ours = false;
}

static void take_line(struct block *block, const char *line)
{
    block->ours = block->ours || strstr(line, "gate_");
    if (block->n < LINES_TOLD) {
        snprintf(block->lines[block->n++], LINE_MAX_BYTES, "%s", line);
    }
}

/* One line without the mark, printable, into `ret`; says whether it was marked and indented. */
static bool clean(const char *line, size_t len, char *ret, bool *ret_indented)
{
    static const char mark[] = "=========";
    size_t n = sizeof(mark) - 1, out = 0;
    if (len < n || memcmp(line, mark, n) != 0) {
        return false;
    }
    size_t blanks = 0;
    while (n + blanks < len && line[n + blanks] == ' ') {
        blanks++;
    }
    *ret_indented = blanks > 1;
    for (size_t i = n + blanks; i < len && out < LINE_MAX_BYTES - 1; i++) {
        ret[out++] = line[i] >= 0x20 && line[i] < 0x7f ? line[i] : '?';
    }
    while (out && ret[out - 1] == ' ') {
        out--;
    }
    ret[out] = '\0';
    return true;
}

void sanitize_log_read(const char *log, size_t len, const char *tool, struct buf *text,
                       struct sanitize_log *ret)
{
    struct block block = { .n = 0 };
    *ret = (struct sanitize_log) { 0 };
    for (const char *at = log, *end = log + len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        char line[LINE_MAX_BYTES];
        bool indented;
        if (clean(at, (size_t)((stop ? stop : end) - at), line, &indented)) {
            if (indented && block.n) {
                take_line(&block, line);
            } else if (!indented) {
                end_block(&block, tool, text, ret);
                if (!is_notice(line, ret)) {
                    take_line(&block, line);
                }
            }
        }
        at = stop ? stop + 1 : end;
    }
    end_block(&block, tool, text, ret);
}
