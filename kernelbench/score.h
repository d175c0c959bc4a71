#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Scores as KernelBench has them, and what they leave out. fast_p is the share of all problems that
 * were attempted whose candidate is correct and more than p times as fast as the baseline (Ouyang et
 * al., KernelBench, 2025); fast_0 is the share that is correct. The geometric mean is given over the
 * correct ones, as upstream does, and over all, a failure counted as 1x: who fails keeps the
 * baseline; counted as 0 it is 0 as soon as one fails. Degenerate problems, which a trivial candidate
 * passes, are the caller's to leave out.
 *
 * Intervals are of 95 %: Wilson's for shares (Wilson, 1927), percentiles of 2,000 seeded bootstrap
 * resamples of the problems for geometric means (Efron, 1979): how far the score would move had other
 * problems of this kind been asked. They say nothing of how well a single time was measured.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCORE_POINTS = 6, SCORE_RESAMPLES = 2000, SCORE_K_MAX = 5 };

/* 0, 0.5, 0.8, 1, 1.5, 2 */
extern const double score_points[SCORE_POINTS];
/* 1, 2, 5, 10, 25: of pass@k */
extern const size_t score_ks[SCORE_K_MAX];

/* One problem, by the best of its candidates. */
struct score_item {
    bool correct;
    double speedup; /* baseline's time over the candidate's; 0: not measured */
    double sol;     /* share of the speed of light; 0: not known */
    size_t candidates, right; /* how many there are, and how many are correct */
};

struct span {
    double lo, hi;
};

struct score {
    size_t n, correct, timed; /* timed: correct, with a speedup */
    double fast[SCORE_POINTS];
    struct span fast_span[SCORE_POINTS];
    double geomean; /* of those that are timed; 0: none */
    double geomean_all; /* of all, a failure as 1x (so 1 where all fail); of correct ones without a time none count */
    double geomean_zero; /* of all, a failure as 0 */
    struct span geomean_span, geomean_all_span; /* 0, 0: fewer than two */
    double pass[SCORE_K_MAX]; /* pass@k, the mean over the problems with k candidates and more */
    size_t pass_n[SCORE_K_MAX]; /* how many those are */
    double sol;  /* mean over correct ones where it is known */
    size_t sol_n;
};

void score_of(const struct score_item *items, size_t n, uint64_t seed, struct score *ret);

/* Unbiased: 1 - C(n-c, k) / C(n, k) (Chen et al., 2021); n >= k. */
double score_pass(size_t n, size_t correct, size_t k);
struct span score_wilson(size_t hits, size_t n);
/* Of exp(mean(logs)); 0, 0 for fewer than two. */
struct span score_bootstrap(const double *logs, size_t n, uint64_t seed);
/* Two-sided chance of a split this uneven if both sides were as likely. */
double score_sign_test(size_t more, size_t less);
