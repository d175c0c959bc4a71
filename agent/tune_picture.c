/* SPDX-License-Identifier: MIT */
#include "agent/tune_picture.h"
#include "agent/plot_parts.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEIGHT = 260, LABEL_MAX = 64 << 10, TICKS = 6 };

static const double right = PLOT_WIDTH - 20;

static double x_of(size_t i, size_t n)
{
    double room = right - PLOT_LEFT - 20;
    return PLOT_LEFT + 10 + (n > 1 ? room * (double)i / (double)(n - 1) : room / 2);
}

/* 1 to n below the picture, in round steps. */
static void draw_counts(struct buf *out, size_t n)
{
    size_t step = 1;
    for (size_t k = 0; n / step > TICKS; k++) {
        step = step / (k % 3 == 1 ? 2 : 1) * (k % 3 == 1 ? 5 : 2);
    }
    for (size_t i = step; i <= n; i += step) {
        char text[24];
        snprintf(text, sizeof(text), "%zu", i);
        plot_text(out, x_of(i - 1, n), HEIGHT - PLOT_BOTTOM + 15, "middle", text);
    }
    plot_text(out, right, HEIGHT - 5, "end", "configs");
}

/* A line that only falls, through times that may be NAN at first. */
static void draw_line(struct buf *out, const struct plot_axis *a, const double *best, size_t n,
                      size_t of, const char *class)
{
    double at = 0;
    buf_printf(out, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < n; i++) {
        if (!(best[i] > 0) || best[i] == at) {
            continue;
        }
        buf_printf(out, at > 0 ? "H%.1fV%.1f" : "M%.1f %.1f", x_of(i, of),
                   fmax(plot_axis_y(a, best[i]), a->top));
        at = best[i];
    }
    if (at > 0) {
        buf_printf(out, "H%.1f", x_of(n - 1, of));
    }
    buf_puts(out, "\" />");
}

/* `buf`'s text, or less of it where it was too long. */
static const char *text_of(const struct buf *buf)
{
    return buf->len ? buf->at : "";
}

void tune_picture_samples(struct buf *out, const struct tune_picture *p)
{
    double best = INFINITY, worst = 0;
    double *curve = xcalloc(p->n + 1, sizeof(*curve));
    for (size_t i = 0; i < p->n; i++) {
        best = p->us[i] > 0 ? fmin(best, p->us[i]) : best;
        worst = p->us[i] > 0 ? fmax(worst, p->us[i]) : worst;
        curve[i] = isfinite(best) ? best : (double)NAN;
    }
    double top = tune_picture_top(best, worst);
    struct plot_axis a = plot_axis_over(best, top, PLOT_TOP, HEIGHT - PLOT_BOTTOM - 14);
    plot_begin(out, PLOT_WIDTH, HEIGHT, "time of each config that was tried, and the best so far");
    plot_axis_draw(out, &a, PLOT_LEFT, right, 0);
    draw_line(out, &a, curve, p->n, p->n, "best");
    for (size_t i = 0; i < p->n && i < TUNE_PICTURE_SHOWN; i++) {
        auto_buf struct buf label;
        char class[16];
        buf_init(&label, LABEL_MAX);
        buf_printf(&label, "%zu: ", i + 1);
        tune_picture_label(p, i, &label);
        if (p->us[i] > 0) {
            snprintf(class, sizeof(class), "dot t%zu", tune_picture_class(p->us[i], best));
            plot_dot(out, x_of(i, p->n), plot_axis_y(&a, fmin(p->us[i], top)), p->us[i] == best ? 5 : 3,
                     class, text_of(&label));
        } else {
            plot_cross(out, x_of(i, p->n), HEIGHT - PLOT_BOTTOM - 6, text_of(&label));
        }
    }
    draw_counts(out, p->n);
    buf_puts(out, "</svg>");
    free(curve);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median over searches; one that has nothing yet counts as slowest, one that ended keeps its last. */
static void find_median(const double *const *curves, const size_t *lengths, size_t n, size_t most,
                        double *ret)
{
    double *column = xcalloc(n, sizeof(*column));
    for (size_t i = 0; i < most; i++) {
        for (size_t k = 0; k < n; k++) {
            double us = lengths[k] ? curves[k][MIN(i, lengths[k] - 1)] : (double)NAN;
            column[k] = us > 0 ? us : INFINITY;
        }
        qsort(column, n, sizeof(*column), by_value);
        ret[i] = isfinite(column[n / 2]) ? column[n / 2] : (double)NAN;
    }
    free(column);
}

void tune_picture_curves(struct buf *out, const double *const *curves, const size_t *lengths,
                         size_t n, double optimum_us)
{
    double lo = optimum_us > 0 ? optimum_us : INFINITY, hi = 0;
    size_t most = 0;
    for (size_t k = 0; k < n; k++) {
        most = MAX(most, lengths[k]);
        for (size_t i = 0; i < lengths[k]; i++) {
            lo = curves[k][i] > 0 ? fmin(lo, curves[k][i]) : lo;
            hi = curves[k][i] > 0 ? fmax(hi, curves[k][i]) : hi;
        }
    }
    double *median = xcalloc(most + 1, sizeof(*median));
    struct plot_axis a = plot_axis_over(lo, tune_picture_top(lo, hi), PLOT_TOP, HEIGHT - PLOT_BOTTOM);
    find_median(curves, lengths, n, most, median);
    plot_begin(out, PLOT_WIDTH, HEIGHT, "the best so far of each search, and their median");
    plot_axis_draw(out, &a, PLOT_LEFT, right, 0);
    for (size_t k = 0; k < n; k++) {
        draw_line(out, &a, curves[k], lengths[k], most, "seed");
    }
    draw_line(out, &a, median, most, most, "best");
    if (optimum_us > 0) {
        double y = plot_axis_y(&a, optimum_us);
        buf_printf(out, "<line class=goal x1=%d x2=%.0f y1=%.1f y2=%.1f />", PLOT_LEFT, right, y, y);
        plot_text(out, PLOT_LEFT + 4, y + 12, "start", "optimum");
    }
    draw_counts(out, most);
    buf_puts(out, "</svg>");
    free(median);
}

void tune_picture_figures(struct buf *out, const struct tune_picture *p, bool modelled)
{
    size_t ran = 0;
    for (size_t i = 0; i < p->n; i++) {
        ran += p->us[i] > 0;
    }
    bool drawable = p->space->n > 0 && p->space->n_features <= TUNE_PICTURE_FEATURES;
    buf_puts(out, "<figure>");
    tune_picture_samples(out, p);
    buf_printf(out, "<figcaption>%s time of every config, in the order in which they were taken. The line "
                    "is the best so far, crosses failed; what took five times as long as the best, or longer, "
                    "stands at the upper edge.</figcaption></figure>",
               modelled ? "Modelled" : "Measured");
    if (drawable && p->n >= TUNE_PICTURE_MIN && ran) {
        buf_puts(out, "<figure>");
        tune_picture_scatter(out, p);
        buf_puts(out, "<figcaption>Where they lie: the two principal components of the configs' "
                      "standardised features. Colour is time over the best, crosses failed.</figcaption></figure>");
    }
    if (drawable && ran >= TUNE_PICTURE_RAN) {
        buf_puts(out, "<figure>");
        tune_picture_matter(out, p);
        buf_puts(out, "<figcaption>Above: how much each parameter tells the fastest quarter from the rest, in a "
                      "random forest. Below: times over the values of the first ones, the line joins the best "
                      "of each value.</figcaption></figure>");
    }
}
