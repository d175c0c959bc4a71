/* SPDX-License-Identifier: MIT */
/*
 * Which tunings and configs are looked at, and the choice: configs that cover the draws.
 */
#include "agent/tune/prior_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FASTEST = 400, POOL_DRAWN = 4000, LANES = 16 };
#define UNLIKE 0.05 /* similarity of a device that is like none of those known */


static int by_config(const void *a, const void *b, void *bytes)
{
    return memcmp(a, b, *(const size_t *)bytes);
}

/* Configs to choose among before any thinning: all, or the earlier tunings' best and random ones. */
static uint16_t *make_pool(const struct prior_guide *g, size_t *ret_n)
{
    const struct tune_space *space = g->space;
    size_t bytes = space->n * sizeof(uint16_t), n = 0, kept = 0;
    uint16_t *pool = xcalloc((space->n_listed ? space->n_listed : POOL_DRAWN + g->n_views * FASTEST),
                             bytes);
    if (space->n_listed) {
        memcpy(pool, space->listed, space->n_listed * bytes);
        *ret_n = space->n_listed;
        return pool;
    }
    for (size_t e = 0; e < g->n_views; e++) {
        n += prior_view_best(g->views[e], FASTEST, pool + n * space->n);
    }
    struct rng rng;
    rng_init(&rng, g->seed, rng_key("prior pool"), 0);
    for (int i = 0; i < POOL_DRAWN && tune_space_draw(space, &rng, pool + n * space->n) == 0; i++) {
        n++;
    }
    qsort_r(pool, n, bytes, by_config, &bytes);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || memcmp(pool + i * space->n, pool + (kept - 1) * space->n, bytes) != 0) {
            memmove(pool + kept++ * space->n, pool + i * space->n, bytes);
        }
    }
    *ret_n = kept;
    return pool;
}

struct by_y {
    float y;
    uint32_t row;
};

