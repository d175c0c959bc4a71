/* SPDX-License-Identifier: MIT */
#include "agent/plot_parts.h"
#include "agent/tune_pca.h"
#include "agent/tune_picture.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>

enum { HEIGHT = 420, LABEL_MAX = 64 << 10, NAMED = 3 };

static const double left = 14, right = 660, top = 30, bottom = HEIGHT - 30;
static const double named_least = 0.25; /* loading of a parameter that an axis names */

/* A component's range with a margin, to pixels. */
struct scale {
    double lo, hi, from, to;
};

static struct scale scale_for(const struct tune_pca *pca, size_t n, int k, double from, double to)
{
    struct scale s = { INFINITY, -INFINITY, from, to };
    for (size_t i = 0; i < n; i++) {
        s.lo = fmin(s.lo, pca->xy[2 * i + k]);
        s.hi = fmax(s.hi, pca->xy[2 * i + k]);
    }
    double margin = fmax(0.05 * (s.hi - s.lo), 1e-6);
    s.lo -= margin;
    s.hi += margin;
    return s;
}

static double pixel(const struct scale *s, double value)
{
    return s->from + (value - s->lo) / (s->hi - s->lo) * (s->to - s->from);
}

/* "component 1, 34 % of the variance: BLOCK up, VEC down" */
static void axis_text(const struct tune_picture *p, const struct tune_pca *pca, int k,
                      struct buf *out)
{
    bool named[TUNE_PARAMS_MAX] = { false };
    buf_printf(out, "component %d, %.0f %% of the variance", k + 1, 100 * pca->share[k]);
    for (int count = 0; count < NAMED; count++) {
        size_t best = p->space->n;
        for (size_t i = 0; i < p->space->n; i++) {
            double size = fabs(pca->loading[k][i]);
            if (!named[i] && size >= named_least
                && (best == p->space->n || size > fabs(pca->loading[k][best]) + 1e-9)) {
                best = i;
            }
        }
        if (best == p->space->n) {
            break;
        }
        named[best] = true;
        enum tune_kind kind = p->space->params[best].kind;
        bool many = kind == TUNE_CHOICE || kind == TUNE_PERMUTATION;
        buf_printf(out, "%s%s%s", count ? ", " : ": ", p->space->params[best].name,
                   many ? "" : pca->loading[k][best] < 0 ? " falls" : " grows");
    }
}

static void draw_axes(struct buf *out, const struct tune_picture *p, const struct tune_pca *pca)
{
    auto_buf struct buf text;
    buf_init(&text, LABEL_MAX);
    buf_printf(out, "<rect class=frame x=%.0f y=%.0f width=%.0f height=%.0f />", left, top,
               right - left, bottom - top);
    buf_puts(&text, "→ ");
    axis_text(p, pca, 0, &text);
    plot_text(out, right, bottom + 20, "end", text.len ? text.at : "");
    buf_shift(&text, text.len);
    buf_puts(&text, "↑ ");
    axis_text(p, pca, 1, &text);
    plot_text(out, left, top - 10, "start", text.len ? text.at : "");
}

static void draw_legend(struct buf *out, bool failed)
{
    double x = right + 24, y = top + 14;
    plot_text(out, x - 6, y, "start", "time over the best");
    for (size_t i = 0; i < TUNE_PICTURE_CLASSES; i++) {
        char class[16];
        y += 22;
        snprintf(class, sizeof(class), "dot t%zu", i);
        plot_dot(out, x, y - 4, 5, class, tune_picture_class_text(i));
        plot_text(out, x + 14, y, "start", tune_picture_class_text(i));
    }
    if (failed) {
        y += 22;
        plot_cross(out, x, y - 4, "failed");
        plot_text(out, x + 14, y, "start", "failed");
    }
}

/* One sample, with its config in words. */
static void draw_sample(struct buf *out, const struct tune_picture *p, size_t i, size_t class,
                        double x, double y, bool best)
{
    auto_buf struct buf label;
    char name[24];
    buf_init(&label, LABEL_MAX);
    tune_picture_label(p, i, &label);
    snprintf(name, sizeof(name), "dot t%zu%s", class, best ? " ring" : "");
    if (p->us[i] > 0) {
        plot_dot(out, x, y, best ? 7 : 4, name, label.len ? label.at : "");
    } else {
        plot_cross(out, x, y, label.len ? label.at : "");
    }
}

void tune_picture_scatter(struct buf *out, const struct tune_picture *p)
{
    auto_arena struct arena *arena = arena_new();
    struct tune_pca pca;
    size_t shown = MIN(p->n, (size_t)TUNE_PICTURE_SHOWN), failed = 0;
    double best = tune_picture_best(p);
    tune_pca(p->space, p->configs, shown, arena, &pca);
    struct scale sx = scale_for(&pca, shown, 0, left, right);
    struct scale sy = scale_for(&pca, shown, 1, bottom, top);
    plot_begin(out, PLOT_WIDTH, HEIGHT, "the samples in their two principal components");
    draw_axes(out, p, &pca);
    /* The slowest below, failures over them, the best on top. */
    static const size_t layers[] = { 5, 4, 3, 2, 1, TUNE_PICTURE_CLASSES, 0 };
    for (size_t layer = 0; layer < ARRAY_LEN(layers); layer++) {
        for (size_t i = 0; i < shown; i++) {
            bool ran = p->us[i] > 0;
            size_t class = ran ? tune_picture_class(p->us[i], best) : TUNE_PICTURE_CLASSES;
            if (class != layers[layer]) {
                continue;
            }
            double x = pixel(&sx, pca.xy[2 * i]), y = pixel(&sy, pca.xy[2 * i + 1]);
            draw_sample(out, p, i, class, x, y, p->us[i] == best);
            failed += !ran;
        }
    }
    draw_legend(out, failed > 0);
    buf_puts(out, "</svg>");
}
