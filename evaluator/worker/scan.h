#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A second line of defence before the compiler sees a source: its own #include (and #embed, #import)
 * lines may only name files by a plain relative path, which the compiler finds in its include
 * folders. Landlock is the first line; this one also holds where the kernel has none, and gives a
 * message that a model can act on.
 *
 * The scan sees what a preprocessor sees: lines joined at a backslash, comments gone, digraphs. It
 * doesn't follow macros, so a computed include is refused. Text in string literals that would
 * include a file at a later stage (the assembler's) is refused too.
 */
#include <stddef.h>
#include "base/err.h"

/* ERR_INVALID: "kernel.cu(3): error: ..." in the compiler's own form. */
int scan_source(const char *text, size_t len, struct err *err);
