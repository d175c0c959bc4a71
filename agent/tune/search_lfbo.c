/* SPDX-License-Identifier: MIT */
/*
 * LFBO pattern and tree search as in Helion (pytorch/helion, surrogate_pattern_search.py), in the
 * form that its #3518 corrected: only what was measured is out of bounds, a small neighbourhood
 * still gives a candidate, a copy never leaves a better config for a worse one, labels follow the
 * newest times; with #3524's descent in the end. Where it would stop early, it starts again from new
 * random configs and keeps all that was learned.
 *
 * One generation: every live copy names the neighbours that the forest likes best; all are measured;
 * a copy moves to its best or, out of patience, ends.
 */
#include "agent/tune/tuner_learn.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum flag {
    FLAG_FORM,
    FLAG_INITIAL,
    FLAG_COPIES,
    FLAG_GENERATIONS,
    FLAG_NEIGHBOURS,
    FLAG_RADIUS,
    FLAG_SELECTED,
    FLAG_QUANTILE,
    FLAG_PATIENCE,
    FLAG_DIVERSITY,
    FLAG_DELTA,
    FLAG_TREES,
    FLAG_POLISH,
    FLAG_AGAIN,
};

enum { FORM_PATTERN, FORM_TREE, COPIES_MAX = 64, NEIGHBOURS_MAX = 4096 };

static const char *const forms[] = { "pattern", "tree", NULL };

static const struct tuner_flag flags[] = {
    [FLAG_FORM] = { "form", FORM_TREE, 0, 0, forms, "pattern, tree" },
    [FLAG_INITIAL] = { "initial", 100, 2, 1e5, NULL, "random configs to start from" },
    [FLAG_COPIES] = { "copies", 5, 1, COPIES_MAX, NULL, "searches side by side" },
    [FLAG_GENERATIONS] = { "generations", 20, 1, 1e6, NULL, "before a new start" },
    [FLAG_NEIGHBOURS] = { "neighbours", 0, 0, NEIGHBOURS_MAX, NULL,
                          "a copy and generation; 0: pattern 300, tree 200" },
    [FLAG_RADIUS] = { "radius", 2, 1, 1000, NULL, "of a step in an ordered parameter" },
    [FLAG_SELECTED] = { "selected", 0.1, 0.001, 1, NULL, "share of the neighbours measured" },
    [FLAG_QUANTILE] = { "quantile", 0.1, 0, 1, NULL, "share of the times that counts as good" },
    [FLAG_PATIENCE] = { "patience", 1, 0, 1000, NULL, "generations without gain forgiven" },
    [FLAG_DIVERSITY] = { "diversity", 1, 0, 100, NULL, "penalty on being like those picked" },
    [FLAG_DELTA] = { "delta", 0.001, 0, 1, NULL, "a smaller relative gain is none" },
    [FLAG_TREES] = { "trees", 100, 1, 2000, NULL, "of the forest" },
    [FLAG_POLISH] = { "polish", 1, 0, 1, NULL, "1: a descent by single steps in the end" },
    [FLAG_AGAIN] = { "again", 20, 2, 1e5, NULL, "random configs of a new start" },
    { .name = NULL },
};

struct copy {
    uint16_t *config;
    double time;
    int patience; /* < 0: ended */
    size_t first, n; /* its share of the batch */
};

struct lfbo {
    bool started;
    size_t draws;     /* random ones still to ask for before the copies start */
    size_t since;     /* samples from here on are this start's */
    size_t n_copies;
    unsigned generation;
    bool polishing;
    struct copy copies[COPIES_MAX];
    uint16_t *batch;
    size_t n, at, most;
};

static int open_lfbo(struct tuner *t, struct err *err)
{
    (void)err;
    struct lfbo *s = arena_alloc(t->arena, 1, sizeof(*s));
    s->draws = (size_t)t->flags[FLAG_INITIAL];
    s->draws -= MIN(s->draws, t->n_first);
    s->most = (size_t)t->flags[FLAG_COPIES] * (NEIGHBOURS_MAX / 4);
    s->batch = arena_alloc(t->arena, s->most, tuner_row_bytes(t));
    for (size_t i = 0; i < COPIES_MAX; i++) {
        s->copies[i].config = arena_alloc(t->arena, 1, tuner_row_bytes(t));
    }
    t->state = s;
    return 0;
}

static bool is_ordered(const struct tune_param *p)
{
    return p->kind == TUNE_POW2 || p->kind == TUNE_NUMBER;
}

/* A random ordered parameter: what Helion calls a block size. Any where there's none. */
static size_t draw_block(struct tuner *t)
{
    size_t n = t->space->n, found = 0, at = rng_below(&t->rng, n);
    for (size_t i = 0; i < n; i++) {
        if (is_ordered(&t->space->params[i]) && rng_below(&t->rng, ++found) == 0) {
            at = i;
        }
    }
    return at;
}

