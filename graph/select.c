/* SPDX-License-Identifier: MIT */
#include "graph/select.h"
#include "base/util.h"
#include "graph/htg_learn.h"
#include "graph/order.h"
#include "graph/select_gather.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
        .temperature = 0.06,
        .w = 1.2,
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

/* The walk that led to the parent: its latest `window` steps, latest first. */
static void find_sources(const struct gather *g, struct arena *arena, struct choice *choice,
                         size_t ret_from[CHOICE_SOURCES_MAX])
{
    const struct select_request *request = g->request;
    choice->sources = arena_alloc(arena, CHOICE_SOURCES_MAX, sizeof(*choice->sources));
    if (request->ablation == SELECT_ABLATION_NO_PREFIX ||
        request->ablation == SELECT_ABLATION_FLAT) {
        return;
    }
    size_t most = (size_t)request->tuning.window;
    for (size_t i = request->n_history; i > 0 && choice->n_sources < most; i--) {
        if (request->history[i - 1].lineage) {
            ret_from[choice->n_sources] = g->taken[i - 1];
            choice->sources[choice->n_sources++] = htg_direction(g->htg, g->taken[i - 1])->id;
        }
    }
    if (choice->n_sources == 0) {
        ret_from[choice->n_sources] = VIEW_START;
        choice->sources[choice->n_sources++] = HTG_START;
    }
    for (size_t j = 0; j < choice->n_sources; j++) {
        choice->sources[j] = arena_strdup(arena, choice->sources[j]);
    }
}

static double edge_bonus(const struct htg *htg, size_t from, size_t to)
{
    const struct htg_transition *edge = htg_transition_between(htg, from, to);
    return edge ? edge->prior : 0;
}

/* What direction d's node says (another's, if memory is randomised), and the edges that lead to it. */
static void read_direction(const struct gather *g, const struct choice *choice, size_t d,
                           const size_t *from, struct choice_direction *direction)
{
    struct ladder ladder;
    size_t whose = g->whose_direction[d];
    double prior = htg_prior_gain(&htg_direction(g->htg, whose)->prior, choice->context.class);
    view_direction(g->view, whose, &ladder);
    estimate_read(&ladder, prior, choice->tuning.k, &direction->estimate);
    for (size_t j = 0; j < choice->n_sources; j++) {
        view_edge(g->view, from[j], whose, &ladder);
        estimate_read(&ladder, direction->estimate.mean + edge_bonus(g->htg, from[j], whose),
                      choice->k_edge, &direction->terms[j].estimate);
    }
}

/* The step after this one that would gain most by it. All directions have been read already. */
static void read_opening(const struct gather *g, struct choice *choice, size_t index)
{
    struct choice_direction *direction = &choice->directions[index];
    size_t from = g->whose_direction[index], best = choice->n_directions;
    double most = 0;
    for (size_t i = 0; i < choice->n_directions && choice->n_sources > 0; i++) {
        const struct choice_direction *next = &choice->directions[i];
        if (i == index || !next->allowed || next->unfit > 0 || g->lineage >> i & 1) {
            continue;
        }
        struct ladder ladder;
        size_t to = g->whose_direction[i];
        view_edge(g->view, from, to, &ladder);
        double mean = estimate_mean(&ladder, next->estimate.mean + edge_bonus(g->htg, from, to),
                                    choice->k_edge);
        if (mean - next->estimate.mean > most) {
            most = mean - next->estimate.mean;
            best = i;
        }
    }
    direction->opens = estimate_round(most);
    direction->opens_to = direction->opens > 0 ? choice->directions[best].id : "";
}

/* A vain step counts half as much with every step back, and half if it had another parent. */
static void penalise_recent(const struct gather *g, size_t d, struct choice_direction *direction)
{
    const struct select_request *request = g->request;
    double weight = 1;
    for (size_t i = request->n_history; i > 0; i--, weight /= 2) {
        const struct select_step *step = &request->history[i - 1];
        double counts = step->here ? weight : weight / 2;
        if (g->taken[i - 1] != d) {
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

static struct choice *new_choice(const struct htg *htg, const struct select_request *request,
                                 const struct view *view, struct arena *arena)
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
        .k_edge = estimate_round(order_k(view, htg_directions(htg), request->tuning.k)),
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
    struct gather g;
    gather(htg, request, arena, &g);
    view_fetch(g.view);
    struct choice *choice = new_choice(htg, request, g.view, arena);
    size_t from[CHOICE_SOURCES_MAX];
    find_sources(&g, arena, choice, from);
    for (size_t i = 0; i < choice->n_directions; i++) {
        struct choice_direction *direction = &choice->directions[i];
        direction->id = arena_strdup(arena, htg_direction(htg, i)->id);
        direction->terms = arena_alloc(arena, CHOICE_SOURCES_MAX, sizeof(*direction->terms));
        read_direction(&g, choice, i, from, direction);
        penalise_recent(&g, i, direction);
        gather_direction(&g, i, direction);
    }
    for (size_t i = 0; i < choice->n_directions; i++) {
        read_opening(&g, choice, i);
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
    struct gather g;
    gather(htg, request, arena, &g);
    gather_strategies(&g, choice, arena);
    choice_rank(choice, most);
    return 0;
}
