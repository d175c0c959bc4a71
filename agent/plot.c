/* SPDX-License-Identifier: MIT */
#include "agent/plot.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLOT_WIDTH = 860, PLOT_LEFT = 70, PLOT_RIGHT = 60, PLOT_TOP = 18, PLOT_BOTTOM = 34,
       PLOT_LANES_MAX = 24 };

void html_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&': buf_puts(out, "&amp;"); break;
        case '<': buf_puts(out, "&lt;"); break;
        case '>': buf_puts(out, "&gt;"); break;
        case '"': buf_puts(out, "&quot;"); break;
        case '\'': buf_puts(out, "&#39;"); break;
        default:
            if ((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t') {
                buf_add(out, text, 1);
            }
        }
    }
}

/* A logarithmic axis of times over [lo, hi], mapped to [bottom, top]. */
struct axis {
    double lo, hi, top, bottom;
};

static double axis_y(const struct axis *a, double us)
{
    double share = (log(us) - log(a->lo)) / (log(a->hi) - log(a->lo));
    return a->bottom - share * (a->bottom - a->top);
}

static struct axis axis_for(const struct plot_point *points, size_t n, double top, double bottom)
{
    struct axis a = { INFINITY, 0, top, bottom };
    for (size_t i = 0; i < n; i++) {
        if (points[i].us > 0) {
            a.lo = fmin(a.lo, points[i].us);
            a.hi = fmax(a.hi, points[i].us);
        }
    }
    if (!(a.hi > 0)) {
        a.lo = 1;
        a.hi = 10;
    }
    double pad = fmax(1.06, pow(a.hi / a.lo, 0.06));
    a.lo /= pad;
    a.hi *= pad;
    return a;
}

static void tick_text(double us, char *ret, size_t size)
{
    if (us >= 1000) {
        snprintf(ret, size, "%.3g ms", us / 1000);
    } else {
        snprintf(ret, size, "%.3g µs", us);
    }
}

/* Ticks at 1, 2, 5 of every decade; at the ends alone where that gives fewer than two. */
static void draw_axis(struct buf *out, const struct axis *a, double base_us)
{
    static const double steps[] = { 1, 2, 5 };
    double ticks[32];
    size_t n = 0;
    for (int decade = (int)floor(log10(a->lo)); decade <= (int)ceil(log10(a->hi)); decade++) {
        for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
            double us = steps[k] * pow(10, decade);
            if (us >= a->lo && us <= a->hi && n < ARRAY_LEN(ticks)) {
                ticks[n++] = us;
            }
        }
    }
    if (n < 2) {
        ticks[0] = a->lo * pow(a->hi / a->lo, 0.1);
        ticks[1] = a->lo * pow(a->hi / a->lo, 0.9);
        n = 2;
    }
    for (size_t i = 0; i < n; i++) {
        char text[32];
        double y = axis_y(a, ticks[i]);
        tick_text(ticks[i], text, sizeof(text));
        buf_printf(out, "<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f />", PLOT_LEFT,
                   PLOT_WIDTH - PLOT_RIGHT, y, y);
        buf_printf(out, "<text class=tick x=%d y=%.1f text-anchor=end>%s</text>", PLOT_LEFT - 8,
                   y + 4, text);
        if (base_us > 0) {
            buf_printf(out, "<text class=tick x=%d y=%.1f>%.3gx</text>", PLOT_WIDTH - PLOT_RIGHT + 8,
                       y + 4, base_us / ticks[i]);
        }
    }
}

static double x_of(size_t i, size_t n)
{
    double room = PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT - 30;
    return PLOT_LEFT + 15 + (n > 1 ? room * (double)i / (double)(n - 1) : room / 2);
}

static void dot(struct buf *out, double x, double y, const char *class, const char *label)
{
    buf_printf(out, "<circle class=\"%s\" cx=%.1f cy=%.1f r=5><title>", class, x, y);
    html_text(out, label ? label : "");
    buf_puts(out, "</title></circle>");
}

static void cross(struct buf *out, double x, double y, const char *label)
{
    buf_printf(out, "<path class=fail d=\"M%.1f %.1fl8 8m0-8l-8 8\"><title>", x - 4, y - 4);
    html_text(out, label ? label : "");
    buf_puts(out, "</title></path>");
}

static void begin(struct buf *out, int height, const char *what)
{
    buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=img aria-label=\"", PLOT_WIDTH, height);
    html_text(out, what);
    buf_puts(out, "\">");
}

