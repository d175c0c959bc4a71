/* SPDX-License-Identifier: MIT */
/*
 * The default. Small forests predict the log of the time over all configs (or, where they are too
 * many, over a pool of them), with times above a quantile cut off: what's slow need not be told apart.
 * Half of the picks go where one such forest promises most, every pick by a forest of its own, so
 * that they differ as far as the samples leave room for doubt (Thompson sampling); it's also why
 * picks can be asked for while results are outstanding. The other half are single steps from one of
 * the fastest configs that are unlike each other, the step that all forests together like best: a
 * model that is wrong about a hill is corrected by climbing it.
 */
#include "agent/tune/forest.h"
#include "agent/tune/tuner_pool.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLAG_INITIAL,
    FLAG_BATCH,
    FLAG_TREES,
    FLAG_QUANTILE,
    FLAG_STEPS,
    FLAG_ELITES,
    FLAG_APART,
    FLAG_LISTED,
};

enum { ELITES_MAX = 64, BATCH_MAX = 64 };

static const struct tuner_flag flags[] = {
    [FLAG_INITIAL] = { "initial", 30, 2, 1e5, NULL, "random configs to start from" },
    [FLAG_BATCH] = { "batch", 10, 1, BATCH_MAX, NULL, "picks between two fits: forests a fit" },
    [FLAG_TREES] = { "trees", 10, 1, 1000, NULL, "a forest" },
    [FLAG_QUANTILE] = { "quantile", 0.3, 0.01, 1, NULL, "times above it are cut off" },
    [FLAG_STEPS] = { "steps", 0.5, 0, 1, NULL, "share of picks that are steps from the fastest" },
    [FLAG_ELITES] = { "elites", 8, 1, ELITES_MAX, NULL, "fastest ones that are stepped from" },
    [FLAG_APART] = { "apart", 3, 1, TUNE_PARAMS_MAX, NULL, "parameters they differ in" },
    [FLAG_LISTED] = { "listed", 1, 0, 1, NULL, "0: as if the space couldn't be listed" },
    { .name = NULL },
};

struct blend {
    struct pool *pool;
    uint32_t *batch;
    size_t n, at;
    size_t n_elites;
    const uint16_t *elites[ELITES_MAX];
    float *p, *mean; /* batch * pool rows, pool rows */
    size_t rows;
};

static int open_auto(struct tuner *t, struct err *err)
{
    (void)err;
    struct blend *s = arena_alloc(t->arena, 1, sizeof(*s));
    s->pool = tuner_pool_new(t, t->flags[FLAG_LISTED] > 0);
    s->batch = arena_alloc(t->arena, BATCH_MAX, sizeof(*s->batch));
    t->state = s;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* -log(time / best) of what was told, cut off; 0 is the best. Returns how many. */
static size_t targets(const struct tuner *t, const struct pool *pool, float *x, double *ret)
{
    auto_free double *ran = xcalloc(t->n + 1, sizeof(*ran));
    size_t n = 0, n_ran = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->samples[i].time > 0) {
            ran[n_ran++] = t->samples[i].time;
        }
    }
    if (n_ran == 0) {
        return 0;
    }
    qsort(ran, n_ran, sizeof(*ran), by_value);
    double most = ran[(size_t)(t->flags[FLAG_QUANTILE] * (double)(n_ran - 1))];
    for (size_t i = 0; i < t->n; i++) {
        double time = t->samples[i].time;
        if (!(time < 0)) {
            pool_features(t, pool, t->samples[i].config, x + n * pool->d);
            ret[n++] = -log((time < most ? time : most) / ran[0]);
        }
    }
    return n;
}

