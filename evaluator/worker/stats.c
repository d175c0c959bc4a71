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

/* Samples to leave out at each end: the largest k with P(B <= k - 1) <= alpha / 2 for B of n fair
 * coins, each of which says whether a sample lies below the median. */
static size_t trim(size_t n, double alpha)
{
    double sum = 0, size = (double)n;
    for (size_t k = 0; k < n / 2; k++) {
        double at = (double)k;
        sum += exp(lgamma(size + 1) - lgamma(at + 1) - lgamma(size - at + 1) - size * M_LN2);
        if (sum > alpha / 2) {
            return k;
        }
    }
    return n / 2;
}

void stats_median(const double *samples, size_t n, double alpha, struct interval *ret)
{
    require(n >= 1);
    double *sorted = xcalloc(n, sizeof(*sorted));
    memcpy(sorted, samples, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_value);
    size_t out = trim(n, alpha), low = out > 0 ? out - 1 : 0;
    ret->median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    ret->lo = sorted[low];
    ret->hi = sorted[n - 1 - low];
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
