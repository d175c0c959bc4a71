#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The difference of two texts by lines, from their longest common subsequence, as a list of kept,
 * removed and added lines.
 */
#include <stddef.h>
#include "base/arena.h"

enum diff_kind { DIFF_KEEP = ' ', DIFF_REMOVE = '-', DIFF_ADD = '+' };

enum { DIFF_LINES_MAX = 4000 }; /* of each side; what is beyond is left out */

struct diff_line {
    enum diff_kind kind;
    const char *text; /* not NUL-terminated at the line's end */
    size_t len;
};

/* Lines point into the texts; the array belongs to the arena. */
size_t diff_lines(const char *before, const char *after, struct arena *arena,
                  struct diff_line **ret);
