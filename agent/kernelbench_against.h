#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What really differs between two runs: problem by problem (the same file in both, judged by the rule in both), by the
 * best candidate of each. A ratio is the other run's time over this one's, so above 1 this one is faster. Of the ratios the
 * geometric mean with its bootstrap interval and a sign test; of a single problem the interval that the two times'
 * own intervals leave, where they have one. A difference under 1 % is none.
 */
#include "agent/kernelbench_results.h"
#include "kernelbench/score.h"

enum { AGAINST_SHOWN = 10 };

struct against_pair {
    const struct result *mine, *other;
    double mine_us, other_us, ratio; /* 0: not both have a time */
    struct span span;                /* of the ratio; 0, 0: not known */
    bool differs;                    /* and the interval doesn't hold 1 */
};

struct against {
    enum rule rule;
    const char *mine_name, *other_name;
    size_t paired, changed_file, only_mine, only_other; /* problems */
    size_t faster, slower, same;                        /* by the 1 % rule */
    size_t surely_faster, surely_slower;                /* by their own intervals */
    double ratio, sign_p;                               /* geometric mean; 0: no pair has times */
    struct span span;
    size_t n_timed, n_gained, n_lost;
    struct against_pair timed[RESULTS_MAX]; /* largest difference first */
    struct against_pair gained[RESULTS_MAX], lost[RESULTS_MAX]; /* correct here alone, there alone */
    bool other_device, modelled; /* modelled: some of the times are a simulator's */
};

/* The first rule that was applied in both, or in this one. */
enum rule against_rule(const struct results *mine, const struct results *other);
/* The caller frees with free(). */
struct against *against_make(const struct results *mine, const char *mine_name, const struct results *other,
                             const char *other_name, enum rule rule, uint64_t seed);
/* "this run is 1.05x as fast (1.02 to 1.09)", "no difference shown ...". The caller frees. */
char *against_says(const struct against *against);
void against_print(const struct against *against);
json_t *against_json(const struct against *against);
