/* SPDX-License-Identifier: MIT */
#include "graph/select.h"
#include "base/rng.h"
#include "base/util.h"
#include "graph/htg_learn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROVISIONAL_PENALTY 0.05 /* nats: a strategy nobody has proven yet comes second */
#define UNKNOWN_FLAT (-5.0)      /* nats: a direction without strategies, in a list of strategies */

static const char *const ablation_names[] = {
#define X(name, text) text,
    SELECT_ABLATION_LIST(X)
#undef X
};

const char *select_ablation_name(enum select_ablation ablation)
{
    return ablation_names[ablation];
}

bool select_ablation_parse(const char *name, enum select_ablation *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(ablation_names); i++) {
        if (str_eq(ablation_names[i], name)) {
            *ret = (enum select_ablation)i;
            return true;
        }
    }
    return false;
}

void select_tuning_default(struct select_tuning *ret)
{
    *ret = (struct select_tuning){
        .temperature = 0.1,
        .w = 0.3,
        .u = 0.5,
        .opening = 0.4,
        .k = 5,
        .position = 1,
        .evidence = 1,
        .failed = 0.3,
        .stale = 0.15,
        .exhausted = 2,
        .unfit = 1,
        .control_share = 0.1,
        .trust_floor = 0.05,
        .window = 3,
    };
}

static int check(const struct htg *htg, const struct select_request *request, struct err *err)
{
    const struct select_tuning *t = &request->tuning;
    const double weights[] = {t->temperature,   t->w,          t->u,     t->opening,   t->position,
                              t->evidence,      t->failed,     t->stale, t->exhausted, t->unfit,
                              t->control_share, t->trust_floor};
    bool fine = t->k > 0 && t->k <= 1e6 && t->control_share <= 1 && t->trust_floor <= 1 &&
                t->window >= 1 && t->window <= CHOICE_SOURCES_MAX;
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        fine = fine && weights[i] >= 0 && weights[i] <= 1e3;
    }
    if (!fine || !request->task) {
        return err_set(err, ERR_INVALID, "selection: %s",
                       fine ? "no task" : "a number of the tuning is out of range");
    }
    for (size_t i = 0; i < request->n_history; i++) {
        if (htg_find_direction(htg, request->history[i].direction) < 0) {
            return err_set(err, ERR_INVALID,
                           "selection: step %zu took an unknown direction \"%.63s\"", i,
                           request->history[i].direction);
        }
    }
    return 0;
}

