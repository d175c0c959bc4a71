/* SPDX-License-Identifier: MIT */
#include "agent/tune/tuner_pool.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ORDERED_MAX = 12, TWOS_MAX = 10, SAMPLE = 4000, BEST = 10, BEST_EACH = 400,
       DRAWN_MAX = SAMPLE + BEST * BEST_EACH };

/* How often two divides a value; 0 for what isn't a positive integer. */
static float twos(double value)
{
    float n = 0;
    while (value >= 2 && fmod(value, 2) == 0 && n < TWOS_MAX) {
        value /= 2;
        n++;
    }
    return n;
}

static void make_tables(struct tuner *t, struct tuner_pool *pool)
{
    const struct tune_space *s = t->space;
    size_t *ordered = arena_alloc(t->arena, ORDERED_MAX, sizeof(*ordered));
    const float **logs = arena_alloc(t->arena, ORDERED_MAX, sizeof(*logs));
    const float **all_twos = arena_alloc(t->arena, ORDERED_MAX, sizeof(*all_twos));
    for (size_t i = 0; i < s->n && pool->n_ordered < ORDERED_MAX; i++) {
        const struct tune_param *p = &s->params[i];
        if ((p->kind != TUNE_POW2 && p->kind != TUNE_NUMBER) || !(p->values[0] > 0)) {
            continue;
        }
        float *log = arena_alloc(t->arena, p->n, sizeof(*log));
        float *two = arena_alloc(t->arena, p->n, sizeof(*two));
        for (uint32_t k = 0; k < p->n; k++) {
            log[k] = (float)log2(p->values[k]);
            two[k] = twos(p->values[k]);
        }
        logs[pool->n_ordered] = log;
        all_twos[pool->n_ordered] = two;
        ordered[pool->n_ordered++] = i;
    }
    pool->ordered = ordered;
    pool->log2s = logs;
    pool->twos = all_twos;
    pool->d = s->n_features + pool->n_ordered * pool->n_ordered;
}

void tuner_pool_features(const struct tuner *t, const struct tuner_pool *pool,
                         const uint16_t *config, float *ret)
{
    tune_space_features(t->space, config, ret);
    ret += t->space->n_features;
    for (size_t a = 0; a < pool->n_ordered; a++) {
        uint16_t rank = config[pool->ordered[a]];
        float log = pool->log2s[a][rank];
        *ret++ = pool->twos[a][rank];
        for (size_t b = 0; b < a; b++) {
            float other = pool->log2s[b][config[pool->ordered[b]]];
            *ret++ = log + other;
            *ret++ = log - other;
        }
    }
}

static void fill_features(const struct tuner *t, struct tuner_pool *pool)
{
    for (size_t i = 0; i < pool->n; i++) {
        tuner_pool_features(t, pool, tuner_pool_config(t, pool, i), pool->own_x + i * pool->d);
    }
}

struct tuner_pool *tuner_pool_new(struct tuner *t, bool whole)
{
    struct tuner_pool *pool = arena_alloc(t->arena, 1, sizeof(*pool));
    size_t listed = t->space->n_listed;
    pool->whole = whole && listed > 0 && listed <= POOL_LISTED_MAX;
    make_tables(t, pool);
    size_t most = pool->whole ? listed : DRAWN_MAX;
    pool->own_x = arena_alloc(t->arena, most * pool->d, sizeof(*pool->own_x));
    pool->own_taken = arena_alloc(t->arena, most, sizeof(*pool->own_taken));
    pool->drawn = pool->whole ? NULL : arena_alloc(t->arena, most, tuner_row_bytes(t));
    pool->configs = pool->whole ? t->space->listed : pool->drawn;
    pool->n = pool->whole ? listed : 0;
    pool->x = pool->own_x;
    pool->taken = pool->own_taken;
    fill_features(t, pool);
    return pool;
}

/* One to four parameters of a good config changed, half of the time to a near value. */
static bool change(struct tuner *t, const uint16_t *config, uint16_t *ret_config)
{
    const struct tune_space *s = t->space;
    memcpy(ret_config, config, tuner_row_bytes(t));
    for (size_t k = 1 + rng_below(&t->rng, 4); k-- > 0;) {
        size_t i = rng_below(&t->rng, s->n);
        uint32_t n = s->params[i].n;
        int step = rng_below(&t->rng, 2) ? 1 : -1;
        int near = MIN(MAX((int)ret_config[i] + step, 0), (int)n - 1);
        ret_config[i] = (uint16_t)(rng_below(&t->rng, 2) ? near : (int)rng_below(&t->rng, n));
    }
    return tune_space_allows(s, ret_config) == 1 && !tuner_asked(t, ret_config);
}

static int by_bytes(const void *a, const void *b, void *bytes)
{
    return memcmp(a, b, *(size_t *)bytes);
}

static void draw_anew(struct tuner *t, struct tuner_pool *pool)
{
    const struct tuner_sample *best[BEST];
    size_t row = t->space->n, bytes = tuner_row_bytes(t), n = 0;
    for (size_t i = 0; i < SAMPLE; i++) {
        n += tune_space_draw(t->space, &t->rng, pool->drawn + n * row) == 0
            && !tuner_asked(t, pool->drawn + n * row);
    }
    size_t n_best = tuner_fastest(t, BEST, best);
    for (size_t i = 0; i < n_best * BEST_EACH; i++) {
        n += change(t, best[i % n_best]->config, pool->drawn + n * row);
    }
    qsort_r(pool->drawn, n, bytes, by_bytes, &bytes);
    pool->n = 0;
    for (size_t i = 0; i < n; i++) {
        const uint16_t *config = pool->drawn + i * row;
        if (i == 0 || memcmp(config, config - row, bytes) != 0) {
            memmove(pool->drawn + pool->n++ * row, config, bytes);
        }
    }
    memset(pool->own_taken, 0, pool->n * sizeof(*pool->own_taken));
    fill_features(t, pool);
}

void tuner_pool_refresh(struct tuner *t, struct tuner_pool *pool)
{
    for (; pool->whole && pool->synced < t->n; pool->synced++) {
        int64_t row = tune_space_find(t->space, t->samples[pool->synced].config);
        pool->own_taken[row] = true;
    }
    if (!pool->whole) {
        draw_anew(t, pool);
    }
}

void tuner_pool_take(struct tuner_pool *pool, size_t row, bool taken)
{
    pool->own_taken[row] = taken;
}

const uint16_t *tuner_pool_config(const struct tuner *t, const struct tuner_pool *pool, size_t row)
{
    return pool->configs + row * t->space->n;
}
