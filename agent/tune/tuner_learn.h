#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A forest that says which configs are likely good, learned from a tuner's samples as Helion's LFBO
 * does: class 1 are those at or under a quantile of the times, weighted by how far under; failures
 * are class 0. Private to this folder.
 */
#include "agent/tune/forest.h"
#include "agent/tune/tuner_algorithm.h"

struct learn_options {
    double quantile;
    unsigned trees;
    uint64_t seed;
};

/* Features of all told samples; n_features floats a row. NULL if all labels are the same (too little
   is known to tell good from bad); else forest_free it. */
struct forest *learn_fit(struct tuner *t, const struct learn_options *options);
/* P(good) of configs, row by row. */
void learn_rank(const struct tuner *t, const struct forest *forest, const uint16_t *configs,
                size_t n, float *ret_p);
/*
 * Picks k of n configs one after the other by p - penalty * mean similarity to those picked before
 * (the share of trees in which two fall in the same leaf). Returns how many; ret holds k.
 */
size_t learn_pick(const struct tuner *t, const struct forest *forest, const uint16_t *configs,
                  const float *p, size_t n, size_t k, double penalty, uint32_t *ret);
