#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a small forest, grown from the samples told so far, expects of every config of a pool: the
 * log of the best time over its own, so more is better. Times above a quantile of the samples are cut
 * off, failures count as cut off: what's slow need not be told apart. Private to this folder.
 *
 * A slice looks at a part of the space, samples and quantile included: where the whole is dominated
 * by one hill, the others still have a slope.
 */
#include "agent/tune/tuner_pool.h"

/* Configs whose rank of this parameter is from low to high. */
struct guess_slice {
    size_t param;
    uint16_t low, high;
};

struct guess_options {
    double quantile;
    unsigned trees;
    uint64_t seed;
    const struct guess_slice *slice; /* NULL: the whole space */
};

enum { GUESS_LEAST = 4 };

/* False: fewer than GUESS_LEAST samples in there ran. ret_p holds pool->n. */
bool tuner_guess(const struct tuner *t, const struct tuner_pool *pool,
                 const struct guess_options *options, float *ret_p);
bool tuner_guess_inside(const struct guess_slice *slice, const uint16_t *config);
/* A random one: one choice of a parameter, or all values on one side of a cut through an ordered one. */
struct guess_slice tuner_guess_draw(struct tuner *t);
