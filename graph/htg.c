/* SPDX-License-Identifier: MIT */
#include "graph/htg_private.h"
#include "base/rng.h"
#include "base/util.h"

#include <stdlib.h>

struct htg *htg_new(void)
{
    struct htg *htg = xcalloc(1, sizeof(*htg));
    htg->arena = arena_new();
    htg->stats = stats_new();
    htg->views = views_new();
    return htg;
}

void htg_free(struct htg *htg)
{
    if (!htg) {
        return;
    }
    views_free(htg->views);
    stats_free(htg->stats);
    arena_free(htg->arena);
    free(htg);
}

size_t htg_directions(const struct htg *htg)
{
    return htg->n_directions;
}

size_t htg_strategies(const struct htg *htg)
{
    return htg->n_nodes;
}

size_t htg_transitions(const struct htg *htg)
{
    return htg->n_transitions;
}

const struct htg_direction *htg_direction(const struct htg *htg, size_t index)
{
    require(index < htg->n_directions);
    return &htg->directions[index];
}

const struct htg_strategy *htg_strategy(const struct htg *htg, size_t index)
{
    require(index < htg->n_nodes);
    return &htg->nodes[index]->strategy;
}

const struct htg_transition *htg_transition(const struct htg *htg, size_t index)
{
    require(index < htg->n_transitions);
    return htg->transitions[index];
}

int htg_find_direction(const struct htg *htg, const char *id)
{
    for (size_t i = 0; i < htg->n_directions; i++) {
        if (str_eq(htg->directions[i].id, id)) {
            return (int)i;
        }
    }
    return -1;
}

size_t htg_slot(const struct htg *htg, const char *id)
{
    size_t slot = rng_key(id) % ARRAY_LEN(htg->by_id);
    while (htg->by_id[slot] && !str_eq(htg->nodes[htg->by_id[slot] - 1]->strategy.id, id)) {
        slot = (slot + 1) % ARRAY_LEN(htg->by_id);
    }
    return slot;
}

int htg_find_strategy(const struct htg *htg, const char *id)
{
    return (int)htg->by_id[htg_slot(htg, id)] - 1;
}

int htg_edge_row(const struct htg *htg, const char *from)
{
    return str_eq(from, HTG_START) ? HTG_DIRECTIONS_MAX : htg_find_direction(htg, from);
}

const struct htg_transition *htg_find_transition(const struct htg *htg, const char *from,
                                                 const char *to)
{
    int row = htg_edge_row(htg, from), column = htg_find_direction(htg, to);
    return row < 0 || column < 0 ? NULL : htg_transition_between(htg, (size_t)row, (size_t)column);
}

const struct htg_transition *htg_transition_between(const struct htg *htg, size_t from, size_t to)
{
    uint16_t edge = htg->edges[from][to];
    return edge ? htg->transitions[edge - 1] : NULL;
}

double htg_prior_gain(const struct htg_prior *prior, enum context_class class)
{
    if (class != CONTEXT_CLASS_NONE || (prior->given >> CONTEXT_CLASS_NONE & 1)) {
        return (prior->given >> class & 1) ? prior->gain[class] : 0;
    }
    double sum = 0;
    for (int i = CONTEXT_CLASS_LAUNCH_BOUND; i <= CONTEXT_CLASS_NEAR_LIMIT; i++) {
        sum += (prior->given >> i & 1) ? prior->gain[i] : 0;
    }
    return sum / (CONTEXT_CLASS_NEAR_LIMIT - CONTEXT_CLASS_LAUNCH_BOUND + 1);
}

static const char *const state_names[] = {
#define X(name, text) text,
    HTG_STATE_LIST(X)
#undef X
};

const char *htg_state_name(enum htg_state state)
{
    return state_names[state];
}

bool htg_state_parse(const char *name, enum htg_state *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
        if (str_eq(state_names[i], name)) {
            *ret = (enum htg_state)i;
            return true;
        }
    }
    return false;
}
