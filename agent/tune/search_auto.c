/* SPDX-License-Identifier: MIT */
/*
 * The default, a portfolio of three over one model (tuner_guess.h), all over the whole space or,
 * where it's too large, over a pool of it (tuner_pool.h):
 *
 * - The config that a small forest promises most of, every pick by a forest of its own, so that picks
 *   differ as far as the samples leave room for doubt (Thompson sampling). It's also why picks can be
 *   asked for while results are outstanding.
 * - A single step from one of the fastest configs that are unlike each other, the one that all forests
 *   together like best: a model that is wrong about a hill is corrected by climbing it.
 * - The longer nothing better was found, the more picks go to a random slice of the space, by a
 *   forest that knows that slice alone: other hills.
 */
#include "agent/tune/tuner_guess.h"
#include "base/util.h"

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
    FLAG_SLICES,
    FLAG_STALL,
    FLAG_LISTED,
};

enum { ELITES_MAX = 64, BATCH_MAX = 64 };

static const struct tuner_flag flags[] = {
    [FLAG_INITIAL] = { "initial", 12, 2, 1e5, NULL, "random configs to start from" },
    [FLAG_BATCH] = { "batch", 5, 1, BATCH_MAX, NULL, "picks between two fits: forests a fit" },
    [FLAG_TREES] = { "trees", 10, 1, 1000, NULL, "a forest" },
    [FLAG_QUANTILE] = { "quantile", 0.3, 0.01, 1, NULL, "times above it are cut off" },
    [FLAG_STEPS] = { "steps", 0.5, 0, 1, NULL, "share of picks that are steps from the fastest" },
    [FLAG_ELITES] = { "elites", 8, 1, ELITES_MAX, NULL, "fastest ones that are stepped from" },
    [FLAG_APART] = { "apart", 3, 1, TUNE_PARAMS_MAX, NULL, "parameters they differ in" },
    [FLAG_SLICES] = { "slices", 0.8, 0, 1, NULL, "share of picks in slices, once stalled" },
    [FLAG_STALL] = { "stall", 40, 1, 1e6, NULL,
                     "evaluations without gain before slices; their whole share after thrice that" },
    [FLAG_LISTED] = { "listed", 1, 0, 1, NULL, "0: as if the space couldn't be listed" },
    { .name = NULL },
};

struct blend {
    struct tuner_pool *pool;
    uint32_t *batch;
    size_t n, at;
    size_t n_elites;
    const uint16_t *elites[ELITES_MAX];
    float *p, *mean, *sliced; /* batch * rows, rows, rows */
    size_t rows;              /* there's room for */
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

static struct guess_options how(struct tuner *t, const struct guess_slice *slice)
{
    return (struct guess_options) { .quantile = t->flags[FLAG_QUANTILE],
                                    .trees = (unsigned)t->flags[FLAG_TREES],
                                    .seed = rng_u64(&t->rng), .slice = slice };
}

/* One forest a pick, and the mean of them all; false: too little ran yet. */
static bool predict(struct tuner *t, struct blend *s)
{
    size_t n = s->pool->n, k = (size_t)t->flags[FLAG_BATCH];
    if (s->rows < n) {
        s->p = arena_alloc(t->arena, k * n, sizeof(*s->p));
        s->mean = arena_alloc(t->arena, n, sizeof(*s->mean));
        s->sliced = arena_alloc(t->arena, n, sizeof(*s->sliced));
        s->rows = n;
    }
    memset(s->mean, 0, n * sizeof(*s->mean));
    for (size_t i = 0; i < k; i++) {
        struct guess_options options = how(t, NULL);
        float *p = s->p + i * s->rows;
        if (!tuner_guess(t, s->pool, &options, p)) {
            return false;
        }
        for (size_t row = 0; row < n; row++) {
            s->mean[row] += p[row] / (float)k;
        }
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

/* The row of the largest p that isn't taken: one parameter away from `near`, if given, and inside of
   the slice. -1: none. */
static int64_t best_row(const struct tuner *t, const struct blend *s, const float *p,
                        const uint16_t *near, const struct guess_slice *slice)
{
    const struct tuner_pool *pool = s->pool;
    int64_t best = -1;
    double best_p = 0;
    for (size_t i = 0; i < pool->n; i++) {
        double score = (double)p[i] + 1e-3 * (double)s->mean[i];
        const uint16_t *config = tuner_pool_config(t, pool, i);
        if (!pool->taken[i] && (best < 0 || score > best_p)
            && (!near || apart(t, near, config) == 1) && tuner_guess_inside(slice, config)) {
            best = (int64_t)i;
            best_p = score;
        }
    }
    return best;
}

/* The share of picks that look elsewhere, by how long ago the best was asked for. */
static double slice_share(const struct tuner *t)
{
    const struct tuner_sample *best = tuner_best(t);
    double since = best ? (double)(t->n - (size_t)(best - t->samples)) : 0;
    double stalled = (since / t->flags[FLAG_STALL] - 1) / 2;
    return t->flags[FLAG_SLICES] * MIN(MAX(stalled, 0), 1);
}

static int64_t pick_one(struct tuner *t, struct blend *s, size_t i)
{
    int64_t row = -1;
    if (rng_unit(&t->rng) < slice_share(t)) {
        struct guess_slice slice = tuner_guess_draw(t);
        struct guess_options options = how(t, &slice);
        if (tuner_guess(t, s->pool, &options, s->sliced)) {
            row = best_row(t, s, s->sliced, NULL, &slice);
        }
    } else if (rng_unit(&t->rng) < t->flags[FLAG_STEPS]) {
        row = best_row(t, s, s->mean, s->elites[rng_below(&t->rng, s->n_elites)], NULL);
    }
    return row < 0 ? best_row(t, s, s->p + i * s->rows, NULL, NULL) : row;
}

static void pick(struct tuner *t, struct blend *s)
{
    s->n = s->at = 0;
    tuner_pool_refresh(t, s->pool);
    if (!predict(t, s)) {
        return;
    }
    choose_elites(t, s);
    for (size_t i = 0; i < (size_t)t->flags[FLAG_BATCH]; i++) {
        int64_t row = pick_one(t, s, i);
        if (row >= 0) {
            s->batch[s->n++] = (uint32_t)row;
            tuner_pool_take(s->pool, (size_t)row, true);
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        tuner_pool_take(s->pool, s->batch[i], false);
    }
}

static bool next_auto(struct tuner *t, uint16_t *ret_config)
{
    struct blend *s = t->state;
    if (t->n < t->flags[FLAG_INITIAL]) {
        return tuner_draw(t, ret_config);
    }
    if (s->at == s->n) {
        pick(t, s);
    }
    while (s->at < s->n) {
        const uint16_t *config = tuner_pool_config(t, s->pool, s->batch[s->at++]);
        if (!tuner_asked(t, config)) {
            memcpy(ret_config, config, tuner_row_bytes(t));
            return true;
        }
    }
    return tuner_draw(t, ret_config);
}

const struct algorithm search_auto = { "auto", flags, open_auto, next_auto, NULL, NULL };
