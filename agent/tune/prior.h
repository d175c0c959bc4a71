#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Proposals learned from earlier tunings: of the same kernel on other devices or other shapes, of
 * other kernels of the family. A handful at once, before anything was measured, and better ones with
 * every measurement.
 *
 * A device that wasn't tuned yet is taken for a mixture of those that were, the more similar ones with
 * more weight, plus a smooth deviation over the space (a Gaussian process). Hundreds of such devices
 * are drawn, and configs are proposed one after another so that the expected best of all of them grows
 * most: a hedge, not one guess and its neighbours. Own measurements condition the draws.
 *
 * A prior owns copies of all it was given. Pure and seeded.
 */
#include "agent/tune/tune_space.h"

struct prior_size {
    const char *name; /* of the task's shape: "rows" */
    double value;
};

/* Where a tuning was measured, or will be. NULL or 0: unknown, and then not held against anything. */
struct prior_place {
    const char *kernel, *family, *vendor, *arch;
    double sm_count, bandwidth, flops, l2, shared; /* any unit, the same for all */
    size_t n_shape;
    const struct prior_size *shape;
};

struct prior;

struct prior *prior_new(void);
void prior_free(struct prior *prior); /* NULL is fine */
/* An earlier tuning: n configs as ranks of its own params, and times (NAN: failed; any unit). Left out
   if none ran. */
void prior_add(struct prior *prior, const struct prior_place *place, const struct tune_param *params,
               size_t n_params, const uint16_t *configs, const double *times, size_t n);
size_t prior_tunings(const struct prior *prior);

/* How much a tuning at `there` says about one at `here`: 1 for the same place, always over 0. */
double prior_similarity(const struct prior_place *here, const struct prior_place *there);

struct prior_guide;

/* NULL if no earlier tuning shares half of the space's parameters. Prior and space must outlive it. */
struct prior_guide *prior_guide_new(const struct prior *prior, const struct prior_place *here,
                                    const struct tune_space *space, uint64_t seed);
void prior_guide_free(struct prior_guide *guide); /* NULL is fine */
/* How many tunings it draws on. */
size_t prior_guide_tunings(const struct prior_guide *guide);

struct prior_sample {
    const uint16_t *config;
    double time; /* NAN: failed; < 0: asked for, not told yet */
};

/* The `most` configs to be measured next, best first, none of them among what was measured here (`own`,
   any unit of time). Returns how many there were. */
size_t prior_guide_next(struct prior_guide *guide, const struct prior_sample *own, size_t n_own,
                        size_t most, uint16_t *ret_configs);
