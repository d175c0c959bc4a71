/* SPDX-License-Identifier: MIT */
#include "graph/htg_learn.h"
#include "base/util.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Guided steps are expected to gain so much more than controls before either is known: a seed
 * memory written by people deserves some credit, and loses it by evidence. */
#define TRUST_CREDIT 0.05

static void push(struct htg_increments *increments, const struct htg_observation *observation,
                 enum stats_kind kind, const char *from, const char *node, const char *where)
{
    require(increments->n < HTG_INCREMENTS_MAX);
    struct htg_increment *at = &increments->at[increments->n++];
    stats_key(kind, from, node, where, at->key);
    at->gain = tally_value(observation->gain, observation->failed);
    at->failed = observation->failed;
}

static void push_rungs(struct htg_increments *increments, const struct htg_observation *observation,
                       enum stats_kind kind, const char *from, const char *node)
{
    for (int i = 0; i < CONTEXT_RUNGS; i++) {
        char where[CONTEXT_KEY_MAX];
        context_key(&observation->context, (enum context_rung)i, where);
        push(increments, observation, kind, from, node, where);
    }
}

/* A task's name as the last part of a key. */
static void task_part(const char *task, char ret[CONTEXT_KEY_MAX])
{
    snprintf(ret, CONTEXT_KEY_MAX, "%s", task && *task ? task : "unnamed");
    for (char *c = ret; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("_.-", *c)) {
            *c = '_';
        }
    }
}

static void trust_part(const struct context *context, bool everywhere, char ret[CONTEXT_KEY_MAX])
{
    snprintf(ret, CONTEXT_KEY_MAX, "%s%s", everywhere ? "*" : context->family,
             context->modelled ? "-model" : "");
}

static int check(const struct htg *htg, const struct htg_observation *observation, struct err *err)
{
    if (!observation->direction || htg_find_direction(htg, observation->direction) < 0) {
        return err_set(err, ERR_INVALID, "observation: unknown direction \"%.63s\"",
                       observation->direction ? observation->direction : "");
    }
    if (observation->source && !str_eq(observation->source, HTG_START) &&
        htg_find_direction(htg, observation->source) < 0) {
        return err_set(err, ERR_INVALID, "observation: unknown source \"%.63s\"",
                       observation->source);
    }
    if (observation->strategy && htg_find_strategy(htg, observation->strategy) < 0) {
        return err_set(err, ERR_INVALID, "observation: unknown strategy \"%.63s\"",
                       observation->strategy);
    }
    if (!observation->failed && !isfinite(observation->gain)) {
        return err_set(err, ERR_INVALID, "observation: the gain isn't a number");
    }
    return 0;
}

static void collect(const struct htg_observation *observation, struct htg_increments *increments)
{
    char where[CONTEXT_KEY_MAX];
    push_rungs(increments, observation, STATS_KIND_DIRECTION, NULL, observation->direction);
    if (observation->source) {
        push_rungs(increments, observation, STATS_KIND_TRANSITION, observation->source,
                   observation->direction);
    }
    if (observation->strategy) {
        push_rungs(increments, observation, STATS_KIND_STRATEGY, NULL, observation->strategy);
        if (!observation->failed && observation->gain >= HTG_WIN_GAIN) {
            task_part(observation->task, where);
            push(increments, observation, STATS_KIND_PROOF, NULL, observation->strategy, where);
        }
    }
    for (int everywhere = 0; everywhere < 2; everywhere++) {
        trust_part(&observation->context, everywhere, where);
        push(increments, observation, STATS_KIND_TRUST, NULL,
             observation->control ? "control" : "guided", where);
    }
}

int htg_observe(struct htg *htg, const struct htg_observation *observation,
                struct htg_increments *ret, struct err *err)
{
    int r = check(htg, observation, err);
    if (r < 0) {
        return r;
    }
    struct htg_increments increments = {.n = 0};
    if (observation->ablation != SELECT_ABLATION_FROZEN &&
        observation->ablation != SELECT_ABLATION_NONE) {
        collect(observation, &increments);
    }
    for (size_t i = 0; r == 0 && i < increments.n; i++) {
        const struct htg_increment *at = &increments.at[i];
        r = htg_stat_add(htg, at->key, at->gain, at->failed, err);
    }
    if (r == 0) {
        *ret = increments;
    }
    return r;
}

/* One arm of the comparison: the family shrunk to all families, those to the prior. */
static void read_arm(const struct htg *htg, const char *arm, const struct context *context,
                     double prior, double k, struct estimate *ret)
{
    *ret = (struct estimate){.prior = prior};
    const enum context_rung rungs[] = {CONTEXT_RUNG_EXACT, CONTEXT_RUNG_EVERYWHERE};
    for (int everywhere = 0; everywhere < 2; everywhere++) {
        char where[CONTEXT_KEY_MAX], key[STATS_KEY_MAX];
        trust_part(context, everywhere, where);
        stats_key(STATS_KIND_TRUST, NULL, arm, where, key);
        const struct tally *tally = htg_stat(htg, key);
        if (tally) {
            ret->rung[rungs[everywhere]] = *tally;
        }
    }
    estimate_climb(ret, k);
}

double htg_trust(const struct htg *htg, const struct context *context, double k)
{
    struct estimate guided, control;
    read_arm(htg, "guided", context, TRUST_CREDIT, k, &guided);
    read_arm(htg, "control", context, 0, k, &control);
    double doubt = hypot(estimate_doubt(&guided, k), estimate_doubt(&control, k));
    double z = (guided.mean - control.mean) / MAX(doubt, 1e-9);
    /* 2 Phi(z) = erfc(-z / sqrt 2) */
    return MIN(1, erfc(-z / sqrt(2)));
}

const struct htg_example *htg_best_example(const struct htg_strategy *strategy,
                                           const struct context *context)
{
    const struct htg_example *best = NULL;
    int best_fit = -1;
    for (size_t i = 0; i < strategy->n_examples; i++) {
        const struct htg_example *at = &strategy->examples[i];
        bool family = str_eq(at->context.family, context->family);
        int fit = family + (family && str_eq(at->context.arch, context->arch));
        if (fit > best_fit) {
            best = at;
            best_fit = fit;
        }
    }
    return best;
}
