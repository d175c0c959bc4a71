#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a series of timed runs says: which samples count, their median, and how two series that were
 * taken in pairs compare. Pure functions, so that error rates can be tested without a GPU.
 *
 * The i-th samples of two series are a pair: taken one right after the other on the same inputs and
 * addresses, in an order drawn at random, so that what disturbs one mostly disturbs both. Two series
 * are held against each other by the median of the pairs' log-ratios and its interval, never by
 * their two medians.
 */
#include <stdbool.h>
#include <stddef.h>
#include "evaluator/worker/stats.h"

enum { SERIES_MAX = 1000 };

struct series {
    size_t n;
    double us[SERIES_MAX];  /* 0: a run that didn't start in time */
    double mhz[SERIES_MAX]; /* SM clock during the run, 0: not known */
};

/* The median of all known clocks; `other` may be NULL. 0 where none is known. */
double series_clock(const struct series *series, const struct series *other);

/* The samples that count, in order: those whose clock wasn't below 75 % of `clock`. */
size_t series_kept(const struct series *series, double clock, double *ret_us);

/* Median and interval of base / of, from the pairs where both count; ret->median is 0 without any. */
void series_ratio(const struct series *base, const struct series *of, double clock, double alpha,
                  struct interval *ret);

/* Is there any need of more samples? Not once the median's interval is within 1 % and, where there
 * is a baseline (else NULL), the ratio's as well and it says how the two compare. */
bool series_enough(const struct series *of, const struct series *base, double alpha);
