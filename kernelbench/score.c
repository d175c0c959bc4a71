/* SPDX-License-Identifier: MIT */
#include "kernelbench/score.h"
#include "base/rng.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>

const double score_points[SCORE_POINTS] = { 0, 0.5, 0.8, 1, 1.5, 2 };
const size_t score_ks[SCORE_K_MAX] = { 1, 2, 5, 10, 25 };

static const double normal_975 = 1.959963984540054; /* quantile of the standard normal */

double score_pass(size_t n, size_t correct, size_t k)
{
    double none = 1; /* that all of k drawn are wrong */
    if (n < correct + k) {
        return 1;
    }
    for (size_t i = 0; i < k; i++) {
        none *= (double)(n - correct - i) / (double)(n - i);
    }
    return 1 - none;
}

struct span score_wilson(size_t hits, size_t n)
{
    if (n == 0) {
        return (struct span) { 0, 0 };
    }
    double total = (double)n, p = (double)hits / total, z2 = normal_975 * normal_975;
    double middle = (p + z2 / (2 * total)) / (1 + z2 / total);
    double half = normal_975 / (1 + z2 / total) * sqrt(p * (1 - p) / total + z2 / (4 * total * total));
    return (struct span) { fmax(0, middle - half), fmin(1, middle + half) };
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct span score_bootstrap(const double *logs, size_t n, uint64_t seed)
{
    if (n < 2) {
        return (struct span) { 0, 0 };
    }
    struct rng rng;
    double *means = xcalloc(SCORE_RESAMPLES, sizeof(*means));
    rng_init(&rng, seed, rng_key("score"), n);
    for (size_t i = 0; i < SCORE_RESAMPLES; i++) {
        double sum = 0;
        for (size_t k = 0; k < n; k++) {
            sum += logs[rng_below(&rng, n)];
        }
        means[i] = sum / (double)n;
    }
    qsort(means, SCORE_RESAMPLES, sizeof(*means), by_size);
    size_t cut = SCORE_RESAMPLES / 40;
    struct span span = { exp(means[cut]), exp(means[SCORE_RESAMPLES - 1 - cut]) };
    free(means);
    return span;
}

double score_sign_test(size_t more, size_t less)
{
    size_t n = more + less, least = more < less ? more : less;
    double chance = 0;
    for (size_t i = 0; i <= least && n > 0; i++) {
        chance += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1)
                      - (double)n * log(2));
    }
    return n == 0 ? 1 : fmin(1, 2 * chance);
}

static void pass_of(const struct score_item *items, size_t n, struct score *s)
{
    for (size_t j = 0; j < SCORE_K_MAX; j++) {
        for (size_t i = 0; i < n; i++) {
            if (items[i].candidates >= score_ks[j]) {
                s->pass[j] += score_pass(items[i].candidates, items[i].right, score_ks[j]);
                s->pass_n[j]++;
            }
        }
        s->pass[j] /= s->pass_n[j] ? (double)s->pass_n[j] : 1;
    }
}

static void geomeans_of(const struct score_item *items, size_t n, uint64_t seed, struct score *s)
{
    double *timed = xcalloc(n + 1, sizeof(*timed)), *all = xcalloc(n + 1, sizeof(*all));
    double sum = 0;
    size_t n_timed = 0, n_all = 0;
    for (size_t i = 0; i < n; i++) {
        bool has_time = items[i].correct && items[i].speedup > 0;
        if (has_time) {
            timed[n_timed++] = log(items[i].speedup);
            sum += timed[n_timed - 1];
        }
        if (has_time || !items[i].correct) {
            all[n_all++] = has_time ? timed[n_timed - 1] : 0;
        }
    }
    s->timed = n_timed;
    s->geomean = n_timed ? exp(sum / (double)n_timed) : 0;
    bool known = n_timed || (n_all && s->correct == 0); /* of all that failed it is 1 */
    s->geomean_all = known ? exp(sum / (double)n_all) : 0;
    s->geomean_zero = s->correct == n ? s->geomean : 0;
    s->geomean_span = score_bootstrap(timed, n_timed, seed);
    s->geomean_all_span = known ? score_bootstrap(all, n_all, seed) : (struct span) { 0, 0 };
    free(timed);
    free(all);
}

void score_of(const struct score_item *items, size_t n, uint64_t seed, struct score *ret)
{
    struct score s = { .n = n };
    size_t hits[SCORE_POINTS] = { 0 };
    for (size_t i = 0; i < n; i++) {
        const struct score_item *item = &items[i];
        bool timed = item->correct && item->speedup > 0;
        s.correct += item->correct;
        s.sol += item->correct ? item->sol : 0;
        s.sol_n += item->correct && item->sol > 0;
        for (size_t p = 0; p < SCORE_POINTS; p++) {
            hits[p] += score_points[p] == 0 ? item->correct : timed && item->speedup > score_points[p];
        }
    }
    for (size_t p = 0; p < SCORE_POINTS; p++) {
        s.fast[p] = n ? (double)hits[p] / (double)n : 0;
        s.fast_span[p] = score_wilson(hits[p], n);
    }
    s.sol /= s.sol_n ? (double)s.sol_n : 1;
    geomeans_of(items, n, seed, &s);
    pass_of(items, n, &s);
    *ret = s;
}
