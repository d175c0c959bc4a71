#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * How well a forest ranks: train it on few samples of a space, labelled as LFBO labels them (the
 * fastest tenth is class 1, weighted by how far below the threshold it is), rank the rest, and score
 * the ranking. For `bench forest` and for the test that holds ours against scikit-learn's.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "agent/tune/recorded.h"

struct forest_trial {
    size_t n_train, n_test, d;
    float *x; /* training rows first */
    uint8_t *label;   /* of all rows, by the training rows' threshold */
    uint8_t *top;     /* of the rows that are ranked: one of the fastest tenth of them */
    double *weight;   /* of training rows */
};

/* 40 features as a kernel's plan has them: powers of two, numbers, switches, choices. */
struct forest_trial *forest_trial_synthetic(size_t n_train, size_t n_test, uint64_t seed);
/* n_train random configs against all the others; n_train is at most half of them. */
struct forest_trial *forest_trial_recorded(const struct recorded *recorded, size_t n_train,
                                           uint64_t seed);
void forest_trial_free(struct forest_trial *trial); /* NULL is fine */

struct forest_score {
    double auc, precision, log_loss; /* precision: of the tenth ranked first */
};

/* p: of the rows that are ranked. Probabilities are kept half a tree away from 0 and 1. */
void forest_trial_score(const struct forest_trial *trial, const float *p, unsigned trees,
                        struct forest_score *ret);
/* For another implementation: three uint64 sizes, then x, label, top and weight as they lie here. */
int forest_trial_write(const struct forest_trial *trial, FILE *out);