static void move(struct tuner *t, uint16_t *config, size_t i, unsigned radius)
{
    auto_free uint16_t *near = xcalloc(t->space->params[i].n, sizeof(*near));
    size_t n = tune_space_neighbours(t->space, config, i, radius, near);
    config[i] = n ? near[rng_below(&t->rng, n)] : config[i];
}

static void pattern_neighbour(struct tuner *t, uint16_t *config)
{
    move(t, config, draw_block(t), (unsigned)t->flags[FLAG_RADIUS]);
    for (uint64_t more = rng_below(&t->rng, 3); more > 0; more--) {
        move(t, config, rng_below(&t->rng, t->space->n), 1);
    }
}

/* The value of parameter i that one tree likes best, ties at random. */
static void greedy(struct tuner *t, const struct forest *forest, unsigned tree, uint16_t *config,
                   size_t i)
{
    size_t d = t->space->n_features, best = 0, ties = 0;
    auto_free uint16_t *near = xcalloc(t->space->params[i].n + 1, sizeof(*near));
    size_t n = tune_space_neighbours(t->space, config, i, (unsigned)t->flags[FLAG_RADIUS], near);
    near[n++] = config[i];
    auto_free float *x = xcalloc(n * d, sizeof(*x)), *p = xcalloc(n, sizeof(*p));
    for (size_t k = 0; k < n; k++) {
        config[i] = near[k];
        tune_space_features(t->space, config, x + k * d);
    }
    forest_predict_tree(forest, tree, x, n, p);
    for (size_t k = 0; k < n; k++) {
        if (ties == 0 || p[k] > p[best]) {
            best = k;
            ties = 1;
        } else if (!(p[k] < p[best]) && rng_below(&t->rng, ++ties) == 0) {
            best = k;
        }
    }
    config[i] = near[best];
}

/* The parameters that a random tree asks about this config, and a block, set to what it likes. */
static void tree_neighbour(struct tuner *t, const struct forest *forest, uint16_t *config)
{
    size_t d = t->space->n_features;
    bool done[TUNE_PARAMS_MAX] = { false };
    auto_free float *x = xcalloc(d, sizeof(*x));
    auto_free size_t *path = xcalloc(d + 1, sizeof(*path));
    unsigned tree = (unsigned)rng_below(&t->rng, forest_trees(forest));
    tune_space_features(t->space, config, x);
    size_t n = forest_path(forest, tree, x, path);
    for (size_t k = 0; k <= n; k++) {
        size_t i = k < n ? tune_space_feature_param(t->space, path[k]) : draw_block(t);
        if (!done[i]) {
            greedy(t, forest, tree, config, i);
            done[i] = true;
        }
    }
}

/* All steps to a neighbour in one parameter. */
static size_t single_steps(struct tuner *t, const struct copy *copy, uint16_t *ret)
{
    size_t n = 0, row = t->space->n;
    for (size_t i = 0; i < row; i++) {
        auto_free uint16_t *near = xcalloc(t->space->params[i].n, sizeof(*near));
        size_t n_near = tune_space_neighbours(t->space, copy->config, i, 1, near);
        for (size_t k = 0; k < n_near && n < NEIGHBOURS_MAX; k++) {
            memcpy(ret + n * row, copy->config, tuner_row_bytes(t));
            ret[n++ * row + i] = near[k];
        }
    }
    return n;
}

static size_t neighbours(struct tuner *t, const struct lfbo *s, const struct forest *forest,
                         const struct copy *copy, uint16_t *ret)
{
    size_t row = t->space->n, most = (size_t)t->flags[FLAG_NEIGHBOURS];
    bool tree = forest && t->flags[FLAG_FORM] > FORM_PATTERN && s->generation > 1;
    if (s->polishing) {
        return single_steps(t, copy, ret);
    }
    most = most ? most : t->flags[FLAG_FORM] > FORM_PATTERN ? 200 : 300;
    for (size_t k = 0; k < most; k++) {
        memcpy(ret + k * row, copy->config, tuner_row_bytes(t));
        if (tree) {
            tree_neighbour(t, forest, ret + k * row);
        } else {
            pattern_neighbour(t, ret + k * row);
        }
    }
    return most;
}

static bool is_among(const uint16_t *configs, size_t n, const uint16_t *config, size_t row)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(configs + i * row, config, row * sizeof(*config)) == 0) {
            return true;
        }
    }
    return false;
}

/* Leaves what is allowed, new, and there once. */
static size_t sift(const struct tuner *t, const struct lfbo *s, uint16_t *configs, size_t n)
{
    size_t kept = 0, row = t->space->n;
    for (size_t i = 0; i < n; i++) {
        const uint16_t *config = configs + i * row;
        if (tune_space_allows(t->space, config) == 1 && !tuner_asked(t, config)
            && !is_among(configs, kept, config, row) && !is_among(s->batch, s->n, config, row)) {
            memmove(configs + kept++ * row, config, tuner_row_bytes(t));
        }
    }
    return kept;
}

