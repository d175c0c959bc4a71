/* SPDX-License-Identifier: MIT */
#include "graph/choice.h"
#include "base/rng.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Draws of one step don't depend on one another: each has a stream of its own. */
enum draw { DRAW_CONTROL, DRAW_DIRECTION, DRAW_STRATEGY, DRAWS };

static void draw_init(struct rng *rng, const struct choice *choice, enum draw draw)
{
    rng_init(rng, choice->seed, rng_key(choice->task), choice->step * DRAWS + draw);
}

/* P = softmax(score / T) over those that count (NAN doesn't); at T = 0 the first of the best. */
static void soften(const double *scores, size_t n, double temperature, double *ret)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        ret[i] = 0;
        if (!isnan(scores[i]) && (best == n || scores[i] > scores[best])) {
            best = i;
        }
    }
    if (best == n || temperature <= 0) {
        if (best < n) {
            ret[best] = 1;
        }
        return;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        ret[i] = isnan(scores[i]) ? 0 : exp((scores[i] - scores[best]) / temperature);
        sum += ret[i];
    }
    for (size_t i = 0; i < n; i++) {
        ret[i] /= sum;
    }
}

/* Where `roll` in [0, 1) falls; never on a probability of 0. */
static size_t fall(const double *probability, size_t n, double roll)
{
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        if (probability[i] > 0) {
            last = i;
            if (roll < probability[i]) {
                break;
            }
            roll -= probability[i];
        }
    }
    return last;
}

double choice_soft_most(const double *scores, size_t n, double temperature)
{
    double best = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        best = MAX(best, scores[i]);
    }
    for (size_t i = 0; i < n && temperature > 0; i++) {
        sum += exp((scores[i] - best) / temperature);
    }
    return temperature > 0 ? best + temperature * log(sum) : best;
}

static void attend(const struct choice *choice, struct choice_direction *direction)
{
    double logits[CHOICE_SOURCES_MAX], weights[CHOICE_SOURCES_MAX];
    for (size_t j = 0; j < choice->n_sources; j++) {
        logits[j] = choice->tuning.evidence * direction->terms[j].estimate.share -
                    choice->tuning.position * (double)j;
    }
    soften(logits, choice->n_sources, 1, weights);
    direction->transition = choice->n_sources ? 0 : direction->estimate.mean;
    for (size_t j = 0; j < choice->n_sources; j++) {
        direction->terms[j].attention = weights[j];
        direction->transition += weights[j] * direction->terms[j].estimate.mean;
    }
}

static void score_direction(const struct choice *choice, struct choice_direction *direction)
{
    const struct select_tuning *tuning = &choice->tuning;
    attend(choice, direction);
    direction->explore = tuning->u * estimate_doubt(&direction->estimate, tuning->k);
    direction->unary = choice->ablation == SELECT_ABLATION_NO_LOCAL
        ? direction->estimate.mean + direction->explore
        : direction->local;
    double worth = direction->unary;
    if (choice->control) {
        worth = 0;
    } else if (choice->ablation != SELECT_ABLATION_FLAT) {
        worth += tuning->w * (direction->transition - direction->estimate.mean)
            + tuning->opening * direction->opens;
    }
    direction->score =
        worth - direction->failed - direction->stale - direction->exhausted - direction->unfit;
}

/* Followed in the share `trust` of the steps, but for the controls that go on for ever, and never
 * quite given up, so that a memory that got better can show it. */
static bool ignores_memory(const struct choice *choice)
{
    const struct select_tuning *tuning = &choice->tuning;
    struct rng rng;
    draw_init(&rng, choice, DRAW_CONTROL);
    double follow = (1 - tuning->control_share) * MAX(choice->trust, tuning->trust_floor);
    return choice->ablation == SELECT_ABLATION_NONE || rng_unit(&rng) >= follow;
}

int choice_decide(struct choice *choice, struct err *err)
{
    double scores[HTG_DIRECTIONS_MAX] = {0}, probability[HTG_DIRECTIONS_MAX];
    size_t n = choice->n_directions, allowed = 0;
    choice->control = ignores_memory(choice);
    choice->recall = !choice->control && choice->ablation != SELECT_ABLATION_NO_LOCAL;
    for (size_t i = 0; i < n; i++) {
        score_direction(choice, &choice->directions[i]);
        scores[i] = choice->directions[i].allowed ? choice->directions[i].score : NAN;
        allowed += choice->directions[i].allowed;
    }
    if (allowed == 0) {
        return err_set(err, ERR_NOTFOUND, "task %s, step %llu: no direction may be taken",
                       choice->task, (unsigned long long)choice->step);
    }
    soften(scores, n, choice->tuning.temperature, probability);
    for (size_t i = 0; i < n; i++) {
        choice->directions[i].probability = probability[i];
    }
    struct rng rng;
    draw_init(&rng, choice, DRAW_DIRECTION);
    choice->picked = fall(probability, n, rng_unit(&rng));
    return 0;
}

double choice_strategy_score(const struct choice_strategy *strategy,
                             const struct select_tuning *tuning)
{
    return strategy->estimate.mean + tuning->u * estimate_doubt(&strategy->estimate, tuning->k) -
           strategy->penalty;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct choice_strategy *)a)->id, ((const struct choice_strategy *)b)->id);
}

static int by_score(const void *a, const void *b)
{
    double x = ((const struct choice_strategy *)a)->score;
    double y = ((const struct choice_strategy *)b)->score;
    return x > y ? -1 : x < y ? 1 : by_id(a, b);
}

/* Moves strategy `from` up to `to`, the others between them one down. */
static void raise_to(struct choice_strategy *at, size_t from, size_t to)
{
    struct choice_strategy moved = at[from];
    memmove(at + to + 1, at + to, (from - to) * sizeof(*at));
    at[to] = moved;
}

void choice_rank(struct choice *choice, size_t most)
{
    struct choice_strategy *at = choice->strategies;
    size_t n = choice->n_strategies;
    double scores[CHOICE_STRATEGIES_MAX] = {0}, probability[CHOICE_STRATEGIES_MAX];
    require(n <= CHOICE_STRATEGIES_MAX);
    /* A fixed order before drawing, so that ranking what is ranked changes nothing. */
    if (n > 1) {
        qsort(at, n, sizeof(*at), by_id);
    }
    bool memory = choice->recall;
    for (size_t i = 0; i < n; i++) {
        at[i].explore = choice->tuning.u * estimate_doubt(&at[i].estimate, choice->tuning.k);
        at[i].score = memory ? choice_strategy_score(&at[i], &choice->tuning) : -at[i].penalty;
        scores[i] = at[i].score;
    }
    soften(scores, n, choice->tuning.temperature, probability);
    for (size_t i = 0; i < n; i++) {
        at[i].probability = probability[i];
    }
    struct rng rng;
    draw_init(&rng, choice, DRAW_STRATEGY);
    choice->n_recalled = MIN(most, n);
    for (size_t drawn = 0; drawn < choice->n_recalled; drawn++) {
        for (size_t i = drawn; i < n; i++) {
            scores[i] = at[i].score;
        }
        soften(scores + drawn, n - drawn, choice->tuning.temperature, probability);
        raise_to(at, drawn + fall(probability, n - drawn, rng_unit(&rng)), drawn);
    }
    if (n > choice->n_recalled + 1) {
        qsort(at + choice->n_recalled, n - choice->n_recalled, sizeof(*at), by_score);
    }
}
