#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The configs that a model ranks, with their features. A space that is listed and not too large lends
 * all of its configs; of any other one a random sample and the surroundings of the fastest ones are
 * drawn anew for every ranking. Private to this folder; lives as long as its tuner.
 *
 * Beside a parameter's own features (tune_space.h) come those that kernels live by: of every two
 * ordered parameters the log2 of product (threads of a block, elements of a tile) and of ratio, and
 * of each how often two divides it.
 */
#include "agent/tune/tuner_algorithm.h"

enum { POOL_LISTED_MAX = 20000 };

struct tuner_pool {
    size_t n, d;
    const uint16_t *configs; /* n rows */
    const float *x;          /* n rows of d */
    const bool *taken;       /* asked for, or tuner_pool_take */
    /* How they're made. */
    size_t n_ordered;
    const size_t *ordered;
    const float *const *log2s, *const *twos; /* of every value of an ordered parameter */
    bool whole;
    size_t synced; /* samples that are marked */
    uint16_t *drawn;
    float *own_x;
    bool *own_taken;
};

/* `whole`: the listed configs, if there are not too many. */
struct tuner_pool *tuner_pool_new(struct tuner *t, bool whole);
/* Before a ranking: marks what was asked for meanwhile, or draws anew. */
void tuner_pool_refresh(struct tuner *t, struct tuner_pool *pool);
/* No further pick of it until the next refresh (forever, once it's asked for). */
void tuner_pool_take(struct tuner_pool *pool, size_t row, bool taken);
const uint16_t *tuner_pool_config(const struct tuner *t, const struct tuner_pool *pool, size_t row);
void tuner_pool_features(const struct tuner *t, const struct tuner_pool *pool,
                         const uint16_t *config, float *ret);