/* The copy's share of the next batch. */
static void propose(struct tuner *t, struct lfbo *s, const struct forest *forest, struct copy *copy)
{
    size_t row = t->space->n;
    auto_free uint16_t *near = xcalloc(NEIGHBOURS_MAX, tuner_row_bytes(t));
    size_t n = sift(t, s, near, neighbours(t, s, forest, copy, near));
    size_t quota = (size_t)ceil((double)n * t->flags[FLAG_SELECTED]);
    quota = MIN(s->polishing ? MAX(quota, (size_t)5) : quota, s->most - s->n);
    auto_free uint32_t *picks = xcalloc(n + 1, sizeof(*picks));
    auto_free float *p = xcalloc(n + 1, sizeof(*p));
    copy->first = s->n;
    if (forest) {
        learn_rank(t, forest, near, n, p);
        copy->n = learn_pick(t, forest, near, p, n, quota, t->flags[FLAG_DIVERSITY], picks);
    } else {
        copy->n = MIN(quota, n);
        for (size_t i = 0; i < copy->n; i++) {
            picks[i] = (uint32_t)i;
        }
    }
    for (size_t i = 0; i < copy->n; i++) {
        memcpy(s->batch + s->n++ * row, near + picks[i] * row, tuner_row_bytes(t));
    }
    copy->patience = copy->n ? copy->patience : -1;
}

static void next_generation(struct tuner *t, struct lfbo *s)
{
    struct learn_options options = { t->flags[FLAG_QUANTILE], (unsigned)t->flags[FLAG_TREES],
                                     t->seed + t->n };
    struct forest *forest = learn_fit(t, &options);
    s->generation++;
    s->n = s->at = 0;
    for (size_t i = 0; i < s->n_copies; i++) {
        s->copies[i].n = 0;
        if (s->copies[i].patience >= 0) {
            propose(t, s, forest, &s->copies[i]);
        }
    }
    forest_free(forest);
}

/* Where a copy goes after its batch was measured. */
static void advance(struct tuner *t, const struct lfbo *s, struct copy *copy)
{
    double before = tuner_time(t, copy->config); /* it may have been timed again */
    copy->time = before > 0 ? before : copy->time;
    double old = copy->time;
    for (size_t i = 0; i < copy->n; i++) {
        const uint16_t *config = s->batch + (copy->first + i) * t->space->n;
        double time = tuner_time(t, config);
        if (time > 0 && time < copy->time) {
            copy->time = time;
            memcpy(copy->config, config, tuner_row_bytes(t));
        }
    }
    bool gained = copy->time < old * (1 - t->flags[FLAG_DELTA]);
    copy->patience -= copy->patience >= 0 && !gained && !s->polishing;
}

static void start_copies(struct tuner *t, struct lfbo *s, size_t since, size_t n)
{
    auto_free const struct tuner_sample **best = xcalloc(t->n + 1, sizeof(*best));
    size_t all = tuner_fastest(t, t->n, best);
    s->n_copies = s->n = s->at = 0;
    s->generation = 0;
    for (size_t i = 0; i < all && s->n_copies < n; i++) {
        if ((size_t)(best[i] - t->samples) >= since) {
            struct copy *copy = &s->copies[s->n_copies++];
            memcpy(copy->config, best[i]->config, tuner_row_bytes(t));
            copy->time = best[i]->time;
            copy->patience = (int)t->flags[FLAG_PATIENCE];
        }
    }
}

/* The batch was measured: what comes next? */
static void turn(struct tuner *t, struct lfbo *s)
{
    size_t live = 0;
    if (!s->started) {
        start_copies(t, s, s->since, (size_t)t->flags[FLAG_COPIES]);
        s->started = true;
        s->polishing = false;
    }
    for (size_t i = 0; i < s->n_copies; i++) {
        advance(t, s, &s->copies[i]);
    }
    if (s->generation < t->flags[FLAG_GENERATIONS] || s->polishing) {
        next_generation(t, s);
        live = s->n;
    }
    if (live == 0 && !s->polishing && t->flags[FLAG_POLISH] > 0) {
        s->polishing = true;
        start_copies(t, s, 0, 1);
        next_generation(t, s);
        live = s->n;
    }
    if (live == 0) {
        s->started = false;
        s->since = t->n;
        s->draws = (size_t)t->flags[FLAG_AGAIN];
    }
}

static bool next_lfbo(struct tuner *t, uint16_t *ret_config)
{
    struct lfbo *s = t->state;
    for (;;) {
        while (s->at < s->n) {
            const uint16_t *config = s->batch + s->at++ * t->space->n;
            if (!tuner_asked(t, config)) {
                memcpy(ret_config, config, tuner_row_bytes(t));
                return true;
            }
        }
        if (s->draws > 0) {
            s->draws--;
            return tuner_draw(t, ret_config);
        }
        if (t->n_told < t->n) {
            return false;
        }
        turn(t, s);
    }
}

const struct algorithm search_lfbo = { "lfbo", flags, open_lfbo, next_lfbo, NULL, NULL };
