#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * How the graph is kept; for htg.c (looking up), htg_add.c (adding) and htg_stat.c (experience)
 * alone. Nodes live in the arena, so pointers to them stay good while the arrays fill up.
 */
#include "base/arena.h"
#include "graph/htg.h"
#include "graph/view.h"

struct htg_node {
    struct htg_strategy strategy;
    enum htg_state declared;
};

struct htg {
    struct arena *arena;
    struct stats *stats;
    struct views *views; /* what selection looked up; moves under a const graph */
    struct htg_direction directions[HTG_DIRECTIONS_MAX];
    size_t n_directions, n_nodes, n_transitions;
    struct htg_node *nodes[HTG_STRATEGIES_MAX];
    uint16_t by_id[2 * HTG_STRATEGIES_MAX]; /* open addressing: index + 1 of a node, 0: free */
    struct htg_transition *transitions[HTG_TRANSITIONS_MAX];
    /* Index + 1 of the transition; the last row is "start". */
    uint16_t edges[HTG_DIRECTIONS_MAX + 1][HTG_DIRECTIONS_MAX];
};

/* Sets a strategy's state from what was declared and what experience says. */
void htg_settle(const struct htg *htg, struct htg_node *node);
/* Where a strategy's id stands in `by_id`, or the free place where it would. */
size_t htg_slot(const struct htg *htg, const char *id);
/* The row of `edges` for a source, HTG_START included; -1 if there's no such direction. */
int htg_edge_row(const struct htg *htg, const char *from);