/* One forest a pick, and the mean of them all; false: nothing ran yet. */
static bool predict(struct tuner *t, struct blend *s)
{
    struct pool *pool = s->pool;
    size_t most = MIN(t->n, (size_t)FOREST_SAMPLES_MAX), k = (size_t)t->flags[FLAG_BATCH];
    auto_free float *x = xcalloc(t->n * pool->d + 1, sizeof(*x));
    auto_free double *y = xcalloc(t->n + 1, sizeof(*y));
    size_t n = MIN(targets(t, pool, x, y), most);
    if (n == 0) {
        return false;
    }
    if (s->rows < pool->n) {
        s->p = arena_alloc(t->arena, k * pool->n, sizeof(*s->p));
        s->mean = arena_alloc(t->arena, pool->n, sizeof(*s->mean));
        s->rows = pool->n;
    }
    memset(s->mean, 0, pool->n * sizeof(*s->mean));
    for (size_t i = 0; i < k; i++) {
        struct forest_options options = { .trees = (unsigned)t->flags[FLAG_TREES],
                                          .seed = t->seed * 0x9e3779b97f4a7c15u + t->n * 64 + i };
        struct forest *forest = forest_fit_numbers(x, n, pool->d, y, NULL, &options);
        float *p = s->p + i * s->rows;
        forest_predict(forest, pool->x, pool->n, 1, p);
        for (size_t row = 0; row < pool->n; row++) {
            s->mean[row] += p[row] / (float)k;
        }
        forest_free(forest);
    }
    return true;
}

static size_t apart(const struct tuner *t, const uint16_t *a, const uint16_t *b)
{
    size_t n = 0;
    for (size_t i = 0; i < t->space->n; i++) {
        n += a[i] != b[i];
    }
    return n;
}

/* The fastest of every neighbourhood. */
static void choose_elites(struct tuner *t, struct blend *s)
{
    auto_free const struct tuner_sample **fast = xcalloc(t->n + 1, sizeof(*fast));
    size_t n = tuner_fastest(t, t->n, fast), need = (size_t)t->flags[FLAG_APART];
    s->n_elites = 0;
    for (size_t i = 0; i < n && s->n_elites < t->flags[FLAG_ELITES]; i++) {
        bool far = true;
        for (size_t k = 0; k < s->n_elites && far; k++) {
            far = apart(t, s->elites[k], fast[i]->config) >= MIN(need, t->space->n);
        }
        if (far) {
            s->elites[s->n_elites++] = fast[i]->config;
        }
    }
}

/* The untaken row of the largest p; with `near`, among those one parameter away. -1: none. */
static int64_t best_row(const struct tuner *t, const struct blend *s, const float *p,
                        const uint16_t *near)
{
    const struct pool *pool = s->pool;
    int64_t best = -1;
    double best_p = 0;
    for (size_t i = 0; i < pool->n; i++) {
        double score = (double)p[i] + 1e-3 * (double)s->mean[i];
        if (!pool->taken[i] && (best < 0 || score > best_p)
            && (!near || apart(t, near, pool_config(t, pool, i)) == 1)) {
            best = (int64_t)i;
            best_p = score;
        }
    }
    return best;
}

static void pick(struct tuner *t, struct blend *s)
{
    size_t most = (size_t)t->flags[FLAG_BATCH];
    s->n = s->at = 0;
    pool_refresh(t, s->pool);
    if (!predict(t, s)) {
        return;
    }
    choose_elites(t, s);
    for (size_t i = 0; i < most; i++) {
        int64_t row = -1;
        if (rng_unit(&t->rng) < t->flags[FLAG_STEPS]) {
            row = best_row(t, s, s->mean, s->elites[rng_below(&t->rng, s->n_elites)]);
        }
        row = row < 0 ? best_row(t, s, s->p + i * s->rows, NULL) : row;
        if (row >= 0) {
            s->batch[s->n++] = (uint32_t)row;
            pool_take(s->pool, (size_t)row, true);
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        pool_take(s->pool, s->batch[i], false);
    }
}

static bool next_auto(struct tuner *t, uint16_t *ret_config)
{
    struct blend *s = t->state;
    if (t->n < t->flags[FLAG_INITIAL] || t->n_told == 0) {
        return tuner_draw(t, ret_config);
    }
    if (s->at == s->n) {
        pick(t, s);
    }
    while (s->at < s->n) {
        const uint16_t *config = pool_config(t, s->pool, s->batch[s->at++]);
        if (!tuner_asked(t, config)) {
            memcpy(ret_config, config, tuner_row_bytes(t));
            return true;
        }
    }
    return tuner_draw(t, ret_config);
}

const struct algorithm search_auto = { "auto", flags, open_auto, next_auto, NULL, NULL };
