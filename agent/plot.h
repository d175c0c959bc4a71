#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The report's pictures as inline SVG: colours come from the page's style sheet (classes), so they
 * follow light and dark. Times in microseconds; a NAN time is a failure.
 */
#include "base/buf.h"

struct plot_point {
    double us;         /* NAN: it failed */
    const char *lane;  /* plot_walk: the direction; "" at the start */
    const char *label; /* tooltip */
    int control;       /* plot_walk: a step that ignored memory */
};

/* Escapes text for HTML; everything from outside goes through here. */
void html_text(struct buf *out, const char *text);

/* Time of every attempt and the best so far, logarithmic; the second axis is speedup over `base_us`. */
void plot_curve(struct buf *out, const struct plot_point *points, size_t n, double base_us);
/* The walk: a lane for each direction that was taken, a dot for each step, in order. */
void plot_walk(struct buf *out, const struct plot_point *points, size_t n);
