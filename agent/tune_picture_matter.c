/* SPDX-License-Identifier: MIT */
#include "agent/plot_parts.h"
#include "agent/tune/forest.h"
#include "agent/tune_picture.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BARS_MAX = 12, BAR = 22, PANELS = 3, PANEL = 190, GAP = 24, TREES = 200, VALUES_NAMED = 9 };

static const double names = 190, bars_end = PLOT_WIDTH - 90;

struct weight {
    size_t param;
    double share;
};

static int by_share(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    if (x->share != y->share) {
        return x->share < y->share ? 1 : -1;
    }
    return (x->param > y->param) - (x->param < y->param);
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The time below which the fastest quarter of those that ran lies. */
static double quarter(const struct tune_picture *p)
{
    double *ran = xcalloc(p->n + 1, sizeof(*ran));
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->us[i] > 0) {
            ran[n++] = p->us[i];
        }
    }
    qsort(ran, n, sizeof(*ran), by_time);
    double at = n ? ran[(n - 1) / 4] : 0;
    free(ran);
    return at;
}

/* Failures are no class of their own: they're none of the fastest. Largest share first. */
static struct weight *weigh(const struct tune_picture *p, size_t n, struct arena *arena)
{
    const struct tune_space *space = p->space;
    size_t d = space->n_features;
    float *x = arena_alloc(arena, n * d + 1, sizeof(*x));
    uint8_t *label = arena_alloc(arena, n + 1, sizeof(*label));
    double *importance = arena_alloc(arena, d + 1, sizeof(*importance)), most = quarter(p);
    struct weight *ret = arena_alloc(arena, space->n + 1, sizeof(*ret));
    for (size_t i = 0; i < n; i++) {
        tune_space_features(space, p->configs + i * space->n, x + i * d);
        label[i] = p->us[i] > 0 && p->us[i] <= most;
    }
    const struct forest_options options = { .trees = TREES, .min_leaf = 2, .seed = 1 };
    struct forest *forest = forest_fit(x, n, d, label, NULL, &options);
    forest_importance(forest, importance);
    forest_free(forest);
    for (size_t i = 0; i < space->n; i++) {
        ret[i].param = i;
    }
    for (size_t f = 0; f < d; f++) {
        ret[tune_space_feature_param(space, f)].share += importance[f];
    }
    qsort(ret, space->n, sizeof(*ret), by_share);
    return ret;
}

static void draw_bars(struct buf *out, const struct tune_picture *p, const struct weight *weights,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[24];
        double y = PLOT_TOP + BAR * (double)i, width = weights[i].share * (bars_end - names);
        snprintf(text, sizeof(text), "%.0f %%", 100 * weights[i].share);
        plot_text(out, names - 8, y + 13, "end", p->space->params[weights[i].param].name);
        buf_printf(out, "<rect class=bar x=%.0f y=%.1f width=%.1f height=%d />", names, y, width,
                   BAR - 6);
        plot_text(out, names + width + 8, y + 13, "start", text);
    }
}

/* One parameter's panel. */
struct panel {
    const struct tune_picture *picture;
    size_t param;
    double left, right, top, bottom, best;
    struct plot_axis axis;
};

static double value_x(const struct panel *p, uint32_t rank)
{
    uint32_t n = p->picture->space->params[p->param].n;
    return p->left + (p->right - p->left) * ((double)rank + 0.5) / n;
}

/* Those over the axis stand at its edge. */
static double time_y(const struct panel *p, double us)
{
    return fmax(plot_axis_y(&p->axis, us), p->axis.top);
}

/* Apart from each other by a little, the same every time. */
static double nudge(const struct panel *p, size_t i)
{
    uint32_t n = p->picture->space->params[p->param].n;
    double room = fmin(16, 0.6 * (p->right - p->left) / n);
    return room * ((double)(i * 2654435761u % 1024) / 1024 - 0.5);
}

