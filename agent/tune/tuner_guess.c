/* SPDX-License-Identifier: MIT */
#include "agent/tune/tuner_guess.h"
#include "agent/tune/forest.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>

enum { FEW_VALUES = 4 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

bool tuner_guess_inside(const struct guess_slice *slice, const uint16_t *config)
{
    return !slice || (config[slice->param] >= slice->low && config[slice->param] <= slice->high);
}

struct guess_slice tuner_guess_draw(struct tuner *t)
{
    size_t i = rng_below(&t->rng, t->space->n);
    const struct tune_param *p = &t->space->params[i];
    if ((p->kind != TUNE_POW2 && p->kind != TUNE_NUMBER) || p->n <= FEW_VALUES) {
        uint16_t rank = (uint16_t)rng_below(&t->rng, p->n);
        return (struct guess_slice) { i, rank, rank };
    }
    uint16_t cut = (uint16_t)(1 + rng_below(&t->rng, p->n - 1));
    bool upper = rng_below(&t->rng, 2) > 0;
    return (struct guess_slice) { i, upper ? cut : 0, upper ? (uint16_t)(p->n - 1) : cut - 1 };
}

/* Features and times of what was told inside the slice; the times that ran go to `ran`, too. */
static size_t gather(const struct tuner *t, const struct tuner_pool *pool,
                     const struct guess_slice *slice, float *x, double *time, double *ran,
                     size_t *ret_ran)
{
    size_t n = 0, n_ran = 0, most = FOREST_SAMPLES_MAX;
    for (size_t i = 0; i < t->n && n < most; i++) {
        const struct tuner_sample *s = &t->samples[i];
        if (!(s->time < 0) && tuner_guess_inside(slice, s->config)) {
            tuner_pool_features(t, pool, s->config, x + n * pool->d);
            time[n++] = s->time;
            if (s->time > 0) {
                ran[n_ran++] = s->time;
            }
        }
    }
    *ret_ran = n_ran;
    return n;
}

bool tuner_guess(const struct tuner *t, const struct tuner_pool *pool,
                 const struct guess_options *options, float *ret_p)
{
    auto_free float *x = xcalloc(t->n * pool->d + 1, sizeof(*x));
    auto_free double *y = xcalloc(t->n + 1, sizeof(*y)), *ran = xcalloc(t->n + 1, sizeof(*ran));
    size_t n_ran, n = gather(t, pool, options->slice, x, y, ran, &n_ran);
    if (n_ran < GUESS_LEAST) {
        return false;
    }
    qsort(ran, n_ran, sizeof(*ran), by_value);
    double most = ran[(size_t)(options->quantile * (double)(n_ran - 1))];
    for (size_t i = 0; i < n; i++) {
        y[i] = -log((y[i] < most ? y[i] : most) / ran[0]);
    }
    struct forest_options how = { .trees = options->trees, .seed = options->seed };
    struct forest *forest = forest_fit_numbers(x, n, pool->d, y, NULL, &how);
    forest_predict(forest, pool->x, pool->n, 1, ret_p);
    forest_free(forest);
    return true;
}
