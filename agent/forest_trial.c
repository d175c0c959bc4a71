/* SPDX-License-Identifier: MIT */
#include "agent/forest_trial.h"
#include "base/util.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 40 };

struct ranked {
    double key;
    uint32_t row;
};

static int by_key(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (x->row > y->row) - (x->row < y->row);
}

static struct ranked *sorted(const double *key, size_t n)
{
    struct ranked *ret = xcalloc(n + 1, sizeof(*ret));
    for (size_t i = 0; i < n; i++) {
        ret[i] = (struct ranked) { isnan(key[i]) ? INFINITY : key[i], (uint32_t)i };
    }
    qsort(ret, n, sizeof(*ret), by_key);
    return ret;
}

static struct forest_trial *trial_new(size_t n_train, size_t n_test, size_t d)
{
    struct forest_trial *trial = xcalloc(1, sizeof(*trial));
    trial->n_train = n_train;
    trial->n_test = n_test;
    trial->d = d;
    trial->x = xcalloc((n_train + n_test) * d + 1, sizeof(*trial->x));
    trial->label = xcalloc(n_train + n_test + 1, 1);
    trial->top = xcalloc(n_test + 1, 1);
    trial->weight = xcalloc(n_train + 1, sizeof(*trial->weight));
    return trial;
}

/* Labels and weights from times; NAN: failed. The threshold is numpy's quantile(finite, 0.1). */
static void label_rows(struct forest_trial *trial, const double *time)
{
    auto_free struct ranked *train = sorted(time, trial->n_train);
    auto_free struct ranked *test = sorted(time + trial->n_train, trial->n_test);
    size_t finite = 0;
    while (finite < trial->n_train && isfinite(train[finite].key)) {
        finite++;
    }
    double at = finite > 0 ? 0.1 * (double)(finite - 1) : 0, sum = 0, ones = 0;
    size_t low = (size_t)at, high = MIN(low + 1, finite > 0 ? finite - 1 : 0);
    double threshold = train[low].key + (at - (double)low) * (train[high].key - train[low].key);
    for (size_t i = 0; i < trial->n_train + trial->n_test; i++) {
        trial->label[i] = time[i] <= threshold;
    }
    for (size_t i = 0; i < trial->n_train; i++) {
        trial->weight[i] = trial->label[i] ? fmax(1e-5, threshold - time[i]) : 1;
        sum += trial->label[i] ? trial->weight[i] : 0;
        ones += trial->label[i];
    }
    for (size_t i = 0; i < trial->n_train; i++) {
        trial->weight[i] /= trial->label[i] ? sum / ones : 1;
    }
    for (size_t i = 0; i < trial->n_test / 10; i++) {
        trial->top[test[i].row] = 1;
    }
}

/* Ten powers of two, five numbers, five switches, four choices of five; some of it interacts. */
static double synthetic_row(struct rng *rng, const double *slope, float *x)
{
    double log_time = 0;
    for (size_t f = 0; f < 20; f++) {
        uint64_t values = f < 10 ? 8 : f < 15 ? 16 : 2;
        x[f] = (float)rng_below(rng, values);
        double t = (double)x[f] / (double)(values - 1) - slope[FEATURES + f];
        log_time += fabs(slope[f]) * t * t;
    }
    for (size_t c = 0; c < 4; c++) {
        size_t choice = (size_t)rng_below(rng, 5);
        x[20 + 5 * c + choice] = 1;
        log_time += 0.3 * slope[20 + 5 * c + choice];
    }
    log_time += x[0] + x[1] > 9 ? 0.8 : 0; /* too much shared memory, say */
    log_time += x[15] > 0 && x[2] < 3 ? -0.4 : 0;
    return exp(log_time + 0.02 * rng_normal(rng));
}

