#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a selection reads of the strategies, gathered once for all directions; for select.c alone.
 * Lists belong to the request's arena.
 */
#include "graph/select.h"
#include "graph/view.h"

struct gather {
    const struct htg *htg;
    const struct select_request *request;
    const struct view *view;
    size_t *taken;    /* for each step of the history its direction */
    uint64_t lineage; /* the directions that led to the parent */
    /* Whose numbers a node reads: its own, unless memory is randomised. */
    size_t whose_direction[HTG_DIRECTIONS_MAX], *whose_strategy;
    double *penalty; /* of each strategy, for what was tried */
    bool *vain;      /* tried from this very parent without gain */
};

/* The history's directions are known (checked before). */
void gather(const struct htg *htg, const struct select_request *request, struct arena *arena,
            struct gather *ret);
/* unfit, exhausted, allowed, and what the direction's strategies are worth; its estimate is read. */
void gather_direction(const struct gather *g, size_t index, struct choice_direction *direction);
/* Into choice->strategies: those of the picked direction, the best ones if there are too many. */
void gather_strategies(const struct gather *g, struct choice *choice, struct arena *arena);
