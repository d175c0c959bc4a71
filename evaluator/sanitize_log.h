#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Reads what compute-sanitizer wrote to its --log-file. A finding is a line that begins with
 * "========= " and the indented lines after it; findings about the gate's own kernels (gate_*) and
 * API errors that merely follow from another finding don't count. The text is data from a process
 * that ran a model's code: lengths are capped, bytes that aren't printable become "?".
 */
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"

enum { SANITIZE_TEXT_MAX = 3000, SANITIZE_TOLD = 4 /* findings told in full */ };

struct sanitize_log {
    int errors;
    bool complete;      /* the tool wrote its summary */
    char problem[256];  /* what the tool itself stumbled over, "" if nothing */
};

/* Appends "tool: finding" for the first findings to `text`. */
void sanitize_log_read(const char *log, size_t len, const char *tool, struct buf *text,
                       struct sanitize_log *ret);
