/* SPDX-License-Identifier: MIT */
#include "agent/tune/tuner_learn.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* numpy's quantile: linear between neighbours. NAN of nothing. */
static double quantile_of(double *values, size_t n, double q)
{
    if (n == 0) {
        return (double)NAN;
    }
    qsort(values, n, sizeof(*values), by_value);
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;
    size_t high = MIN(low + 1, n - 1);
    return values[low] + (at - (double)low) * (values[high] - values[low]);
}

/* Labels and weights; false: all are one class. */
static bool label(const double *times, size_t n, double quantile, uint8_t *ret_label,
                  double *ret_weight)
{
    auto_free double *ran = xcalloc(n, sizeof(*ran));
    size_t n_ran = 0, good = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (times[i] > 0) {
            ran[n_ran++] = times[i];
        }
    }
    double most = quantile_of(ran, n_ran, quantile);
    for (size_t i = 0; i < n; i++) {
        ret_label[i] = times[i] <= most;
        ret_weight[i] = ret_label[i] ? MAX(1e-5, (most - times[i]) / most) : 1;
        good += ret_label[i];
        sum += ret_label[i] ? ret_weight[i] : 0;
    }
    for (size_t i = 0; i < n; i++) {
        ret_weight[i] *= ret_label[i] ? (double)good / sum : 1;
    }
    return good > 0 && good < n;
}

struct forest *learn_fit(struct tuner *t, const struct learn_options *options)
{
    size_t n = 0, d = t->space->n_features, most = MIN(t->n, (size_t)FOREST_SAMPLES_MAX);
    auto_free float *x = xcalloc(most * d + 1, sizeof(*x));
    auto_free double *times = xcalloc(most + 1, sizeof(*times));
    auto_free double *weights = xcalloc(most + 1, sizeof(*weights));
    auto_free uint8_t *labels = xcalloc(most + 1, sizeof(*labels));
    for (size_t i = t->n - most; i < t->n; i++) {
        if (!(t->samples[i].time < 0)) {
            tune_space_features(t->space, t->samples[i].config, x + n * d);
            times[n++] = t->samples[i].time;
        }
    }
    if (n == 0 || !label(times, n, options->quantile, labels, weights)) {
        return NULL;
    }
    struct forest_options forest = { .trees = options->trees, .seed = options->seed };
    return forest_fit(x, n, d, labels, weights, &forest);
}

void learn_rank(const struct tuner *t, const struct forest *forest, const uint16_t *configs,
                size_t n, float *ret_p)
{
    size_t d = t->space->n_features;
    auto_free float *x = xcalloc(n * d + 1, sizeof(*x));
    for (size_t i = 0; i < n; i++) {
        tune_space_features(t->space, configs + i * t->space->n, x + i * d);
    }
    forest_predict(forest, x, n, 1, ret_p);
}

size_t learn_pick(const struct tuner *t, const struct forest *forest, const uint16_t *configs,
                  const float *p, size_t n, size_t k, double penalty, uint32_t *ret)
{
    size_t d = t->space->n_features, trees = forest_trees(forest), picked = 0;
    auto_free float *x = xcalloc(n * d + 1, sizeof(*x));
    auto_free uint16_t *leaves = xcalloc(n * trees + 1, sizeof(*leaves));
    auto_free double *alike = xcalloc(n + 1, sizeof(*alike));
    auto_free bool *taken = xcalloc(n + 1, sizeof(*taken));
    for (size_t i = 0; i < n; i++) {
        tune_space_features(t->space, configs + i * t->space->n, x + i * d);
    }
    forest_leaves(forest, x, n, leaves);
    for (; picked < MIN(k, n); picked++) {
        size_t best = n;
        double best_score = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            double score = (double)p[i] - (picked ? penalty * alike[i] / (double)picked : 0);
            if (!taken[i] && score > best_score) {
                best = i;
                best_score = score;
            }
        }
        ret[picked] = (uint32_t)best;
        taken[best] = true;
        for (size_t i = 0; i < n; i++) {
            size_t same = 0;
            for (size_t tree = 0; tree < trees; tree++) {
                same += leaves[i * trees + tree] == leaves[best * trees + tree];
            }
            alike[i] += (double)same / (double)trees;
        }
    }
    return picked;
}
