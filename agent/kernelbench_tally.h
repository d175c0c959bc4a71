#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Scores of groups of a run's problems: by rule, baseline, level and family. A degenerate problem is in none of
 * them, nor is one that nobody could be judged on; both are listed apart.
 */
#include "agent/kernelbench_results.h"
#include "kernelbench/score.h"

struct tally_group {
    enum rule rule;
    const char *baseline; /* NULL: correctness alone */
    int level;            /* 0: any */
    const char *family;   /* NULL: any */
    uint64_t seed;
};

/* What was spent on problems whose results say so. */
struct tally_cost {
    double usd, tokens, gpu_s, wall_s;
    size_t n; /* problems that say it */
};

/* Is the problem in the group, and was anything of it judged by its rule? A baseline that only some problems were
 * timed by (max_autotune, say) is scored on those, and on failures that PyTorch wasn't timed on at all; the rule's own
 * on all. */
bool tally_counts(const struct result *result, const struct tally_group *group);
/* The baseline's time over the best's, 0: not known; times of a simulator are compared with nothing. */
double tally_speedup(const struct result *result, enum rule rule, const char *baseline);
void tally_score(const struct results *results, const struct tally_group *group, struct score *ret);
/* `group` NULL: on all, those that are left out of scores among them. */
void tally_cost(const struct results *results, const struct tally_group *group, struct tally_cost *ret);
/* Candidates that an error left without a word by some rule that was asked: failures, as long as nobody runs them again. */
size_t tally_errors(const struct results *results);
/* What decided a candidate, for people: its status and the first of why. The caller frees. */
char *tally_status(const struct result *result, enum rule rule);

/* Names of the families there, sorted; how many. */
size_t tally_families(const struct results *results, const char *ret[RESULTS_MAX]);
/* Does the rule have times against this baseline in any group? */
bool tally_known(const struct results *results, enum rule rule, const char *baseline);
/* The same, and worth a row for people: a rule that times its own form of eager is shown against that one. */
bool tally_shown(const struct results *results, enum rule rule, const char *baseline);
/* The first rule that was applied, and the baseline it is headed by: its own, or the first that is known; NULL. */
enum rule tally_rule(const struct results *results);
const char *tally_baseline(const struct results *results, enum rule rule);

/* All of it as a program reads it; the caller's. */
json_t *tally_json(const struct results *results, uint64_t seed);
