/* SPDX-License-Identifier: MIT */
#include "graph/select_gather.h"
#include "base/rng.h"
#include "base/util.h"

#include <stdlib.h>

#define PROVISIONAL_PENALTY 0.05 /* nats: a strategy nobody has proven yet comes second */
#define NO_STRATEGIES (-5.0)     /* nats: a direction without strategies, in a list of strategies */

static bool dtype_listed(const struct htg_list *list, const struct htg_list *dtypes)
{
    for (size_t i = 0; i < dtypes->n; i++) {
        for (size_t j = 0; j < list->n; j++) {
            if (str_eq(list->at[j], dtypes->at[i])) {
                return true;
            }
        }
    }
    return list->n == 0 || dtypes->n == 0;
}

static bool may_take(const struct select_request *request, size_t strategy)
{
    return !request->strategies || request->strategies[strategy];
}

static bool applies(const struct htg *htg, const struct view *view, size_t strategy,
                    const struct select_request *request)
{
    const struct htg_strategy *s = htg_strategy(htg, strategy);
    return s->state != HTG_STATE_RETIRED && may_take(request, strategy)
        && view_fits(view, strategy) && (!s->dtypes.n || dtype_listed(&s->dtypes, &request->dtypes));
}

bool select_applies(const struct htg *htg, size_t strategy, const struct select_request *request)
{
    return applies(htg, view_of(htg, &request->context), strategy, request);
}

/* Randomised memory: node i reads the numbers of shuffle(i), the same for the whole campaign. */
static void shuffle(const struct select_request *request, const char *what, size_t n, size_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        ret[i] = i;
    }
    if (request->ablation != SELECT_ABLATION_RANDOM) {
        return;
    }
    struct rng rng;
    rng_init(&rng, request->seed, rng_key(what), 0);
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(&rng, i);
        size_t kept = ret[i - 1];
        ret[i - 1] = ret[j];
        ret[j] = kept;
    }
}

static void note_step(struct gather *g, const struct select_step *step)
{
    const struct select_tuning *tuning = &g->request->tuning;
    int s = step->strategy ? htg_find_strategy(g->htg, step->strategy) : -1;
    if (s < 0) {
        return; /* one that the graph doesn't know, or forgot */
    }
    if (step->outcome == SELECT_OUTCOME_GAINED) {
        g->penalty[s] += step->lineage ? 2 * tuning->stale : 0;
        return;
    }
    g->penalty[s] += (step->here ? 2 : 0.5)
        * (step->outcome == SELECT_OUTCOME_FAILED ? tuning->failed : tuning->stale);
    g->vain[s] = g->vain[s] || step->here;
}

void gather(const struct htg *htg, const struct select_request *request, struct arena *arena,
            struct gather *ret)
{
    size_t all = htg_strategies(htg), n = htg_directions(htg);
    *ret = (struct gather) { .htg = htg, .request = request,
                             .view = view_of(htg, &request->context) };
    ret->taken = arena_alloc(arena, request->n_history + 1, sizeof(*ret->taken));
    ret->whose_strategy = arena_alloc(arena, all + 1, sizeof(*ret->whose_strategy));
    ret->penalty = arena_alloc(arena, all + 1, sizeof(*ret->penalty));
    ret->vain = arena_alloc(arena, all + 1, sizeof(*ret->vain));
    shuffle(request, "directions", n, ret->whose_direction);
    shuffle(request, "strategies", all, ret->whose_strategy);
    for (size_t i = 0; i < request->n_history; i++) {
        const struct select_step *step = &request->history[i];
        ret->taken[i] = (size_t)htg_find_direction(htg, step->direction);
        ret->lineage |= step->lineage ? (uint64_t)1 << ret->taken[i] : 0;
        note_step(ret, step);
    }
}

/* What is known of one strategy; `above`: its direction's mean. Without its id. */
static void read_strategy(const struct gather *g, size_t s, bool fits, double above,
                          struct choice_strategy *ret)
{
    const struct select_request *request = g->request;
    const struct select_tuning *tuning = &request->tuning;
    size_t whose = g->whose_strategy[s];
    const struct htg_strategy *own = htg_strategy(g->htg, s), *read = htg_strategy(g->htg, whose);
    bool flat = request->ablation == SELECT_ABLATION_FLAT;
    double prior = read->prior.given ? htg_prior_gain(&read->prior, request->context.class)
        : flat                       ? 0
                                     : above;
    struct ladder ladder;
    view_strategy(g->view, whose, &ladder);
    ret->provisional = own->state == HTG_STATE_PROVISIONAL;
    estimate_read(&ladder, prior, tuning->k, &ret->estimate);
    ret->penalty = estimate_round(g->penalty[s] + (ret->provisional ? PROVISIONAL_PENALTY : 0)
                                  + (fits ? 0 : tuning->unfit));
    ret->score = choice_strategy_score(ret, tuning);
}