static void draw_values(struct buf *out, const struct panel *p)
{
    const struct tune_param *param = &p->picture->space->params[p->param];
    uint32_t every = (param->n + VALUES_NAMED - 1) / VALUES_NAMED;
    size_t longest = 0;
    for (uint32_t k = 0; k < param->n; k++) {
        longest = MAX(longest, strlen(param->texts[k]));
    }
    double room = (p->right - p->left) / param->n;
    while (every < param->n && 7.5 * (double)longest > room * every) {
        every++;
    }
    for (uint32_t k = 0; k < param->n; k += every) {
        char text[24];
        snprintf(text, sizeof(text), "%s", param->texts[k]);
        plot_text(out, value_x(p, k), p->bottom + 16, "middle", text);
    }
    plot_text(out, (p->left + p->right) / 2, p->bottom + 34, "middle", param->name);
}

static void draw_best(struct buf *out, const struct panel *p)
{
    const struct tune_picture *t = p->picture;
    uint32_t n = t->space->params[p->param].n;
    double *best = xcalloc(n, sizeof(*best));
    for (size_t i = 0; i < t->n; i++) {
        uint16_t rank = t->configs[i * t->space->n + p->param];
        if (t->us[i] > 0 && (best[rank] <= 0 || t->us[i] < best[rank])) {
            best[rank] = t->us[i];
        }
    }
    const char *to = "M";
    buf_puts(out, "<path class=best d=\"");
    for (uint32_t k = 0; k < n; k++) {
        if (best[k] > 0) {
            buf_printf(out, "%s%.1f %.1f", to, value_x(p, k), time_y(p, best[k]));
            to = "L";
        }
    }
    buf_puts(out, "\" />");
    free(best);
}

static void draw_panel(struct buf *out, const struct panel *p)
{
    const struct tune_picture *t = p->picture;
    for (size_t i = 0; i < t->n && i < TUNE_PICTURE_SHOWN; i++) {
        double x = value_x(p, t->configs[i * t->space->n + p->param]) + nudge(p, i);
        if (t->us[i] > 0) {
            buf_printf(out, "<circle class=\"dot t%zu\" cx=%.1f cy=%.1f r=2.2 />",
                       tune_picture_class(t->us[i], p->best), x, time_y(p, t->us[i]));
        } else {
            buf_printf(out, "<path class=fail d=\"M%.1f %.1fl5 5m0-5l-5 5\" />", x - 2.5,
                       p->bottom - 7);
        }
    }
    draw_best(out, p);
    draw_values(out, p);
}

void tune_picture_matter(struct buf *out, const struct tune_picture *p)
{
    auto_arena struct arena *arena = arena_new();
    size_t n = MIN(p->n, (size_t)TUNE_PICTURE_SHOWN);
    struct weight *weights = weigh(p, n, arena);
    size_t bars = MIN(p->space->n, (size_t)BARS_MAX), panels = MIN(p->space->n, (size_t)PANELS);
    double top = PLOT_TOP + BAR * (double)bars + 16, hi = 0, best = tune_picture_best(p);
    for (size_t i = 0; i < p->n; i++) {
        hi = p->us[i] > 0 ? fmax(hi, p->us[i]) : hi;
    }
    plot_begin(out, PLOT_WIDTH, top + PANEL + 44, "which parameters mattered");
    draw_bars(out, p, weights, bars);
    struct plot_axis axis = plot_axis_over(best, tune_picture_top(best, hi), top, top + PANEL - 12);
    plot_axis_draw(out, &axis, PLOT_LEFT, PLOT_WIDTH - 10, 0);
    double width = (PLOT_WIDTH - 10 - PLOT_LEFT - GAP * (double)(panels - 1)) / (double)panels;
    for (size_t k = 0; k < panels; k++) {
        double left = PLOT_LEFT + (width + GAP) * (double)k;
        struct panel panel = { p, weights[k].param, left, left + width, top, top + PANEL, best, axis };
        draw_panel(out, &panel);
    }
    buf_puts(out, "</svg>");
}
