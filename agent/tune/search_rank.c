/* SPDX-License-Identifier: MIT */
/*
 * LFBO's forest (tuner_learn.h), not along paths of neighbours but over every config: after a random
 * start the forest ranks all that weren't asked for, and the next batch is picked with diversity
 * from the most probable (of a pool where they are too many, tuner_pool.h).
 */
#include "agent/tune/tuner_learn.h"
#include "agent/tune/tuner_pool.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { FLAG_INITIAL, FLAG_BATCH, FLAG_TOP, FLAG_QUANTILE, FLAG_TREES, FLAG_DIVERSITY };

static const struct tuner_flag flags[] = {
    [FLAG_INITIAL] = { "initial", 50, 2, 1e5, NULL, "random configs to start from" },
    [FLAG_BATCH] = { "batch", 20, 1, 1e4, NULL, "configs from one ranking" },
    [FLAG_TOP] = { "top", 300, 1, 1e5, NULL, "most probable ones that a batch is picked from" },
    [FLAG_QUANTILE] = { "quantile", 0.1, 0, 1, NULL, "share of the times that counts as good" },
    [FLAG_TREES] = { "trees", 100, 1, 2000, NULL, "of the forest" },
    [FLAG_DIVERSITY] = { "diversity", 1, 0, 100, NULL, "penalty on being like those picked" },
    { .name = NULL },
};

struct rank {
    struct tuner_pool *pool;
    uint16_t *batch;
    size_t n, at, told;
};

static int open_rank(struct tuner *t, struct err *err)
{
    (void)err;
    struct rank *s = arena_alloc(t->arena, 1, sizeof(*s));
    s->pool = tuner_pool_new(t, true);
    s->batch = arena_alloc(t->arena, (size_t)t->flags[FLAG_BATCH] * t->space->n, sizeof(*s->batch));
    t->state = s;
    return 0;
}

struct ranked {
    float p;
    uint32_t row;
};

static int by_p(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p ? 1 : -1) : (x->row > y->row) - (x->row < y->row);
}

/* The most probable of those left, in their order, copied into ret. */
static size_t keep_top(const struct tuner *t, const struct tuner_pool *pool, const float *p,
                       size_t most, uint16_t *ret_configs, float *ret_p)
{
    auto_free struct ranked *ranked = xcalloc(pool->n + 1, sizeof(*ranked));
    size_t n = 0;
    for (size_t i = 0; i < pool->n; i++) {
        if (!pool->taken[i]) {
            ranked[n++] = (struct ranked) { p[i], (uint32_t)i };
        }
    }
    qsort(ranked, n, sizeof(*ranked), by_p);
    for (size_t i = 0; i < MIN(n, most); i++) {
        memcpy(ret_configs + i * t->space->n, tuner_pool_config(t, pool, ranked[i].row),
               tuner_row_bytes(t));
        ret_p[i] = ranked[i].p;
    }
    return MIN(n, most);
}

/* A new batch from a new forest; empty if nothing can be told apart yet. */
static void rank(struct tuner *t, struct rank *s)
{
    struct learn_options options = { t->flags[FLAG_QUANTILE], (unsigned)t->flags[FLAG_TREES],
                                     t->seed + t->n };
    struct forest *forest = learn_fit(t, &options);
    s->n = s->at = 0;
    s->told = t->n_told;
    if (!forest) {
        return;
    }
    tuner_pool_refresh(t, s->pool);
    size_t most = (size_t)t->flags[FLAG_TOP];
    auto_free float *p = xcalloc(s->pool->n + 1, sizeof(*p));
    auto_free float *top_p = xcalloc(most, sizeof(*top_p));
    auto_free uint16_t *top = xcalloc(most * t->space->n, sizeof(*top));
    auto_free uint32_t *picks = xcalloc((size_t)t->flags[FLAG_BATCH], sizeof(*picks));
    learn_rank(t, forest, s->pool->configs, s->pool->n, p);
    size_t n_top = keep_top(t, s->pool, p, most, top, top_p);
    s->n = learn_pick(t, forest, top, top_p, n_top, (size_t)t->flags[FLAG_BATCH],
                      t->flags[FLAG_DIVERSITY], picks);
    for (size_t i = 0; i < s->n; i++) {
        memcpy(s->batch + i * t->space->n, top + picks[i] * t->space->n, tuner_row_bytes(t));
    }
    forest_free(forest);
}

static bool next_rank(struct tuner *t, uint16_t *ret_config)
{
    struct rank *s = t->state;
    if (t->n < t->flags[FLAG_INITIAL]) {
        return tuner_draw(t, ret_config);
    }
    if (s->at == s->n && t->n_told > s->told) {
        rank(t, s);
    }
    while (s->at < s->n) {
        const uint16_t *config = s->batch + s->at++ * t->space->n;
        if (!tuner_asked(t, config)) {
            memcpy(ret_config, config, tuner_row_bytes(t));
            return true;
        }
    }
    return tuner_draw(t, ret_config);
}

const struct algorithm search_rank = { "rank", flags, open_rank, next_rank, NULL, NULL };