static bool tried_here(const struct gather *g, size_t s)
{
    struct ladder ladder;
    view_strategy(g->view, s, &ladder);
    return ladder.rung[CONTEXT_RUNG_EXACT] != NULL;
}

/*
 * What was invented for one task fits all others as far as anyone knows, so it mustn't open a
 * direction to them that nothing proven opens: a matmul's tensor cores aren't for a softmax. Where it
 * was tried itself, it speaks for itself.
 */
static bool is_open(const struct gather *g, const uint16_t *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool provisional = htg_strategy(g->htg, all[i])->state == HTG_STATE_PROVISIONAL;
        if (applies(g->htg, g->view, all[i], g->request)
            && (!provisional || tried_here(g, all[i]))) {
            return true;
        }
    }
    return false;
}

/* Those that are read at all: what applies, and what a mask asks for although it doesn't. */
static bool counts(const struct gather *g, size_t s, bool open, bool *ret_fits)
{
    *ret_fits = open && applies(g->htg, g->view, s, g->request);
    return *ret_fits || (g->request->strategies && may_take(g->request, s));
}

void gather_direction(const struct gather *g, size_t index, struct choice_direction *direction)
{
    const struct select_request *request = g->request;
    size_t fit = 0, vain = 0, takeable = 0, n = 0;
    double scores[HTG_STRATEGIES_MAX];
    const uint16_t *all;
    size_t n_all = view_strategies(g->view, index, &all);
    bool open = is_open(g, all, n_all);
    for (size_t i = 0; i < n_all; i++) {
        size_t s = all[i];
        bool fits, read = counts(g, s, open, &fits);
        takeable += may_take(request, s);
        fit += fits;
        vain += fits && g->vain[s];
        if (read) {
            struct choice_strategy one;
            read_strategy(g, s, fits, direction->estimate.mean, &one);
            scores[n++] = one.score;
        }
    }
    direction->unfit = fit == 0 ? request->tuning.unfit : 0;
    direction->exhausted = fit > 0 && vain == fit ? request->tuning.exhausted : 0;
    bool masked = request->directions && !(request->directions >> index & 1);
    direction->allowed = !masked && (!request->strategies || takeable > 0);
    double own = direction->estimate.mean
        + request->tuning.u * estimate_doubt(&direction->estimate, request->tuning.k);
    direction->local = n > 0 ? estimate_round(choice_soft_most(scores, n, request->tuning.temperature))
        : request->ablation == SELECT_ABLATION_FLAT ? NO_STRATEGIES
                                                    : estimate_round(own);
}

static int by_worth(const void *a, const void *b)
{
    double x = ((const struct choice_strategy *)a)->score;
    double y = ((const struct choice_strategy *)b)->score;
    return x > y ? -1 : x < y;
}

void gather_strategies(const struct gather *g, struct choice *choice, struct arena *arena)
{
    const uint16_t *all;
    size_t index = choice->picked, n = 0, most = view_strategies(g->view, index, &all);
    struct choice_strategy *made = arena_alloc(arena, most + 1, sizeof(*made));
    bool open = is_open(g, all, most);
    for (size_t i = 0; i < most; i++) {
        size_t s = all[i];
        bool fits;
        if (counts(g, s, open, &fits)) {
            made[n].id = htg_strategy(g->htg, s)->id;
            read_strategy(g, s, fits, choice->directions[index].estimate.mean, &made[n++]);
        }
    }
    if (n > CHOICE_STRATEGIES_MAX) {
        qsort(made, n, sizeof(*made), by_worth);
        n = CHOICE_STRATEGIES_MAX;
    }
    for (size_t i = 0; i < n; i++) {
        made[i].id = arena_strdup(arena, made[i].id);
    }
    choice->strategies = made;
    choice->n_strategies = n;
}
