#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Reading the compiler's log. `compile_log_explain` turns messages about kernel.cu into messages
 * with the numbered source lines around them, for people and models, and drops the rest of the
 * noise; `compile_log_kernels` reads what ptxas -v said of each kernel.
 */
#include <jansson.h>
#include <stddef.h>
#include "base/buf.h"

enum { COMPILE_LOG_MAX = 16 << 10, COMPILE_LOG_MESSAGES = 24 };

/* What the messages are about. */
struct compile_log_texts {
    const char *source;
    size_t source_len;
    const char *ptx;  /* for the assembler's messages; NULL if there is none */
    const char *hide; /* a folder whose name is cut off paths ("" for none) */
};

/* Appends at most COMPILE_LOG_MAX bytes. Errors first; warnings only where there is no error. */
void compile_log_explain(const char *log, const struct compile_log_texts *texts, struct buf *out);

/* {"softmax": {"registers": 40, "spill_bytes": 0, "stack": 0, "shared": 128}, ...} */
json_t *compile_log_kernels(const char *log);
