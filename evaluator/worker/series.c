/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/series.h"
#include "base/util.h"

#include <math.h>

static const double clock_lowest = 0.75; /* of the median clock, as nvbench has it */
static const double width_wanted = 0.01;

double series_clock(const struct series *series, const struct series *other)
{
    const struct series *both[] = { series, other };
    double known[2 * SERIES_MAX];
    size_t n = 0;
    for (size_t k = 0; k < ARRAY_LEN(both); k++) {
        for (size_t i = 0; both[k] && i < both[k]->n; i++) {
            if (both[k]->mhz[i] > 0) {
                known[n++] = both[k]->mhz[i];
            }
        }
    }
    struct interval clock = { 0 };
    if (n) {
        stats_median(known, n, STATS_ALPHA_ONE, &clock);
    }
    return clock.median;
}

static bool counts(const struct series *s, size_t i, double clock)
{
    return s->us[i] > 0 && (s->mhz[i] <= 0 || s->mhz[i] >= clock_lowest * clock);
}

size_t series_kept(const struct series *series, double clock, double *ret_us)
{
    size_t n = 0;
    for (size_t i = 0; i < series->n; i++) {
        if (counts(series, i, clock)) {
            ret_us[n++] = series->us[i];
        }
    }
    return n;
}

void series_ratio(const struct series *base, const struct series *of, double clock, double alpha,
                  struct interval *ret)
{
    double ratios[SERIES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < MIN(base->n, of->n); i++) {
        if (counts(base, i, clock) && counts(of, i, clock)) {
            ratios[n++] = log(base->us[i] / of->us[i]);
        }
    }
    *ret = (struct interval) { 0 };
    if (n) {
        struct interval log_ratio;
        stats_median(ratios, n, alpha, &log_ratio);
        *ret = (struct interval) { exp(log_ratio.median), exp(log_ratio.lo), exp(log_ratio.hi) };
    }
}

bool series_enough(const struct series *of, const struct series *base, double alpha)
{
    double us[SERIES_MAX], clock = series_clock(of, base);
    size_t n = series_kept(of, clock, us);
    struct interval interval;
    if (n == 0) {
        return false;
    }
    stats_median(us, n, alpha, &interval);
    if (stats_width(&interval) > width_wanted || !base) {
        return stats_width(&interval) <= width_wanted;
    }
    series_ratio(base, of, clock, alpha, &interval);
    return interval.median > 0 && stats_width(&interval) <= width_wanted
        && !str_eq(stats_relation(&interval), "ambiguous");
}
