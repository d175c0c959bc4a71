#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What all pictures of a page are drawn with: a logarithmic axis of times, marks, text. Colours are
 * classes of the page's style sheet. Times in microseconds.
 */
#include "base/buf.h"

enum { PLOT_WIDTH = 860, PLOT_LEFT = 70, PLOT_RIGHT = 60, PLOT_TOP = 18, PLOT_BOTTOM = 34 };

/* Times over [lo, hi], mapped to [bottom, top] by their logarithm. */
struct plot_axis {
    double lo, hi, top, bottom;
};

/* Nothing to show (hi not above 0): 1 to 10. A margin is added on both sides. */
struct plot_axis plot_axis_over(double lo, double hi, double top, double bottom);
double plot_axis_y(const struct plot_axis *axis, double us);
/* Lines and times from x = left to right; with base_us > 0 the speedup over it on the right. */
void plot_axis_draw(struct buf *out, const struct plot_axis *axis, double left, double right,
                    double base_us);

/* "66.1 µs", "1.24 ms" with three digits. */
enum { PLOT_TIME_MAX = 32 };
void plot_time(double us, int digits, char ret[PLOT_TIME_MAX]);

/* `what` is read to those who don't see it. End it with "</svg>". */
void plot_begin(struct buf *out, double width, double height, const char *what);
void plot_dot(struct buf *out, double x, double y, double r, const char *class, const char *label);
void plot_cross(struct buf *out, double x, double y, const char *label);
/* anchor: "start", "middle", "end". */
void plot_text(struct buf *out, double x, double y, const char *anchor, const char *text);
