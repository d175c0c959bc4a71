#pragma once
/* SPDX-License-Identifier: MIT */
/* Parts of kernelbench_page.h, in two files: kernelbench_page.c has scores and the curve, kernelbench_page_problems.c the
 * lists. */
#include "agent/kernelbench_against.h"
#include "agent/kernelbench_results.h"
#include "base/buf.h"

/* Foreign text between two pieces of our own. */
void page_put(struct buf *out, const char *before, const char *text, const char *after);

void page_problems(struct buf *out, const struct results *results);
void page_left_out(struct buf *out, const struct results *results);
void page_compared(struct buf *out, const struct against *against);
