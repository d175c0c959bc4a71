/* SPDX-License-Identifier: MIT */
#include "agent/plot_fast.h"
#include "agent/plot.h"
#include "agent/plot_parts.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEIGHT = 320, KEY_ROW = 20, KEY_COLUMNS = 3, COLOURS = 6 };

static const double most = 4; /* p, at the right edge */

static double x_of(double p)
{
    return PLOT_LEFT + (PLOT_WIDTH - PLOT_LEFT - 20) * fmin(p, most) / most;
}

static double y_of(double share)
{
    return HEIGHT - PLOT_BOTTOM - share * (HEIGHT - PLOT_BOTTOM - PLOT_TOP);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void grid(struct buf *out)
{
    char text[16];
    for (int i = 0; i <= 4; i++) {
        buf_printf(out, "<line class=grid x1=%d x2=%.0f y1=%.1f y2=%.1f />", PLOT_LEFT, x_of(most), y_of(0.25 * i),
                   y_of(0.25 * i));
        snprintf(text, sizeof(text), "%d %%", 25 * i);
        plot_text(out, PLOT_LEFT - 8, y_of(0.25 * i) + 4, "end", text);
    }
    for (int i = 0; i <= 8; i++) {
        buf_printf(out, "<line class=%s x1=%.1f x2=%.1f y1=%.1f y2=%.1f />", i == 2 ? "goal" : "grid", x_of(0.5 * i),
                   x_of(0.5 * i), y_of(0), y_of(1));
        snprintf(text, sizeof(text), "%gx", 0.5 * i);
        plot_text(out, x_of(0.5 * i), y_of(0) + 18, "middle", text);
    }
}

static void draw(struct buf *out, struct plot_fast_line *line)
{
    double all = line->of ? (double)line->of : 1;
    qsort(line->speedups, line->n, sizeof(*line->speedups), by_size);
    buf_printf(out, "<path class=\"fast s%d d%d\" d=\"M%.1f %.1f", line->colour % COLOURS, line->dash, x_of(0),
               y_of((double)line->correct / all));
    buf_printf(out, "V%.1f", y_of((double)line->n / all));
    for (size_t i = 0; i < line->n && line->speedups[i] < most; i++) {
        buf_printf(out, "H%.1fV%.1f", x_of(line->speedups[i]), y_of((double)(line->n - i - 1) / all));
    }
    buf_printf(out, "H%.1f\"><title>", x_of(most));
    html_text(out, line->name);
    buf_puts(out, "</title></path>");
}

void plot_fast(struct buf *out, struct plot_fast_line *lines, size_t n)
{
    size_t rows = (n + KEY_COLUMNS - 1) / KEY_COLUMNS;
    plot_begin(out, PLOT_WIDTH, HEIGHT + KEY_ROW * (double)rows + 8, "share of problems by speedup over the baseline");
    grid(out);
    for (size_t i = 0; i < n; i++) {
        double x = PLOT_LEFT + (double)(i % KEY_COLUMNS) * 260, y = HEIGHT + 10 + KEY_ROW * (double)(i / KEY_COLUMNS);
        draw(out, &lines[i]);
        buf_printf(out, "<path class=\"fast s%d d%d\" d=\"M%.1f %.1fh28\" />", lines[i].colour % COLOURS, lines[i].dash, x, y);
        plot_text(out, x + 36, y + 4, "start", lines[i].name);
    }
    buf_puts(out, "</svg>");
}
