#pragma once
/* SPDX-License-Identifier: MIT */
/* The fast_p curve: for each p from 0 to 4 the share of problems that are correct and more than p times as fast as the
 * baseline. A step function, so it is drawn as steps; one line a rule and baseline, named at its colour below. */
#include <stddef.h>
#include "base/buf.h"

struct plot_fast_line {
    const char *name;
    double *speedups; /* of the correct and timed ones, in any order; sorted here */
    size_t n, of;     /* how many those are, and of how many problems */
    size_t correct;   /* at p = 0: correct ones count without a time, too */
    int dash, colour; /* dash 0: solid, 1, 2; colour 0 to 5, then again */
};

enum { PLOT_FAST_LINES_MAX = 24 };

void plot_fast(struct buf *out, struct plot_fast_line *lines, size_t n);
