/* SPDX-License-Identifier: MIT */
/*
 * A genetic algorithm as Kernel Tuner's default one (1.4.0): parents drawn by rank from Beta(1, 2.5),
 * crossover at one point, rare mutation of one parameter, children repaired to allowed configs. What
 * was measured before joins a generation without cost. When generations bring nothing new, all but
 * the best starts afresh, so that the budget is used.
 */
#include "agent/tune/tuner_algorithm.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_POPULATION, FLAG_MUTATION, FLAG_STALE, BREED_TRIES = 2000 };

static const struct tuner_flag flags[] = {
    [FLAG_POPULATION] = { "population", 26, 2, 1000, NULL, "configs a generation" },
    [FLAG_MUTATION] = { "mutation", 55, 1, 1e6, NULL, "one child in so many is mutated" },
    [FLAG_STALE] = { "stale", 3, 1, 1000, NULL, "generations without news before a fresh start" },
    { .name = NULL },
};

struct member {
    uint16_t *config;
    double time;
};

struct genetic {
    size_t size, n, at; /* children; the next to be asked for */
    struct member *parents, *children;
    size_t n_parents;
    unsigned stale;
};

static struct member *members(struct tuner *t, size_t n)
{
    struct member *m = arena_alloc(t->arena, n, sizeof(*m));
    for (size_t i = 0; i < n; i++) {
        m[i].config = arena_alloc(t->arena, t->space->n, sizeof(*m[i].config));
    }
    return m;
}

static int open_genetic(struct tuner *t, struct err *err)
{
    (void)err;
    struct genetic *g = arena_alloc(t->arena, 1, sizeof(*g));
    g->size = (size_t)t->flags[FLAG_POPULATION];
    if (t->space->n_listed) {
        g->size = MAX(MIN(g->size, t->space->n_listed / 2), (size_t)2);
    }
    g->parents = members(t, g->size);
    g->children = members(t, g->size);
    t->state = g;
    return 0;
}

static bool is_child(const struct tuner *t, const struct genetic *g, const uint16_t *config)
{
    for (size_t i = 0; i < g->n; i++) {
        if (memcmp(g->children[i].config, config, tuner_row_bytes(t)) == 0) {
            return true;
        }
    }
    return false;
}

static void add_child(struct tuner *t, struct genetic *g, const uint16_t *config)
{
    if (g->n < g->size && !is_child(t, g, config)) {
        memcpy(g->children[g->n++].config, config, tuner_row_bytes(t));
    }
}

/* What is known already (at most half), then random ones. */
static void start(struct tuner *t, struct genetic *g)
{
    uint16_t config[TUNE_PARAMS_MAX];
    const struct tuner_sample *best = tuner_best(t);
    g->n = g->at = 0;
    g->stale = 0;
    if (g->n_parents) {
        add_child(t, g, best ? best->config : g->parents[0].config);
    }
    for (size_t i = 0; i < t->n && g->n_parents == 0 && g->n < g->size / 2; i++) {
        add_child(t, g, t->samples[i].config);
    }
    while (g->n < g->size && tuner_draw(t, config)) {
        add_child(t, g, config);
    }
}

static int by_time(const void *a, const void *b)
{
    double x = ((const struct member *)a)->time, y = ((const struct member *)b)->time;
    return x < y ? -1 : x > y;
}

/* Children become parents, the fastest first; false: one wasn't told yet. */
static bool grow_up(struct tuner *t, struct genetic *g)
{
    for (size_t i = 0; i < g->n; i++) {
        double time = tuner_time(t, g->children[i].config);
        if (time < 0) {
            return false;
        }
        g->children[i].time = isnan(time) ? INFINITY : time;
    }
    struct member *old = g->parents;
    qsort(g->children, g->n, sizeof(*g->children), by_time);
    g->parents = g->children;
    g->n_parents = g->n;
    g->children = old;
    g->n = g->at = 0;
    return true;
}

/* Beta(1, 2.5) has the distribution 1 - (1 - x)^2.5. */
static size_t draw_parent(struct tuner *t, const struct genetic *g)
{
    double x = 1 - pow(1 - rng_unit(&t->rng), 1 / 2.5);
    return MIN((size_t)(x * (double)g->n_parents), g->n_parents - 1);
}

static void cross(struct tuner *t, struct genetic *g)
{
    size_t a = draw_parent(t, g), b = a;
    for (int i = 0; i < 100 && b == a; i++) {
        b = draw_parent(t, g);
    }
    size_t n = t->space->n, at = rng_below(&t->rng, n);
    const struct member *both[] = { &g->parents[a], &g->parents[b] };
    for (size_t k = 0; k < 2; k++) {
        uint16_t child[TUNE_PARAMS_MAX], other[TUNE_PARAMS_MAX];
        memcpy(child, both[k]->config, at * sizeof(*child));
        memcpy(child + at, both[1 - k]->config + at, (n - at) * sizeof(*child));
        if (!tuner_repair(t, child)) {
            continue;
        }
        bool mutate = rng_unit(&t->rng) * t->flags[FLAG_MUTATION] < 1;
        add_child(t, g, mutate && tuner_step(t, child, other) ? other : child);
    }
}

/* False: something outstanding comes first. */
static bool breed(struct tuner *t, struct genetic *g)
{
    if (g->n_parents == 0 && g->n == 0) {
        start(t, g);
        return true;
    }
    if (!grow_up(t, g)) {
        return false;
    }
    for (int i = 0; i < BREED_TRIES && g->n < g->size && g->n_parents > 1; i++) {
        cross(t, g);
    }
    bool news = false;
    for (size_t i = 0; i < g->n; i++) {
        news = news || !tuner_asked(t, g->children[i].config);
    }
    g->stale = news ? 0 : g->stale + 1;
    if (g->stale >= t->flags[FLAG_STALE] || g->n < 2) {
        start(t, g);
    }
    return true;
}

static bool next_genetic(struct tuner *t, uint16_t *ret_config)
{
    struct genetic *g = t->state;
    for (unsigned rounds = 0; rounds < 100; rounds++) {
        while (g->at < g->n) {
            const uint16_t *config = g->children[g->at++].config;
            if (!tuner_asked(t, config)) {
                memcpy(ret_config, config, tuner_row_bytes(t));
                return true;
            }
        }
        if (!breed(t, g)) {
            return false;
        }
    }
    return tuner_draw(t, ret_config);
}

const struct algorithm search_genetic = { "genetic",    flags, open_genetic,
                                          next_genetic, NULL,  NULL };