static void curve(struct buf *out, const struct plot_point *points, size_t n, double base_us,
                  int height, const char *what, const char *x_label)
{
    struct axis a = axis_for(points, n, PLOT_TOP, height - PLOT_BOTTOM);
    begin(out, height, what);
    draw_axis(out, &a, base_us);
    double best = 0;
    buf_puts(out, "<path class=best d=\"");
    for (size_t i = 0; i < n; i++) {
        if (!(points[i].us > 0) || (best > 0 && points[i].us >= best)) {
            continue;
        }
        double x = x_of(i, n), y = axis_y(&a, points[i].us);
        buf_printf(out, best > 0 ? "H%.1f" : "M%.1f %.1f", x, y);
        if (best > 0) {
            buf_printf(out, "V%.1f", y);
        }
        best = points[i].us;
    }
    if (best > 0) {
        buf_printf(out, "H%.1f", x_of(n - 1, n));
    }
    buf_puts(out, "\" />");
    for (size_t i = 0; i < n; i++) {
        if (points[i].us > 0) {
            dot(out, x_of(i, n), axis_y(&a, points[i].us),
                points[i].us == best ? "dot win" : "dot", points[i].label);
        } else {
            cross(out, x_of(i, n), height - PLOT_BOTTOM - 6, points[i].label);
        }
        if (n <= 40) {
            buf_printf(out, "<text class=tick x=%.1f y=%d text-anchor=middle>%zu</text>",
                       x_of(i, n), height - PLOT_BOTTOM + 18, i);
        }
    }
    buf_printf(out, "<text class=tick x=%d y=%d text-anchor=end>%s</text></svg>",
               PLOT_WIDTH - PLOT_RIGHT, height - 2, x_label);
}

void plot_curve(struct buf *out, const struct plot_point *points, size_t n, double base_us)
{
    curve(out, points, n, base_us, 300, "time of each attempt and the best so far", "attempt");
}

void plot_samples(struct buf *out, const struct plot_point *points, size_t n)
{
    curve(out, points, n, 0, 200, "time of each config that was tried", "config");
}

static size_t lane_of(const char *lanes[PLOT_LANES_MAX], size_t *n, const char *lane)
{
    for (size_t i = 0; i < *n; i++) {
        if (str_eq(lanes[i], lane)) {
            return i;
        }
    }
    if (*n == PLOT_LANES_MAX) {
        return PLOT_LANES_MAX - 1;
    }
    lanes[*n] = lane;
    return (*n)++;
}

void plot_walk(struct buf *out, const struct plot_point *points, size_t n)
{
    enum { LANE = 30, NAMES = 180 };
    const char *lanes[PLOT_LANES_MAX];
    size_t n_lanes = 0;
    for (size_t i = 0; i < n; i++) {
        lane_of(lanes, &n_lanes, *points[i].lane ? points[i].lane : "start");
    }
    begin(out, (int)n_lanes * LANE + 40, "the walk through the graph's directions");
    for (size_t i = 0; i < n_lanes; i++) {
        double y = PLOT_TOP + LANE * (double)i + 8;
        buf_printf(out, "<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f />", NAMES,
                   PLOT_WIDTH - 20, y, y);
        buf_printf(out, "<text class=lane x=%d y=%.1f text-anchor=end>", NAMES - 10, y + 4);
        html_text(out, lanes[i]);
        buf_puts(out, "</text>");
    }
    double room = PLOT_WIDTH - NAMES - 50;
    buf_puts(out, "<path class=walk d=\"");
    for (int dots = 0; dots < 2; dots++) {
        for (size_t i = 0; i < n; i++) {
            size_t lane = lane_of(lanes, &n_lanes, *points[i].lane ? points[i].lane : "start");
            double x = NAMES + 15 + (n > 1 ? room * (double)i / (double)(n - 1) : 0);
            double y = PLOT_TOP + LANE * (double)lane + 8;
            if (!dots) {
                buf_printf(out, "%c%.1f %.1f", i ? 'L' : 'M', x, y);
            } else if (points[i].us > 0) {
                dot(out, x, y, points[i].control ? "dot control" : "dot win", points[i].label);
            } else {
                cross(out, x, y, points[i].label);
            }
        }
        buf_puts(out, dots ? "" : "\" />");
    }
    buf_puts(out, "</svg>");
}
