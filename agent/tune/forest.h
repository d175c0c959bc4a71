#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A random forest (Breiman 2001): a classifier of two classes as scikit-learn's RandomForestClassifier
 * with criterion="log_loss" (bootstrap, sqrt(features) a split, no depth limit, weighted samples), and
 * the same trees over numbers.
 * Pure; the same seed gives the same forest whatever the number of threads. A matrix is row by row,
 * n x d floats, without NaN.
 */
#include <stddef.h>
#include <stdint.h>

enum { FOREST_SAMPLES_MAX = 65535, FOREST_FEATURES_MAX = 4096 };

struct forest_options {
    unsigned trees;        /* 0: 100 */
    unsigned max_features; /* a split; 0: sqrt(d) */
    unsigned min_leaf;     /* samples; 0: 1 */
    unsigned max_depth;    /* 0: none */
    unsigned threads;      /* 0: 1 */
    uint64_t seed;
};

struct forest;

/* n: 1 to FOREST_SAMPLES_MAX; label: 0 or 1; weight: NULL, or positive numbers. Never fails: one
   class alone is a forest too. */
struct forest *forest_fit(const float *x, size_t n, size_t d, const uint8_t *label,
                          const double *weight, const struct forest_options *options);
/* Regression: splits by variance, a leaf holds the weighted mean of y (max_features 0: a third of d). */
struct forest *forest_fit_numbers(const float *x, size_t n, size_t d, const double *y,
                                  const double *weight, const struct forest_options *options);
void forest_free(struct forest *forest); /* NULL is fine */

/* The mean over trees of what the leaf says that a row falls in: the weighted share of class 1. */
void forest_predict(const struct forest *forest, const float *x, size_t n, unsigned threads,
                    float *ret_p);
/* The same of one tree alone. */
void forest_predict_tree(const struct forest *forest, unsigned tree, const float *x, size_t n,
                         float *ret_p);
unsigned forest_trees(const struct forest *forest);
/* ret[row * trees + tree]: which leaf of that tree a row falls in. */
void forest_leaves(const struct forest *forest, const float *x, size_t n, uint16_t *ret);
/* The features on the way of a row through one tree, from the root, each once; returns how many. ret holds d. */
size_t forest_path(const struct forest *forest, unsigned tree, const float *x, size_t *ret);
/* Mean decrease of impurity a feature, summing to 1 (0 if nothing was split). ret holds d. */
void forest_importance(const struct forest *forest, double *ret);
