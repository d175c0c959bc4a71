#pragma once
/* SPDX-License-Identifier: MIT */
/* A run of KernelBench problems as one page that needs nothing else: the fast_p curve, scores by rule, baseline,
 * level and family, every problem, what was left out and why, and what differs from another run. */
#include "agent/kernelbench_against.h"
#include "agent/kernelbench_results.h"
#include "base/buf.h"

struct kernelbench_page {
    const struct results *results;
    const char *name;
    const struct against *against; /* or NULL */
    uint64_t seed;
};

void kernelbench_page_text(const struct kernelbench_page *page, struct buf *out);
int kernelbench_page_write(const char *path, const struct kernelbench_page *page, struct err *err);
