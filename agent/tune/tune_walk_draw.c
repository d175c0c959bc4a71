/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_walk.h"
#include "base/util.h"

enum {
    COUNT_VISITS = 300000, /* for a group's estimated count */
    DRAW_TRIES = 10000,
    HITS_TRIES = 3000,     /* to see whether drawing freely hits; */
    HITS_MIN = 1,          /* so many of them, and it is done so */
    DESCENTS = 64,         /* else one is drawn among so many, */
    DRAW_VISITS = 20000,   /* or fewer where they are long */
    DRAW_VISITS_MAX = 400000,
    VALUES_TRIED = 16,     /* of a parameter in a descent, at random; */
    VALUES_SCANNED = 256,  /* then so many one after another */
};

/* Copies what a walk has set of its group. */
static void take(const struct tune_walk *w, uint16_t *config)
{
    for (size_t i = 0; i < w->group->n; i++) {
        config[w->group->param[i]] = w->config[w->group->param[i]];
    }
}

/*
 * Sets the parameter at this depth to one of the values left that no rule forbids so far; returns how
 * many there are, by those tried where it has many, or 0.
 */
static double set_one(struct tune_walk *w, size_t depth, struct tune_box *box, struct rng *rng)
{
    size_t param = w->group->param[depth], n = 0;
    uint32_t lo = box->lo[param], size = (uint32_t)box->hi[param] - lo + 1;
    uint32_t tried = MIN(size, (uint32_t)VALUES_TRIED), from = (uint32_t)rng_below(rng, size);
    struct tune_box chosen;
    uint16_t value = 0;
    bool unsure = false;
    for (uint32_t i = 0; i < tried; i++) {
        struct tune_box inner = *box;
        uint32_t at = lo + (size == tried ? i : (uint32_t)rng_below(rng, size));
        if (tune_walk_set(w, depth, (uint16_t)at, &inner, &unsure) && rng_below(rng, ++n) == 0) {
            value = (uint16_t)at;
            chosen = inner;
        }
    }
    double weight = (double)n * size / tried;
    /* Few of many: the first from anywhere on. */
    for (uint32_t i = 0; n == 0 && size > tried && i < MIN(size, (uint32_t)VALUES_SCANNED); i++) {
        chosen = *box;
        value = (uint16_t)(lo + (from + i) % size);
        n = tune_walk_set(w, depth, value, &chosen, &unsure);
        weight = (double)n;
    }
    if (n > 0) {
        *box = chosen;
        w->config[param] = value;
    }
    return weight;
}

/* A random descent, parameter by parameter: how many choices it stands for, 0 for a dead end. */
static double descend(struct tune_walk *w, const struct tune_box *box, struct rng *rng)
{
    struct tune_box inner = *box;
    double weight = 1;
    for (size_t depth = 0; depth < w->group->n && weight > 0; depth++) {
        weight *= set_one(w, depth, &inner, rng);
    }
    return weight > 0 && tune_walk_keeps(w) == 1 ? weight : 0;
}

static bool draw_freely(struct tune_walk *w, struct rng *rng)
{
    for (size_t i = 0; i < w->group->n; i++) {
        size_t param = w->group->param[i];
        w->config[param] = (uint16_t)rng_below(rng, w->rules->sizes[param]);
    }
    return tune_walk_keeps(w) == 1;
}

int tune_walk_draw(const struct tune_rules *rules, const struct tune_group *group, struct rng *rng,
                   uint16_t *config)
{
    struct tune_walk w = { .rules = rules, .group = group, .asked = ~(uint64_t)0 };
    for (int try = 0; group->hits && try < DRAW_TRIES; try++) {
        if (draw_freely(&w, rng)) {
            take(&w, config);
            return 0;
        }
    }
    /* One of several descents, by weight, as they come. */
    double sum = 0;
    struct tune_box box;
    w.visits = 0;
    bool any = tune_walk_begin(&w, &box);
    for (int i = 0; any && i < DESCENTS && w.visits < (sum > 0 ? DRAW_VISITS : DRAW_VISITS_MAX); i++) {
        double weight = descend(&w, &box, rng);
        sum += weight;
        if (weight > 0 && rng_unit(rng) * sum < weight) {
            take(&w, config);
        }
    }
    return sum > 0 ? 0 : ERR_NOTFOUND;
}

void tune_walk_look(const struct tune_rules *rules, struct tune_group *group)
{
    struct tune_walk w = { .rules = rules, .group = group, .asked = ~(uint64_t)0 };
    struct rng rng;
    size_t hits = 0, descents = 0;
    double sum = 0;
    rng_init(&rng, 1, 0, 0);
    for (int i = 0; i < HITS_TRIES && w.visits < COUNT_VISITS / 2; i++) {
        hits += draw_freely(&w, &rng);
    }
    struct tune_box box;
    bool any = tune_walk_begin(&w, &box);
    while (any && (descents == 0 || w.visits < COUNT_VISITS)) {
        sum += descend(&w, &box, &rng);
        descents++;
    }
    group->hits = hits >= HITS_MIN;
    group->estimate = sum / (double)MAX(descents, (size_t)1);
}
