#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Statistics of timings: the median and an interval of it by order statistics (no assumption about
 * the distribution: David and Nagaraja, Order Statistics, 3rd ed., section 7.1). Pure functions.
 */
#include <stddef.h>

struct interval {
    double median, lo, hi;
};

/* Chance of an interval that misses: 5 %, and 5 % shared out over the four looks at 30, 60, 120 and
 * 240 samples. */
#define STATS_ALPHA_ONE 0.05
#define STATS_ALPHA_FOUR_LOOKS 0.0125

/* n >= 1; with few samples the interval is their whole range. The input stays as it is. */
void stats_median(const double *samples, size_t n, double alpha, struct interval *ret);

/* (hi - lo) / median. */
double stats_width(const struct interval *interval);

/* How two medians compare when a difference under 1 % counts as none; `ratio` is baseline over
 * candidate: "faster", "same", "slower", or "ambiguous" where the interval doesn't say. */
const char *stats_relation(const struct interval *ratio);