static int compare(const void *a, const void *b)
{
    const struct by_y *x = a, *y = b;
    int order = (x->y > y->y) - (x->y < y->y);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static void mark_fastest(const float *y, size_t n, bool *keep)
{
    auto_free struct by_y *order = xcalloc(n + 1, sizeof(*order));
    for (uint32_t i = 0; i < n; i++) {
        order[i] = (struct by_y) { y[i], i };
    }
    qsort(order, n, sizeof(*order), compare);
    for (size_t i = 0; i < MIN(n, (size_t)FASTEST); i++) {
        keep[order[i].row] = true;
    }
}

/* Candidates: what was fast in one of the tunings, or by their mean. */
static void choose_candidates(struct prior_guide *g)
{
    size_t n = 0, wide = g->space->n;
    auto_free uint16_t *pool = make_pool(g, &n);
    auto_free bool *keep = xcalloc(n + 1, sizeof(*keep));
    auto_free float *y = xcalloc(n + 1, sizeof(*y)), *mean = xcalloc(n + 1, sizeof(*mean));
    for (size_t e = 0; e < g->n_views; e++) {
        prior_view_values(g->views[e], pool, n, y);
        mark_fastest(y, n, keep);
        for (size_t i = 0; i < n; i++) {
            mean[i] += (float)g->share[e] * y[i];
        }
    }
    mark_fastest(mean, n, keep);
    g->configs = xcalloc(n * wide + 1, sizeof(*g->configs));
    for (size_t i = 0; i < n; i++) {
        if (keep[i]) {
            memcpy(g->configs + g->n++ * wide, pool + i * wide, wide * sizeof(*pool));
        }
    }
    g->design = xcalloc(g->n * g->width + 1, sizeof(*g->design));
    prior_design(g, g->configs, g->n, g->design);
}

/* The most similar tunings that can be seen from here, and what share each has. */
static void choose_views(struct prior_guide *g, const struct prior *prior,
                         const struct prior_place *here)
{
    auto_free bool *taken = xcalloc(prior->n + 1, sizeof(*taken));
    double sum = 0;
    for (size_t tries = 0; tries < prior->n && g->n_views < PRIOR_VIEWS_MAX; tries++) {
        size_t best = SIZE_MAX;
        double most = 0;
        for (size_t i = 0; i < prior->n; i++) {
            double s = taken[i] ? 0 : prior_similarity(here, &prior->tunings[i].place);
            if (s > most) {
                most = s;
                best = i;
            }
        }
        if (best == SIZE_MAX) {
            break;
        }
        taken[best] = true;
        struct prior_view *view = prior_view_new(&prior->tunings[best], g->space, g->seed + best);
        if (view) {
            g->share[g->n_views] = most;
            g->views[g->n_views++] = view;
            sum += most;
        }
    }
    g->n_parts = g->n_views + 1;
    g->share[g->n_views] = UNLIKE;
    for (size_t e = 0; e < g->n_parts; e++) {
        g->share[e] /= sum + UNLIKE;
    }
}

struct prior_guide *prior_guide_new(const struct prior *prior, const struct prior_place *here,
                                    const struct tune_space *space, uint64_t seed)
{
    struct prior_guide *g = xcalloc(1, sizeof(*g));
    g->space = space;
    g->seed = seed;
    choose_views(g, prior, here);
    if (g->n_views > 0) {
        g->width = g->n_parts + PRIOR_WAVES;
        g->waves = prior_waves_new(space, seed);
        prior_draw(g);
        choose_candidates(g);
    }
    if (g->n == 0) {
        prior_guide_free(g);
        return NULL;
    }
    return g;
}

void prior_guide_free(struct prior_guide *g)
{
    if (!g) {
        return;
    }
    for (size_t e = 0; e < g->n_views; e++) {
        prior_view_free(g->views[e]);
    }
    prior_waves_free(g->waves);
    free(g->configs);
    free(g->design);
    free(g->draws);
    free(g);
}

size_t prior_guide_tunings(const struct prior_guide *guide)
{
    return guide->n_views;
}

static float larger(float a, float b)
{
    return a > b ? a : b; /* fmaxf is a call, as it minds NAN */
}

/* Speed of every candidate on every draw, as a share of the draw's optimum; `held` is what is had. */
static float *speeds(const struct prior_guide *g, const struct prior_own *own, const float *draws,
                     float *held)
{
    float *speed = xcalloc(g->n * PRIOR_DRAWS, sizeof(*speed)), least[PRIOR_DRAWS], mine[PRIOR_DRAWS];
    prior_over_draws(g, g->design, g->n, draws, speed);
    memcpy(least, speed, sizeof(least));
    for (size_t i = 0; i < g->n; i++) {
        for (size_t m = 0; m < PRIOR_DRAWS; m++) {
            least[m] = -larger(-least[m], -speed[i * PRIOR_DRAWS + m]);
        }
    }
    if (own->n > 0) {
        prior_over_draws(g, own->design, 1, draws, mine); /* the fastest comes first */
    }
    for (size_t m = 0; m < PRIOR_DRAWS; m++) {
        least[m] = own->n > 0 && mine[m] < least[m] ? mine[m] : least[m];
        held[m] = own->n > 0 ? expf(least[m] - mine[m]) : 0;
    }
    for (size_t i = 0; i < g->n; i++) {
        for (size_t m = 0; m < PRIOR_DRAWS; m++) {
            speed[i * PRIOR_DRAWS + m] = expf(least[m] - speed[i * PRIOR_DRAWS + m]);
        }
    }
    return speed;
}

/* A sample isn't proposed again; one that isn't measured yet counts as had. */
static void take(const struct prior_guide *g, const struct prior_sample *sample, const float *speed,
                 float *held, bool *out)
{
    size_t i = 0, bytes = g->space->n * sizeof(*g->configs);
    while (i < g->n && memcmp(g->configs + i * g->space->n, sample->config, bytes) != 0) {
        i++;
    }
    if (i < g->n) {
        out[i] = true;
        for (size_t m = 0; m < PRIOR_DRAWS && sample->time < 0; m++) {
            held[m] = larger(held[m], speed[i * PRIOR_DRAWS + m]);
        }
    }
}

static float total(const float *held, const float *speed)
{
    float part[LANES] = { 0 }, sum = 0;
    for (size_t begin = 0; begin < PRIOR_DRAWS; begin += LANES) {
        for (size_t m = 0; m < LANES; m++) {
            part[m] += larger(held[begin + m], speed[begin + m]);
        }
    }
    for (size_t m = 0; m < LANES; m++) {
        sum += part[m];
    }
    return sum;
}

/* Greedy cover: each time the candidate that adds most to the sum over draws of the best so far. */
static size_t cover(const struct prior_guide *g, const float *speed, float *held, bool *out,
                    size_t most, uint16_t *ret)
{
    size_t n = 0, wide = g->space->n;
    for (; n < most; n++) {
        size_t best = SIZE_MAX;
        float most_sum = -1;
        for (size_t i = 0; i < g->n; i++) {
            float sum = out[i] ? 0 : total(held, speed + i * PRIOR_DRAWS);
            if (!out[i] && sum > most_sum) {
                most_sum = sum;
                best = i;
            }
        }
        if (best == SIZE_MAX) {
            break;
        }
        out[best] = true;
        memcpy(ret + n * wide, g->configs + best * wide, wide * sizeof(*ret));
        for (size_t m = 0; m < PRIOR_DRAWS; m++) {
            held[m] = larger(held[m], speed[best * PRIOR_DRAWS + m]);
        }
    }
    return n;
}

size_t prior_guide_next(struct prior_guide *g, const struct prior_sample *samples, size_t n,
                        size_t most, uint16_t *ret_configs)
{
    struct prior_own own;
    size_t bytes = g->width * PRIOR_DRAWS * sizeof(float);
    auto_free float *draws = xcalloc(1, bytes);
    auto_free bool *out = xcalloc(g->n + 1, sizeof(*out));
    float held[PRIOR_DRAWS];
    memcpy(draws, g->draws, bytes);
    prior_own_read(g, samples, n, &own);
    prior_condition(g, &own, draws);
    auto_free float *speed = speeds(g, &own, draws, held);
    for (size_t k = 0; k < n; k++) {
        take(g, &samples[k], speed, held, out);
    }
    size_t got = cover(g, speed, held, out, most, ret_configs);
    prior_own_done(&own);
    return got;
}
