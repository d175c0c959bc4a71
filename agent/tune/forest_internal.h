#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside the forest. A tree is an array of nodes in preorder: an inner node's left child is the next
 * node, its right child stands at `right`; a leaf has right == 0. Rows with x <= value go left.
 *
 * Samples are few and their features take few distinct values, so training replaces every value by
 * its rank among the training values of its feature (`forest_data`), once for all trees. Splits over
 * ranks are the exact splits over values.
 */
#include "agent/tune/forest.h"
#include <stdbool.h>
#include "base/rng.h"

struct forest_node {
    float value;      /* threshold, or the leaf's share of class 1 or mean */
    uint32_t right;   /* 0: a leaf */
    uint32_t feature; /* of an inner node */
    uint32_t id;      /* of an inner node: index into conds; of a leaf: its number in the tree */
};

struct forest_tree {
    struct forest_node *nodes;
    uint32_t n, leaves, depth;
};

/* A question that some tree asks: x[feature] <= threshold. Each stands here once. */
struct forest_cond {
    uint32_t feature;
    float threshold;
};

struct forest {
    size_t d;
    unsigned trees;
    bool numbers; /* leaves hold means of numbers */
    struct forest_tree *tree;
    struct forest_cond *conds;
    size_t n_conds;
    uint32_t depth; /* of the deepest tree */
    double *importance;
};

struct forest_data {
    size_t n, d;
    const uint16_t *code;  /* [feature * n + sample]: rank */
    const float *value;    /* [first[feature] + rank] */
    const uint32_t *first; /* d + 1 */
    uint32_t ranks_max;    /* of any feature */
    const uint8_t *label;
    const double *number;  /* instead of labels, or NULL */
    const double *weight;
};

/* Grows one tree; adds its (unnormalised) decrease of impurity to importance[d]. */
void forest_grow(const struct forest_data *data, const struct forest_options *options,
                 struct rng *rng, struct forest_tree *ret_tree, double *importance);

static inline const struct forest_node *forest_step(const struct forest_tree *tree,
                                                    const struct forest_node *node, const float *row)
{
    return row[node->feature] <= node->value ? node + 1 : &tree->nodes[node->right];
}
