/* SPDX-License-Identifier: MIT */
#include "agent/plot_parts.h"
#include "agent/tune/tune_config.h"
#include "agent/tune_picture.h"
#include "base/util.h"

#include <math.h>

static const double edge = 5; /* times the best */

static const struct {
    double most;
    const char *text;
} classes[TUNE_PICTURE_CLASSES] = {
    { 1.05, "best to 1.05x" }, { 1.2, "1.05x to 1.2x" }, { 1.5, "1.2x to 1.5x" },
    { 2, "1.5x to 2x" },       { 4, "2x to 4x" },        { INFINITY, "over 4x" },
};

size_t tune_picture_class(double us, double best_us)
{
    size_t i = 0;
    while (i + 1 < TUNE_PICTURE_CLASSES && us > best_us * classes[i].most) {
        i++;
    }
    return i;
}

const char *tune_picture_class_text(size_t class)
{
    return classes[class].text;
}

double tune_picture_best(const struct tune_picture *p)
{
    double best = INFINITY;
    for (size_t i = 0; i < p->n; i++) {
        best = p->us[i] > 0 ? fmin(best, p->us[i]) : best;
    }
    return best;
}

double tune_picture_top(double best, double worst)
{
    return fmin(worst, edge * best);
}

void tune_picture_label(const struct tune_picture *p, size_t i, struct buf *out)
{
    char time[PLOT_TIME_MAX] = "failed";
    if (p->us[i] > 0) {
        plot_time(p->us[i], 4, time);
    }
    tune_config_text(p->space, p->configs + i * p->space->n, out);
    buf_printf(out, ": %s", time);
}
