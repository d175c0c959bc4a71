#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * How much order matters, as far as experience shows: whether the gain of a direction depends on what
 * came before it by more than chance explains. Without an answer a memory follows noise where order
 * doesn't matter, and hesitates where it does.
 *
 * The edges into a direction are studies of one effect, in the words of DerSimonian and Laird (1986,
 * Meta-analysis in clinical trials, eq. 6), pooled over directions: with y_i and n_i the mean and
 * count of edge i, s2 the variance within edges, Q = sum n_i (y_i - y_d)^2 about the mean of each
 * direction and f its degrees of freedom,
 *
 *     t2 = max(0, Q - f s2 - 2 s2 sqrt(2 f)) / (sum n_i - sum_d (sum n_i^2 / sum n_i))
 *
 * where 2 s2 sqrt(2 f), two standard deviations of Q if order means nothing, keeps luck from passing
 * for order. An edge's mean is then shrunk to its direction's by k = s2 / t2 pseudo-observations, the
 * best linear weight for that much spread.
 */
#include "graph/view.h"

#define ORDER_K_LEAST 1.0
#define ORDER_K_MOST 1000.0 /* edges say nothing */

/* k for edges, from the transitions "everywhere" that the view sees (measured or modelled ones);
 * `k_unknown` as long as there are too few to tell. */
double order_k(const struct view *view, size_t n_directions, double k_unknown);
