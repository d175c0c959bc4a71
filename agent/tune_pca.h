#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Principal components of configs: their features (tune_space_features), each standardised over the
 * configs, projected on the two directions of largest variance (Pearson 1901), found by power
 * iteration. Features that never change are left out. The same configs give the same picture: the
 * sign is chosen so that the largest loading is positive.
 */
#include "agent/tune/tune_space.h"

struct tune_pca {
    double *xy;         /* two a config */
    double share[2];    /* of the variance; 0 where there is no such component */
    double *loading[2]; /* a parameter: what it adds, signed where it has one feature */
};

/* All of `ret` lives in the arena. */
void tune_pca(const struct tune_space *space, const uint16_t *configs, size_t n,
              struct arena *arena, struct tune_pca *ret);