struct forest_trial *forest_trial_synthetic(size_t n_train, size_t n_test, uint64_t seed)
{
    struct forest_trial *trial = trial_new(n_train, n_test, FEATURES);
    auto_free double *time = xcalloc(n_train + n_test, sizeof(*time));
    double slope[2 * FEATURES];
    struct rng rng;
    rng_init(&rng, seed, rng_key("forest trial"), 0);
    for (size_t i = 0; i < ARRAY_LEN(slope); i++) {
        slope[i] = i < FEATURES ? rng_normal(&rng) : rng_unit(&rng);
    }
    for (size_t i = 0; i < n_train + n_test; i++) {
        time[i] = synthetic_row(&rng, slope, trial->x + i * FEATURES);
    }
    label_rows(trial, time);
    return trial;
}

struct forest_trial *forest_trial_recorded(const struct recorded *recorded, size_t n_train,
                                           uint64_t seed)
{
    const struct tune_space *space = recorded->space;
    size_t n = space->n_listed;
    n_train = MIN(n_train, n / 2);
    struct forest_trial *trial = trial_new(n_train, n - n_train, space->n_features);
    auto_free double *time = xcalloc(n, sizeof(*time));
    auto_free uint32_t *order = xcalloc(n, sizeof(*order));
    struct rng rng;
    rng_init(&rng, seed, rng_key("forest trial"), 1);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t j = rng_below(&rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < n; i++) {
        tune_space_features(space, space->listed + order[i] * space->n, trial->x + i * trial->d);
        time[i] = recorded->times[order[i]];
    }
    label_rows(trial, time);
    return trial;
}

void forest_trial_free(struct forest_trial *trial)
{
    if (trial) {
        free(trial->x);
        free(trial->label);
        free(trial->top);
        free(trial->weight);
        free(trial);
    }
}

/* Mann and Whitney's statistic, ties counted half. */
static double auc(const struct ranked *order, const uint8_t *label, size_t n)
{
    double ones = 0, zeros = 0, sum = 0;
    for (size_t i = 0; i < n;) {
        double one = 0, zero = 0;
        size_t j = i;
        for (; j < n && order[j].key == order[i].key; j++) {
            one += label[order[j].row];
            zero += !label[order[j].row];
        }
        sum += one * (zeros + zero / 2);
        ones += one;
        zeros += zero;
        i = j;
    }
    return ones > 0 && zeros > 0 ? sum / (ones * zeros) : 0.5;
}

/* Of the m ranked first; those with equal p as the last of them count by their mean. */
static double precision(const struct ranked *order, const uint8_t *top, size_t n, size_t m)
{
    double hits = 0;
    for (size_t i = n; i > n - m;) {
        size_t j = i;
        double here = 0;
        for (; j > 0 && order[j - 1].key == order[i - 1].key; j--) {
            here += top[order[j - 1].row];
        }
        double taken = (double)(i - MAX(j, n - m));
        hits += here * taken / (double)(i - j);
        i = MAX(j, n - m);
    }
    return m > 0 ? hits / (double)m : 0;
}

void forest_trial_score(const struct forest_trial *trial, const float *p, unsigned trees,
                        struct forest_score *ret)
{
    size_t n = trial->n_test;
    const uint8_t *label = trial->label + trial->n_train;
    auto_free double *key = xcalloc(n + 1, sizeof(*key));
    double edge = 0.5 / trees, loss = 0;
    for (size_t i = 0; i < n; i++) {
        key[i] = (double)p[i];
        double q = fmin(1 - edge, fmax(edge, (double)p[i]));
        loss -= log(label[i] ? q : 1 - q);
    }
    auto_free struct ranked *order = sorted(key, n);
    *ret = (struct forest_score) { auc(order, label, n), precision(order, trial->top, n, n / 10),
                                   loss / (double)MAX(n, (size_t)1) };
}

int forest_trial_write(const struct forest_trial *trial, FILE *out)
{
    const uint64_t sizes[3] = { trial->n_train, trial->n_test, trial->d };
    size_t rows = trial->n_train + trial->n_test;
    fwrite(sizes, sizeof(sizes), 1, out);
    fwrite(trial->x, sizeof(*trial->x), rows * trial->d, out);
    fwrite(trial->label, 1, rows, out);
    fwrite(trial->top, 1, trial->n_test, out);
    fwrite(trial->weight, sizeof(*trial->weight), trial->n_train, out);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
