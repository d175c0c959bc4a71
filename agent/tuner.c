/* SPDX-License-Identifier: MIT */
#include "agent/tuner.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RANDOM_TRIES = 1000 };

struct algorithm {
    const char *name;
    /* Writes the next new config; false: nothing more. */
    bool (*next)(struct tuner *tuner, int64_t *ret_config);
};

struct tuner {
    const struct algorithm *algorithm;
    struct space space;
    struct arena *arena;
    struct rng rng;
    size_t budget, n;
    struct tuner_sample *samples;
    int64_t *listed; /* exhaustive: all allowed configs; random: NULL until drawing is in vain */
    size_t n_listed, at;
};

static bool seen(const struct tuner *t, const int64_t *config)
{
    for (size_t i = 0; i < t->n; i++) {
        if (memcmp(t->samples[i].config, config, t->space.n * sizeof(*config)) == 0) {
            return true;
        }
    }
    return false;
}

static bool next_exhaustive(struct tuner *t, int64_t *ret_config)
{
    while (t->at < t->n_listed) {
        const int64_t *config = t->listed + t->space.n * t->at++;
        if (!seen(t, config)) {
            memcpy(ret_config, config, t->space.n * sizeof(*config));
            return true;
        }
    }
    return false;
}

/* All allowed configs in an order that the seed decides; false: they are too many to list. */
static bool list_shuffled(struct tuner *t)
{
    int64_t *list, kept[PLAN_PARAMS_MAX];
    size_t n, row = t->space.n, bytes = row * sizeof(*list);
    if (space_list(&t->space, t->arena, &list, &n, NULL) < 0) {
        return false;
    }
    for (size_t i = n; i > 1; i--) {
        int64_t *a = list + (i - 1) * row, *b = list + rng_below(&t->rng, i) * row;
        memcpy(kept, a, bytes);
        memmove(a, b, bytes);
        memcpy(b, kept, bytes);
    }
    t->listed = list;
    t->n_listed = n;
    return true;
}

/* Drawn and rejected; what little is left of a small space in the end comes from the list. */
static bool next_random(struct tuner *t, int64_t *ret_config)
{
    for (int tries = 0; tries < RANDOM_TRIES && !t->listed; tries++) {
        if (space_draw(&t->space, &t->rng, ret_config, NULL) < 0) {
            break;
        }
        if (!seen(t, ret_config)) {
            return true;
        }
    }
    return (t->listed || list_shuffled(t)) && next_exhaustive(t, ret_config);
}

static const struct algorithm algorithms[] = {
    { "random", next_random },
    { "exhaustive", next_exhaustive },
};

static int choose(struct tuner *t, const char *name, struct err *err)
{
    bool must = name && str_eq(name, "exhaustive");
    bool may = must || (!name && space_size(&t->space) <= (int64_t)t->budget * 8);
    if (may) {
        int64_t *listed;
        size_t n;
        int r = space_list(&t->space, t->arena, &listed, &n, err);
        if (r < 0 && (must || r == ERR_NOTFOUND)) {
            return r;
        }
        if (r == 0 && (must || n <= t->budget)) {
            t->algorithm = &algorithms[1];
            t->listed = listed;
            t->n_listed = n;
            return 0;
        }
    }
    if (name && !str_eq(name, algorithms[0].name)) {
        return err_set(err, ERR_INVALID, "--tuner %s: there are random and exhaustive", name);
    }
    t->algorithm = &algorithms[0];
    return 0;
}

int tuner_new(const char *algorithm, const struct space *space, size_t budget, uint64_t seed,
              struct tuner **ret, struct err *err)
{
    struct tuner *t = xcalloc(1, sizeof(*t));
    t->space = *space;
    t->arena = arena_new();
    t->budget = MIN(budget, (size_t)SPACE_LIST_MAX);
    rng_init(&t->rng, seed, rng_key("tuner"), 0);
    int r = choose(t, algorithm, err);
    if (r < 0) {
        tuner_free(t);
        return r;
    }
    t->samples = arena_alloc(t->arena, t->budget + 1, sizeof(*t->samples));
    *ret = t;
    return 0;
}

void tuner_free(struct tuner *t)
{
    if (t) {
        arena_free(t->arena);
        free(t);
    }
}

const char *tuner_name(const struct tuner *t)
{
    return t->algorithm->name;
}

static void add(struct tuner *t, const int64_t *config)
{
    int64_t *copy = arena_alloc(t->arena, t->space.n, sizeof(*copy));
    memcpy(copy, config, t->space.n * sizeof(*copy));
    t->samples[t->n++] = (struct tuner_sample) { copy, -1 };
}

size_t tuner_ask(struct tuner *t, size_t most, int64_t *ret_configs)
{
    size_t n = 0;
    while (n < most && t->n < t->budget && t->space.n) {
        int64_t *config = ret_configs + n * t->space.n;
        if (t->n == 0 && space_allows(&t->space, t->space.own, NULL) == 1) {
            memcpy(config, t->space.own, t->space.n * sizeof(*config));
        } else if (!t->algorithm->next(t, config)) {
            break;
        }
        add(t, config);
        n++;
    }
    return n;
}

int tuner_tell(struct tuner *t, const int64_t *config, double time_us, struct err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        struct tuner_sample *s = &t->samples[i];
        if (memcmp(s->config, config, t->space.n * sizeof(*config)) == 0) {
            s->time_us = time_us > 0 ? time_us : (double)NAN;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "a config was told that nobody asked for");
}

size_t tuner_samples(const struct tuner *t, const struct tuner_sample **ret)
{
    *ret = t->samples;
    return t->n;
}

const struct tuner_sample *tuner_best(const struct tuner *t)
{
    const struct tuner_sample *best = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct tuner_sample *s = &t->samples[i];
        if (s->time_us > 0 && (!best || s->time_us < best->time_us)) {
            best = s;
        }
    }
    return best;
}
