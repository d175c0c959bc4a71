#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Which direction next, and which of its strategies. Reads the graph, the walk so far and what was
 * tried; gives a choice with its whole breakdown (choice.h has the formulas). The same graph, request
 * and seed give the same choice; nothing is changed.
 *
 * Penalties of a direction: it failed or brought nothing in recent steps (halved with every step
 * back), every strategy that applies was tried from this very parent without gain (exhausted), no
 * strategy applies (unfit). A strategy is set back for each time it was tried in vain, or is in the
 * parent already. Masks restrict both levels, for acting without a model: only what ships.
 */
#include "graph/choice.h"

enum select_outcome {
    SELECT_OUTCOME_GAINED, /* right and faster than its parent */
    SELECT_OUTCOME_SAME,   /* right, not faster */
    SELECT_OUTCOME_FAILED,
};

/* One step of this task, whoever's child it was. */
struct select_step {
    const char *direction, *strategy; /* strategy may be NULL */
    enum select_outcome outcome;
    bool lineage; /* it made the parent that is improved now, or an ancestor of it */
    bool here;    /* it was tried from that very parent */
};

struct select_request {
    struct context context;
    struct htg_list dtypes; /* of the task's tensors; empty: any */
    const struct select_step *history; /* oldest first */
    size_t n_history;
    uint64_t directions;    /* bit per direction that may be taken; 0: all */
    const bool *strategies; /* by index, those that may be taken; NULL: all */
    uint64_t seed, step;
    const char *task;
    enum select_ablation ablation;
    struct select_tuning tuning;
};

void select_tuning_default(struct select_tuning *ret);
const char *select_ablation_name(enum select_ablation ablation);
bool select_ablation_parse(const char *name, enum select_ablation *ret);

/* Retired, masked, or meant for another family, bottleneck, architecture or dtype: false. */
bool select_applies(const struct htg *htg, size_t strategy, const struct select_request *request);

/* ERR_NOTFOUND: nothing may be taken; ERR_INVALID: a step names an unknown direction, bad tuning. */
int select_direction(const struct htg *htg, const struct select_request *request,
                     struct arena *arena, struct choice **ret, struct err *err);

/*
 * Ranks the strategies of the picked direction into choice->strategies: up to `most` drawn without
 * replacement (choice->n_recalled), then the rest by score. None that applies is no error.
 */
int select_strategies(const struct htg *htg, const struct select_request *request, size_t most,
                      struct arena *arena, struct choice *choice, struct err *err);
