/* SPDX-License-Identifier: MIT */
#include "agent/plot.h"
#include "agent/plot_parts.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLOT_LANES_MAX = 24, DOT = 5 };

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

static struct plot_axis axis_for(const struct plot_point *points, size_t n, double top,
                                 double bottom)
{
    double lo = INFINITY, hi = 0;
    for (size_t i = 0; i < n; i++) {
        if (points[i].us > 0) {
            lo = fmin(lo, points[i].us);
            hi = fmax(hi, points[i].us);
        }
    }
    return plot_axis_over(lo, hi, top, bottom);
}

static double x_of(size_t i, size_t n)
{
    double room = PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT - 30;
    return PLOT_LEFT + 15 + (n > 1 ? room * (double)i / (double)(n - 1) : room / 2);
}

void plot_curve(struct buf *out, const struct plot_point *points, size_t n, double base_us)
{
    enum { HEIGHT = 300 };
    struct plot_axis a = axis_for(points, n, PLOT_TOP, HEIGHT - PLOT_BOTTOM);
    plot_begin(out, PLOT_WIDTH, HEIGHT, "time of each attempt and the best so far");
    plot_axis_draw(out, &a, PLOT_LEFT, PLOT_WIDTH - PLOT_RIGHT, base_us);
    double best = 0;
    buf_puts(out, "<path class=best d=\"");
    for (size_t i = 0; i < n; i++) {
        if (!(points[i].us > 0) || (best > 0 && points[i].us >= best)) {
            continue;
        }
        double x = x_of(i, n), y = plot_axis_y(&a, points[i].us);
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
            plot_dot(out, x_of(i, n), plot_axis_y(&a, points[i].us), DOT,
                     points[i].us == best ? "dot win" : "dot", points[i].label);
        } else {
            plot_cross(out, x_of(i, n), HEIGHT - PLOT_BOTTOM - 6, points[i].label);
        }
        if (n <= 40) {
            buf_printf(out, "<text class=tick x=%.1f y=%d text-anchor=middle>%zu</text>",
                       x_of(i, n), HEIGHT - PLOT_BOTTOM + 18, i);
        }
    }
    plot_text(out, PLOT_WIDTH - PLOT_RIGHT, HEIGHT - 2, "end", "attempt");
    buf_puts(out, "</svg>");
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
    plot_begin(out, PLOT_WIDTH, (double)n_lanes * LANE + 40, "the walk through the graph's directions");
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
                plot_dot(out, x, y, DOT, points[i].control ? "dot control" : "dot win",
                         points[i].label);
            } else {
                plot_cross(out, x, y, points[i].label);
            }
        }
        buf_puts(out, dots ? "" : "\" />");
    }
    buf_puts(out, "</svg>");
}
