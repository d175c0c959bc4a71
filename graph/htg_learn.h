#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Learning from one finished step: the graph's own statistics move at once, and the increments come
 * back so that the caller adds the very same to the store (they commute, so several campaigns can
 * share one). A provisional strategy is promoted after wins in HTG_PROMOTE_TASKS tasks and retired
 * after HTG_RETIRE_TRIES tries without a win; seeds are never retired, their estimates fall.
 *
 * Only the edge from the latest source learns, though older ones are read (choice.h): an outcome
 * credited to every direction of the walk teaches each edge what the others did, and on landscapes
 * where order matters that costs half of what the order is worth (tests/test_graph_learn.c).
 *
 * Trust. A share of steps are controls that ignore memory. With m_g and m_c the shrunk mean gains
 * of guided and control steps of a family, v_g and v_c their variances,
 *     trust = min(1, 2 Phi((m_g - m_c) / sqrt(v_g/(n_g+k) + v_c/(n_c+k))))
 * so memory is trusted until it does worse than no memory, and then by how likely it is that it
 * doesn't. select.h follows memory in that share of the steps.
 */
#include "graph/htg.h"
#include "graph/select.h"

#define HTG_WIN_GAIN 0.01 /* a win: at least 1 % faster, where the evaluator stops saying "same" */

struct htg_observation {
    struct context context;     /* the parent's, as it was chosen in */
    const char *source;         /* the latest of the choice's sources, or NULL if it has none */
    const char *direction;
    const char *strategy; /* NULL: none that the graph knows */
    const char *task;
    double gain; /* tally_gain(parent, child); ignored if it failed */
    bool failed, control;
    enum select_ablation ablation; /* FROZEN and NONE learn nothing */
};

/* Direction, edge and strategy on every rung, a proof, two of trust. */
enum { HTG_INCREMENTS_MAX = 3 * CONTEXT_RUNGS + 3 };

struct htg_increment {
    char key[STATS_KEY_MAX];
    double gain; /* the loss, if failed */
    bool failed;
};

struct htg_increments {
    struct htg_increment at[HTG_INCREMENTS_MAX];
    size_t n;
};

/* ERR_INVALID: an unknown direction or strategy, a gain that isn't finite. */
int htg_observe(struct htg *htg, const struct htg_observation *observation,
                struct htg_increments *ret, struct err *err);

/* 0..1; k as in select's tuning. */
double htg_trust(const struct htg *htg, const struct context *context, double k);

/* The best example for a context: same family and architecture, then family, then any; or NULL. */
const struct htg_example *htg_best_example(const struct htg_strategy *strategy,
                                           const struct context *context);
