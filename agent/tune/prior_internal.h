#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside the prior. Times become y = ln(time / best of that tuning), at most PRIOR_WORST, which is
 * what a failure counts as. A view is one earlier tuning seen from another space: parameters are
 * matched by name and values by what they say; configs that it measured have its y, others what
 * a forest trained on it predicts.
 */
#include "agent/tune/prior.h"

#define PRIOR_WORST 2.302585092994046 /* ten times slower than the best */

struct prior_tuning {
    struct prior_place place;
    size_t n_params, n;
    struct tune_param *params;
    uint16_t *configs;
    float *y;
};

struct prior {
    struct arena *arena;
    struct prior_tuning *tunings;
    size_t n;
};

struct prior_view;

/* NULL if fewer than half of the space's parameters are the tuning's too. */
struct prior_view *prior_view_new(const struct prior_tuning *tuning, const struct tune_space *space,
                                  uint64_t seed);
void prior_view_free(struct prior_view *view); /* NULL is fine */
/* y of configs of the space. */
void prior_view_values(struct prior_view *view, const uint16_t *configs, size_t n, float *ret);
/* The fastest measured configs that the space allows, best first; returns how many. */
size_t prior_view_best(const struct prior_view *view, size_t most, uint16_t *ret_configs);

/* A Gaussian process over the space, as a sum of random waves (Rahimi and Recht 2007). */
enum { PRIOR_WAVES = 128 };
struct prior_waves;
struct prior_waves *prior_waves_new(const struct tune_space *space, uint64_t seed);
void prior_waves_free(struct prior_waves *waves); /* NULL is fine */
/* ret[n * PRIOR_WAVES]; a dot product with standard normal weights is the process at a config. */
void prior_waves_at(const struct prior_waves *waves, const uint16_t *configs, size_t n, float *ret);

enum { PRIOR_VIEWS_MAX = 12, PRIOR_DRAWS = 256 };

struct prior_guide {
    const struct tune_space *space;
    size_t n_views, n_parts; /* parts of the mixture: the views, and one that tells no config apart */
    size_t width;            /* of a row of the design: n_parts + PRIOR_WAVES */
    struct prior_view *views[PRIOR_VIEWS_MAX];
    double share[PRIOR_VIEWS_MAX + 1];
    struct prior_waves *waves;
    uint64_t seed;
    size_t n; /* candidates */
    uint16_t *configs;
    float *design; /* candidates' rows */
    float *draws;  /* [k * PRIOR_DRAWS + draw], k < width */
};

/* What was measured here, in y; the fastest first. */
struct prior_own {
    size_t n;
    float *design; /* n * width */
    double *t;
    double *gain; /* n * width: Cov(row of the design, weights) */
};

/* Prior draws into guide->draws. */
void prior_draw(struct prior_guide *guide);
/* ret[n * width]: y of every part, then the deviation's waves. */
void prior_design(const struct prior_guide *guide, const uint16_t *configs, size_t n, float *ret);
/* The fastest of what was measured; ret->n is 0 if nothing ran. */
void prior_own_read(const struct prior_guide *guide, const struct prior_sample *samples, size_t n,
                    struct prior_own *ret);
void prior_own_done(struct prior_own *own);
/* ret[n * PRIOR_DRAWS]: y of rows of the design on every draw. */
void prior_over_draws(const struct prior_guide *guide, const float *rows, size_t n,
                      const float *draws, float *restrict ret);
/* `draws`, a copy of the prior's, into draws given what was measured. */
void prior_condition(const struct prior_guide *guide, struct prior_own *own, float *draws);
