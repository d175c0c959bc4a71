/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_walk.h"
#include "base/util.h"

enum {
    COUNT_VISITS = 300000, /* for a group's estimated count */
    DRAW_TRIES = 10000,
    HITS_TRIES = 1000,     /* to see whether drawing freely hits; */
    HITS_MIN = 5,          /* so many of them, and it's done so */
    DESCENTS = 64,         /* else one is drawn among so many */
    VALUES_TRIED = 64,     /* of a parameter in a descent */
};

/*
 * Sets the parameter at this depth to one of the values that no rule forbids so far; returns how many
 * there are, by those tried where it has many, or 0.
 */
static double set_one(struct tune_walk *w, size_t depth, struct rng *rng)
{
    uint16_t open[VALUES_TRIED];
    size_t param = w->group->param[depth], n = 0;
    uint32_t size = w->rules->sizes[param], tried = MIN(size, (uint32_t)VALUES_TRIED);
    bool unsure = false;
    for (uint32_t i = 0; i < tried; i++) {
        w->config[param] = (uint16_t)(size == tried ? i : rng_below(rng, size));
        if (tune_walk_may_go_on(w, depth, &unsure)) {
            open[n++] = w->config[param];
        }
    }
    if (n > 0) {
        w->config[param] = open[rng_below(rng, n)];
        return (double)n * size / tried;
    }
    /* Few of many: the first from anywhere on. */
    uint32_t from = (uint32_t)rng_below(rng, size);
    for (uint32_t i = 0; size > tried && i < size; i++) {
        w->config[param] = (uint16_t)((from + i) % size);
        if (tune_walk_may_go_on(w, depth, &unsure)) {
            return 1;
        }
    }
    return 0;
}

/* Copies what a walk has set of its group. */
static void take(const struct tune_walk *w, uint16_t *config)
{
    for (size_t i = 0; i < w->group->n; i++) {
        config[w->group->param[i]] = w->config[w->group->param[i]];
    }
}

/* A random descent, parameter by parameter: how many choices it stands for, 0 for a dead end. */
static double descend(struct tune_walk *w, struct rng *rng)
{
    double weight = 1;
    for (size_t depth = 0; depth < w->group->n && weight > 0; depth++) {
        weight *= set_one(w, depth, rng);
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
    for (int i = 0; i < DESCENTS; i++) {
        double weight = descend(&w, rng);
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
    for (int i = 0; i < HITS_TRIES; i++) {
        hits += draw_freely(&w, &rng);
    }
    while (w.visits < COUNT_VISITS) {
        sum += descend(&w, &rng);
        descents++;
    }
    group->hits = hits >= HITS_MIN;
    group->estimate = sum / (double)descents;
}
