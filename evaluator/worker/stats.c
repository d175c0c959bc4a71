/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/stats.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void stats_median(const double *samples, size_t n, double z, struct interval *ret)
{
    require(n >= 1);
    double *sorted = xcalloc(n, sizeof(*sorted));
    memcpy(sorted, samples, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_value);
    /* Ranks from 1: below `low` lie as many as chance allows at this z. */
    double spread = z * sqrt((double)n) / 2;
    double low = floor((double)n / 2 - spread);
    double high = ceil((double)n / 2 + spread) + 1;
    ret->median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    ret->lo = sorted[low < 1 ? 0 : (size_t)low - 1];
    ret->hi = sorted[high > (double)n ? n - 1 : (size_t)high - 1];
    free(sorted);
}

double stats_width(const struct interval *interval)
{
    return interval->median > 0 ? (interval->hi - interval->lo) / interval->median : INFINITY;
}

const char *stats_relation(const struct interval *ratio)
{
    static const double band = 1.01;
    if (ratio->lo > band) {
        return "faster";
    }
    if (ratio->hi < 1 / band) {
        return "slower";
    }
    return ratio->lo >= 1 / band && ratio->hi <= band ? "same" : "ambiguous";
}