static bool may_take(size_t strategy, const struct select_request *request)
{
    return !request->strategies || request->strategies[strategy];
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

/* The walk that led to the parent: its latest `window` steps, latest first. */
static void find_sources(const struct select_request *request, struct arena *arena,
                         struct choice *choice)
{
    choice->sources = arena_alloc(arena, CHOICE_SOURCES_MAX, sizeof(*choice->sources));
    if (request->ablation == SELECT_ABLATION_NO_PREFIX ||
        request->ablation == SELECT_ABLATION_FLAT) {
        return;
    }
    size_t most = (size_t)request->tuning.window;
    for (size_t i = request->n_history; i > 0 && choice->n_sources < most; i--) {
        if (request->history[i - 1].lineage) {
            choice->sources[choice->n_sources++] =
                arena_strdup(arena, request->history[i - 1].direction);
        }
    }
    if (choice->n_sources == 0) {
        choice->sources[choice->n_sources++] = HTG_START;
    }
}

/* Whose numbers direction d reads, and the edges that lead to it. */
static void read_direction(const struct htg *htg, const struct choice *choice, size_t whose,
                           struct choice_direction *direction)
{
    double k = choice->tuning.k;
    const struct htg_direction *node = htg_direction(htg, whose);
    estimate_read(htg, STATS_KIND_DIRECTION, NULL, node->id, &choice->context,
                  htg_prior_gain(&node->prior, choice->context.class), k, &direction->estimate);
    for (size_t j = 0; j < choice->n_sources; j++) {
        const struct htg_transition *edge = htg_find_transition(htg, choice->sources[j], node->id);
        double prior = direction->estimate.mean + (edge ? edge->prior : 0);
        estimate_read(htg, STATS_KIND_TRANSITION, choice->sources[j], node->id, &choice->context,
                      prior, k, &direction->terms[j].estimate);
    }
}

static bool in_lineage(const struct select_request *request, const char *direction)
{
    for (size_t i = 0; i < request->n_history; i++) {
        if (request->history[i].lineage && str_eq(request->history[i].direction, direction)) {
            return true;
        }
    }
    return false;
}

/* The step after this one that would gain most by it. All directions have been read already. */
static void read_opening(const struct htg *htg, const struct select_request *request,
                         struct choice *choice, size_t index, const size_t *whose)
{
    struct choice_direction *direction = &choice->directions[index];
    const char *from = htg_direction(htg, whose[index])->id;
    direction->opens_to = "";
    for (size_t i = 0; i < choice->n_directions && choice->n_sources > 0; i++) {
        const struct choice_direction *next = &choice->directions[i];
        if (i == index || !next->allowed || next->unfit > 0 || in_lineage(request, next->id)) {
            continue;
        }
        const char *to = htg_direction(htg, whose[i])->id;
        const struct htg_transition *edge = htg_find_transition(htg, from, to);
        struct estimate estimate;
        estimate_read(htg, STATS_KIND_TRANSITION, from, to, &choice->context,
                      next->estimate.mean + (edge ? edge->prior : 0), choice->tuning.k, &estimate);
        double opens = estimate_round(estimate.mean - next->estimate.mean);
        if (opens > direction->opens) {
            direction->opens = opens;
            direction->opens_to = next->id;
        }
    }
}

/* A vain step counts half as much with every step back, and half if it had another parent. */
static void penalise_recent(const struct select_request *request,
                            struct choice_direction *direction)
{
    double weight = 1;
    for (size_t i = request->n_history; i > 0; i--, weight /= 2) {
        const struct select_step *step = &request->history[i - 1];
        double counts = step->here ? weight : weight / 2;
        if (!str_eq(step->direction, direction->id)) {
            continue;
        }
        if (step->outcome == SELECT_OUTCOME_FAILED) {
            direction->failed += counts * request->tuning.failed;
        } else if (step->outcome == SELECT_OUTCOME_SAME) {
            direction->stale += counts * request->tuning.stale;
        }
    }
    direction->failed = estimate_round(direction->failed);
    direction->stale = estimate_round(direction->stale);
}

static bool tried_in_vain_here(const struct select_request *request, const char *strategy)
{
    for (size_t i = 0; i < request->n_history; i++) {
        const struct select_step *step = &request->history[i];
        if (step->here && step->outcome != SELECT_OUTCOME_GAINED && step->strategy &&
            str_eq(step->strategy, strategy)) {
            return true;
        }
    }
    return false;
}

static void penalise_stock(const struct htg *htg, const struct select_request *request,
                           size_t index, struct choice_direction *direction)
{
    size_t apply = 0, vain = 0, takeable = 0;
    for (size_t s = 0; s < htg_strategies(htg); s++) {
        if (htg_strategy(htg, s)->direction_index != (int)index) {
            continue;
        }
        takeable += may_take(s, request);
        if (select_applies(htg, s, request)) {
            apply++;
            vain += tried_in_vain_here(request, htg_strategy(htg, s)->id);
        }
    }
    direction->unfit = apply == 0 ? request->tuning.unfit : 0;
    direction->exhausted = apply > 0 && vain == apply ? request->tuning.exhausted : 0;
    bool masked = request->directions && !(request->directions >> index & 1);
    direction->allowed = !masked && (!request->strategies || takeable > 0);
}

static void penalise_strategy(const struct select_request *request, bool applies,
                              struct choice_strategy *strategy)
{
    const struct select_tuning *tuning = &request->tuning;
    strategy->penalty =
        (strategy->provisional ? PROVISIONAL_PENALTY : 0) + (applies ? 0 : tuning->unfit);
    for (size_t i = 0; i < request->n_history; i++) {
        const struct select_step *step = &request->history[i];
        if (!step->strategy || !str_eq(step->strategy, strategy->id)) {
            continue;
        }
        if (step->outcome == SELECT_OUTCOME_GAINED) {
            strategy->penalty += step->lineage ? 2 * tuning->stale : 0;
            continue;
        }
        strategy->penalty +=
            (step->here ? 2 : 0.5) *
            (step->outcome == SELECT_OUTCOME_FAILED ? tuning->failed : tuning->stale);
    }
    strategy->penalty = estimate_round(strategy->penalty);
}

static int by_worth(const void *a, const void *b)
{
    double x = ((const struct choice_strategy *)a)->score;
    double y = ((const struct choice_strategy *)b)->score;
    return x > y ? -1 : x < y;
}

/* The direction's strategies with what is known of them; the best ones if there are too many. */
static size_t read_strategies(const struct htg *htg, const struct select_request *request,
                              const struct choice *choice, size_t index, struct arena *arena,
                              struct choice_strategy **ret)
{
    size_t all = htg_strategies(htg), n = 0;
    struct choice_strategy *made = arena_alloc(arena, all + 1, sizeof(*made));
    size_t *whose = arena_alloc(arena, all + 1, sizeof(*whose));
    shuffle(request, "strategies", all, whose);
    bool flat = choice->ablation == SELECT_ABLATION_FLAT;
    for (size_t s = 0; s < all; s++) {
        const struct htg_strategy *own = htg_strategy(htg, s);
        bool applies = select_applies(htg, s, request);
        bool only_shipped = request->strategies && may_take(s, request);
        if (own->direction_index != (int)index || !(applies || only_shipped)) {
            continue;
        }
        const struct htg_strategy *read = htg_strategy(htg, whose[s]);
        double above = flat ? 0 : choice->directions[index].estimate.mean;
        double prior =
            read->prior.given ? htg_prior_gain(&read->prior, choice->context.class) : above;
        struct choice_strategy *at = &made[n++];
        at->id = arena_strdup(arena, own->id);
        at->provisional = own->state == HTG_STATE_PROVISIONAL;
        estimate_read(htg, STATS_KIND_STRATEGY, NULL, read->id, &choice->context, prior,
                      choice->tuning.k, &at->estimate);
        penalise_strategy(request, applies, at);
        at->score = choice_strategy_score(at, &choice->tuning);
    }
    if (n > CHOICE_STRATEGIES_MAX) {
        qsort(made, n, sizeof(*made), by_worth);
        n = CHOICE_STRATEGIES_MAX;
    }
    *ret = made;
    return n;
}

static void read_flat(const struct htg *htg, const struct select_request *request,
                      struct choice *choice, size_t index)
{
    auto_arena struct arena *scratch = arena_new();
    struct choice_strategy *strategies;
    double scores[CHOICE_STRATEGIES_MAX];
    size_t n = read_strategies(htg, request, choice, index, scratch, &strategies);
    for (size_t i = 0; i < n; i++) {
        scores[i] = strategies[i].score;
    }
    choice->directions[index].flat =
        n > 0 ? choice_soft_most(scores, n, choice->tuning.temperature) : UNKNOWN_FLAT;
}

static struct choice *new_choice(const struct htg *htg, const struct select_request *request,
                                 struct arena *arena)
{
    struct choice *choice = arena_alloc(arena, 1, sizeof(*choice));
    *choice = (struct choice){
        .seed = request->seed,
        .step = request->step,
        .task = arena_strdup(arena, request->task),
        .context = request->context,
        .ablation = request->ablation,
        .tuning = request->tuning,
        .trust = estimate_round(htg_trust(htg, &request->context, request->tuning.k)),
        .n_directions = htg_directions(htg),
    };
    if (request->ablation == SELECT_ABLATION_NO_POSITION) {
        choice->tuning.position = 0;
    }
    choice->directions = arena_alloc(arena, choice->n_directions + 1, sizeof(*choice->directions));
    return choice;
}

int select_direction(const struct htg *htg, const struct select_request *request,
                     struct arena *arena, struct choice **ret, struct err *err)
{
    int r = check(htg, request, err);
    if (r < 0) {
        return r;
    }
    struct choice *choice = new_choice(htg, request, arena);
    size_t whose[HTG_DIRECTIONS_MAX];
    find_sources(request, arena, choice);
    shuffle(request, "directions", choice->n_directions, whose);
    for (size_t i = 0; i < choice->n_directions; i++) {
        struct choice_direction *direction = &choice->directions[i];
        direction->id = arena_strdup(arena, htg_direction(htg, i)->id);
        direction->terms = arena_alloc(arena, CHOICE_SOURCES_MAX, sizeof(*direction->terms));
        read_direction(htg, choice, whose[i], direction);
        penalise_recent(request, direction);
        penalise_stock(htg, request, i, direction);
        if (choice->ablation == SELECT_ABLATION_FLAT) {
            read_flat(htg, request, choice, i);
        }
    }
    for (size_t i = 0; i < choice->n_directions; i++) {
        read_opening(htg, request, choice, i, whose);
    }
    r = choice_decide(choice, err);
    if (r == 0) {
        *ret = choice;
    }
    return r;
}

int select_strategies(const struct htg *htg, const struct select_request *request, size_t most,
                      struct arena *arena, struct choice *choice, struct err *err)
{
    int r = check(htg, request, err);
    if (r < 0) {
        return r;
    }
    if (choice->picked >= htg_directions(htg) ||
        !str_eq(choice->directions[choice->picked].id, htg_direction(htg, choice->picked)->id)) {
        return err_set(err, ERR_INVALID, "selection: the choice was made in another graph");
    }
    choice->n_strategies =
        read_strategies(htg, request, choice, choice->picked, arena, &choice->strategies);
    choice_rank(choice, most);
    return 0;
}
