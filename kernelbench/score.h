#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Scores as KernelBench has them, and what they leave out. fast_p is the share of all problems that
 * were attempted whose candidate is correct and more than p times as fast as the baseline (Ouyang et
 * al., KernelBench, 2025); fast_0 is the share that is correct. The geometric mean is given over the
 * correct ones, as upstream does, and over all, a failure counted as 1x: who fails keeps the
 * baseline. Degenerate problems, which a trivial candidate passes, are the caller's to leave out.
 */
#include <stdbool.h>
#include <stddef.h>

enum { SCORE_POINTS = 6 };

/* 0, 0.5, 0.8, 1, 1.5, 2 */
extern const double score_points[SCORE_POINTS];

/* One problem, by the best of its candidates. */
struct score_item {
    bool correct;
    double speedup; /* baseline's time over the candidate's; 0: not measured */
    double pass;    /* share of its candidates that are correct: pass@1 */
};

struct score {
    size_t n, correct, timed; /* timed: correct, with a speedup */
    double fast[SCORE_POINTS];
    double geomean;     /* of those that are timed; 0: none */
    double geomean_all; /* of all, a failure as 1x; of correct ones without a time none count */
    double pass;        /* pass@1, the mean over problems */
};

void score_of(const struct score_item *items, size_t n, struct score *ret);
