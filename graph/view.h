#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The statistics as one context sees them: where on the ladder each direction, edge and strategy has
 * experience, found once by name and then by index. A step reads hundreds of estimates; by name that
 * took most of its time. The graph keeps its views and brings them up to date when statistics or
 * nodes were added; a view is good until the next change of the graph.
 */
#include "graph/htg.h"

struct view;

const struct view *view_of(const struct htg *htg, const struct context *context);

/* The tallies of the three rungs, NULL where there is none. `from` is a direction's index, or
 * VIEW_START. */
enum { VIEW_START = HTG_DIRECTIONS_MAX };
struct ladder {
    const struct tally *rung[CONTEXT_RUNGS];
};
void view_direction(const struct view *view, size_t direction, struct ladder *ret);
void view_edge(const struct view *view, size_t from, size_t to, struct ladder *ret);
void view_strategy(const struct view *view, size_t strategy, struct ladder *ret);

/* Is the strategy meant for this family, bottleneck and architecture? Says nothing of dtypes, nor
 * whether it was retired. */
bool view_fits(const struct view *view, size_t strategy);

/* Asks the processor for all of the view's tallies: a choice reads hundreds, scattered over memory. */
void view_fetch(const struct view *view);
/* An edge's tally on the last rung alone, NULL if there is none. */
const struct tally *view_edge_everywhere(const struct view *view, size_t from, size_t to);
/* The strategies of one direction, by index; returns how many. */
size_t view_strategies(const struct view *view, size_t direction, const uint16_t **ret);

/* For the graph's own files. */
struct views;
struct views *views_new(void);
void views_free(struct views *views);
