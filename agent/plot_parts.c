/* SPDX-License-Identifier: MIT */
#include "agent/plot_parts.h"
#include "agent/plot.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>

enum { TICKS_MAX = 12, TICKS_MIN = 3 };

struct plot_axis plot_axis_over(double lo, double hi, double top, double bottom)
{
    struct plot_axis a = { lo, hi, top, bottom };
    if (!(hi > 0)) {
        a.lo = 1;
        a.hi = 10;
    }
    double pad = fmax(1.02, pow(a.hi / a.lo, 0.06));
    a.lo /= pad;
    a.hi *= pad;
    return a;
}

double plot_axis_y(const struct plot_axis *a, double us)
{
    double share = (log(us) - log(a->lo)) / (log(a->hi) - log(a->lo));
    return a->bottom - share * (a->bottom - a->top);
}

void plot_time(double us, int digits, char ret[PLOT_TIME_MAX])
{
    if (us >= 1000) {
        snprintf(ret, PLOT_TIME_MAX, "%.*g ms", digits, us / 1000);
    } else {
        snprintf(ret, PLOT_TIME_MAX, "%.*g µs", digits, us);
    }
}

/* These steps of every decade. */
static size_t decades(const struct plot_axis *a, const double *steps, size_t n_steps,
                      double ticks[TICKS_MAX])
{
    size_t n = 0;
    for (int decade = (int)floor(log10(a->lo)); decade <= (int)ceil(log10(a->hi)); decade++) {
        for (size_t k = 0; k < n_steps; k++) {
            double us = steps[k] * pow(10, decade);
            if (us >= a->lo && us <= a->hi && n < TICKS_MAX) {
                ticks[n++] = us;
            }
        }
    }
    return n;
}

/* Multiples of 1, 2 or 5 of some power of ten, so far apart that there are a few. */
static size_t even(const struct plot_axis *a, double ticks[TICKS_MAX])
{
    double step = pow(10, floor(log10((a->hi - a->lo) / TICKS_MIN)));
    double wide = (a->hi - a->lo) / step;
    step *= wide > 20 ? 5 : wide > 8 ? 2 : 1;
    size_t n = 0;
    for (double k = ceil(a->lo / step); k * step <= a->hi && n < TICKS_MAX; k++) {
        ticks[n++] = k * step;
    }
    return n;
}

/* 1, 10, 100 where there are many decades, 1, 2, 5 where there are some, more of them in one, else even. */
static size_t find_ticks(const struct plot_axis *a, double ticks[TICKS_MAX])
{
    static const double few[] = { 1, 2, 5 }, more[] = { 1, 1.5, 2, 3, 5, 7 };
    bool many = 3 * log10(a->hi / a->lo) > TICKS_MAX - 1;
    size_t n = decades(a, few, many ? 1 : ARRAY_LEN(few), ticks);
    n = n < TICKS_MIN ? decades(a, more, ARRAY_LEN(more), ticks) : n;
    return n < TICKS_MIN ? even(a, ticks) : n;
}

void plot_axis_draw(struct buf *out, const struct plot_axis *a, double left, double right,
                    double base_us)
{
    double ticks[TICKS_MAX];
    size_t n = find_ticks(a, ticks);
    for (size_t i = 0; i < n; i++) {
        char text[PLOT_TIME_MAX];
        double y = plot_axis_y(a, ticks[i]);
        plot_time(ticks[i], 3, text);
        buf_printf(out, "<line class=grid x1=%.0f x2=%.0f y1=%.1f y2=%.1f />", left, right, y, y);
        plot_text(out, left - 8, y + 4, "end", text);
        if (base_us > 0) {
            snprintf(text, sizeof(text), "%.3gx", base_us / ticks[i]);
            plot_text(out, right + 8, y + 4, "start", text);
        }
    }
}

void plot_begin(struct buf *out, double width, double height, const char *what)
{
    buf_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=img aria-label=\"", width, height);
    html_text(out, what);
    buf_puts(out, "\">");
}

void plot_dot(struct buf *out, double x, double y, double r, const char *class, const char *label)
{
    buf_printf(out, "<circle class=\"%s\" cx=%.1f cy=%.1f r=%.3g><title>", class, x, y, r);
    html_text(out, label ? label : "");
    buf_puts(out, "</title></circle>");
}

void plot_cross(struct buf *out, double x, double y, const char *label)
{
    buf_printf(out, "<path class=fail d=\"M%.1f %.1fl8 8m0-8l-8 8\"><title>", x - 4, y - 4);
    html_text(out, label ? label : "");
    buf_puts(out, "</title></path>");
}

void plot_text(struct buf *out, double x, double y, const char *anchor, const char *text)
{
    buf_printf(out, "<text class=tick x=%.1f y=%.1f text-anchor=%s>", x, y, anchor);
    html_text(out, text);
    buf_puts(out, "</text>");
}
