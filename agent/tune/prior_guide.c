/* SPDX-License-Identifier: MIT */
/*
 * The model: on a device d, y of a config is  b + sum over tunings e of w_e y_e + DEVIATION * waves . v
 * + noise, with w of a Dirichlet distribution whose means are the tunings' similarities, v standard
 * normal, b unknown. A draw is a (w, v): one device that might be. Own measurements turn prior draws into
 * draws of the posterior by Matheron's rule: x + Cov(x, t) Cov(t)^-1 (t - t(x)), which needs the
 * covariances alone. A draw's gain from a set of configs is optimum / best of them.
 */
#include "agent/tune/prior_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VIEWS_MAX = 12, DRAWS = 256, FASTEST = 400, POOL_DRAWN = 4000, OWN_MAX = 400 };
#define CONCENTRATION 2.0 /* of the Dirichlet distribution: low, so that one tuning may rule */
#define DEVIATION 0.3     /* of a new device from a mixture of old ones, in y */
#define NOISE 0.1         /* of a measurement, and of the model, in y */
#define LEVEL 1.0         /* of b */

struct prior_guide {
    const struct tune_space *space;
    size_t n_views, width; /* width: of a row of the design, n_views + PRIOR_WAVES */
    struct prior_view *views[VIEWS_MAX];
    double share[VIEWS_MAX];
    struct prior_waves *waves;
    uint64_t seed;
    size_t n; /* candidates */
    uint16_t *configs;
    float *design; /* candidates' rows */
    float *draws;  /* [k * DRAWS + draw], k < width */
};

/* Marsaglia and Tsang 2000; shape > 0. */
static double draw_gamma(struct rng *rng, double shape)
{
    if (shape < 1) {
        return draw_gamma(rng, shape + 1) * pow(1 - rng_unit(rng), 1 / shape);
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(rng), v = pow(1 + c * x, 3);
        if (v > 0 && log(1 - rng_unit(rng)) < 0.5 * x * x + d - d * v + d * log(v)) {
            return d * v;
        }
    }
}

static void draw_devices(struct prior_guide *g)
{
    struct rng rng;
    rng_init(&rng, g->seed, rng_key("prior draws"), 0);
    g->draws = xcalloc(g->width * DRAWS, sizeof(*g->draws));
    for (size_t m = 0; m < DRAWS; m++) {
        double w[VIEWS_MAX], sum = 1e-300;
        for (size_t e = 0; e < g->n_views; e++) {
            w[e] = draw_gamma(&rng, fmax(1e-3, CONCENTRATION * g->share[e]));
            sum += w[e];
        }
        for (size_t e = 0; e < g->n_views; e++) {
            g->draws[e * DRAWS + m] = (float)(w[e] / sum);
        }
        for (size_t k = g->n_views; k < g->width; k++) {
            g->draws[k * DRAWS + m] = (float)rng_normal(&rng);
        }
    }
}

/* Rows of the design: y of every view, then the deviation's waves. */
static void fill_design(const struct prior_guide *g, const uint16_t *configs, size_t n, float *ret)
{
    auto_free float *values = xcalloc(n + 1, sizeof(*values));
    for (size_t e = 0; e < g->n_views; e++) {
        prior_view_values(g->views[e], configs, n, values);
        for (size_t i = 0; i < n; i++) {
            ret[i * g->width + e] = values[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        float *row = ret + i * g->width + g->n_views;
        prior_waves_at(g->waves, configs + i * g->space->n, 1, row);
        for (size_t k = 0; k < PRIOR_WAVES; k++) {
            row[k] *= (float)DEVIATION;
        }
    }
}

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
    fill_design(g, g->configs, g->n, g->design);
}

/* The most similar tunings that can be seen from here, and what share each has. */
static void choose_views(struct prior_guide *g, const struct prior *prior,
                         const struct prior_place *here)
{
    auto_free bool *taken = xcalloc(prior->n + 1, sizeof(*taken));
    double sum = 0;
    for (size_t tries = 0; tries < prior->n && g->n_views < VIEWS_MAX; tries++) {
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
    for (size_t e = 0; e < g->n_views; e++) {
        g->share[e] /= sum;
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
        g->width = g->n_views + PRIOR_WAVES;
        g->waves = prior_waves_new(space, seed);
        draw_devices(g);
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

/* What was measured here, in y. */
struct own {
    size_t n, fastest;
    float *design; /* n * width */
    double *t;
    double *gain; /* n * width: Cov(row of the design, weights) */
};

static int by_time(const void *a, const void *b)
{
    const struct prior_sample *x = *(const struct prior_sample *const *)a;
    const struct prior_sample *y = *(const struct prior_sample *const *)b;
    double s = isnan(x->time) ? INFINITY : x->time, t = isnan(y->time) ? INFINITY : y->time;
    return s != t ? (s > t) - (s < t) : (x > y) - (x < y);
}

/* The fastest of what was measured; false if nothing ran. */
static bool read_own(const struct prior_guide *g, const struct prior_sample *samples, size_t n,
                     struct own *ret)
{
    auto_free const struct prior_sample **order = xcalloc(n + 1, sizeof(*order));
    for (size_t i = 0; i < n; i++) {
        order[i] = &samples[i];
    }
    qsort(order, n, sizeof(*order), by_time);
    *ret = (struct own) { .n = MIN(n, (size_t)OWN_MAX) };
    if (n == 0 || !isfinite(order[0]->time)) {
        ret->n = 0;
        return false;
    }
    auto_free uint16_t *configs = xcalloc(ret->n * g->space->n, sizeof(*configs));
    ret->t = xcalloc(ret->n, sizeof(*ret->t));
    for (size_t i = 0; i < ret->n; i++) {
        memcpy(configs + i * g->space->n, order[i]->config, g->space->n * sizeof(*configs));
        double y = log(order[i]->time / order[0]->time);
        ret->t[i] = y < PRIOR_WORST ? y : PRIOR_WORST;
    }
    ret->design = xcalloc(ret->n * g->width, sizeof(*ret->design));
    fill_design(g, configs, ret->n, ret->design);
    return true;
}

/* Covariance of a design's row with the weights: Dirichlet for the views, the identity for waves. */
static void covary(const struct prior_guide *g, const float *row, double *ret)
{
    double mean = 0;
    for (size_t e = 0; e < g->n_views; e++) {
        mean += g->share[e] * (double)row[e];
    }
    for (size_t e = 0; e < g->n_views; e++) {
        ret[e] = g->share[e] * ((double)row[e] - mean) / (CONCENTRATION + 1);
    }
    for (size_t k = g->n_views; k < g->width; k++) {
        ret[k] = (double)row[k];
    }
}

static double dot(const float *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i] * b[i];
    }
    return sum;
}

/* The lower triangle of Cov(t), factored in place (Cholesky). */
static double *factored(const struct prior_guide *g, struct own *own)
{
    size_t n = own->n;
    double *k = xcalloc(n * n, sizeof(*k));
    own->gain = xcalloc(n * g->width, sizeof(*own->gain));
    for (size_t i = 0; i < n; i++) {
        covary(g, own->design + i * g->width, own->gain + i * g->width);
        for (size_t j = 0; j <= i; j++) {
            k[i * n + j] = dot(own->design + i * g->width, own->gain + j * g->width, g->width)
                           + LEVEL * LEVEL + (i == j ? NOISE * NOISE : 0);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = k[i * n + j];
            for (size_t m = 0; m < j; m++) {
                sum -= k[i * n + m] * k[j * n + m];
            }
            k[i * n + j] = i == j ? sqrt(fmax(sum, 1e-9)) : sum / k[j * n + j];
        }
    }
    return k;
}

static void solve(const double *factor, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            x[i] -= factor[i * n + j] * x[j];
        }
        x[i] /= factor[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t j = i + 1; j < n; j++) {
            x[i] -= factor[j * n + i] * x[j];
        }
        x[i] /= factor[i * n + i];
    }
}

/* Prior draws into draws given what was measured. */
static void condition(const struct prior_guide *g, struct own *own, float *draws)
{
    auto_free double *factor = factored(g, own), *apart = xcalloc(own->n, sizeof(*apart));
    struct rng rng;
    rng_init(&rng, g->seed, rng_key("prior noise"), own->n);
    for (size_t m = 0; m < DRAWS; m++) {
        double level = LEVEL * rng_normal(&rng);
        for (size_t i = 0; i < own->n; i++) {
            apart[i] = own->t[i] - level - NOISE * rng_normal(&rng);
            for (size_t k = 0; k < g->width; k++) {
                apart[i] -= (double)(own->design[i * g->width + k] * draws[k * DRAWS + m]);
            }
        }
        solve(factor, own->n, apart);
        for (size_t k = 0; k < g->width; k++) {
            double move = 0;
            for (size_t i = 0; i < own->n; i++) {
                move += own->gain[i * g->width + k] * apart[i];
            }
            draws[k * DRAWS + m] += (float)move;
        }
    }
}

/* y of one row on every draw. */
static void over_draws(const struct prior_guide *g, const float *row, const float *draws, float *ret)
{
    memset(ret, 0, DRAWS * sizeof(*ret));
    for (size_t k = 0; k < g->width; k++) {
        for (size_t m = 0; m < DRAWS; m++) {
            ret[m] += row[k] * draws[k * DRAWS + m];
        }
    }
}

/* Speed of every candidate on every draw, as a share of the draw's optimum; `held` is what is had. */
static float *speeds(const struct prior_guide *g, const struct own *own, const float *draws,
                     float *held)
{
    float *speed = xcalloc(g->n * DRAWS, sizeof(*speed)), least[DRAWS], mine[DRAWS];
    for (size_t i = 0; i < g->n; i++) {
        over_draws(g, g->design + i * g->width, draws, speed + i * DRAWS);
    }
    memcpy(least, speed, sizeof(least));
    for (size_t i = 0; i < g->n; i++) {
        for (size_t m = 0; m < DRAWS; m++) {
            least[m] = fminf(least[m], speed[i * DRAWS + m]);
        }
    }
    if (own->n > 0) {
        over_draws(g, own->design, draws, mine); /* the fastest comes first */
    }
    for (size_t m = 0; m < DRAWS; m++) {
        least[m] = own->n > 0 ? fminf(least[m], mine[m]) : least[m];
        held[m] = own->n > 0 ? expf(least[m] - mine[m]) : 0;
    }
    for (size_t i = 0; i < g->n; i++) {
        for (size_t m = 0; m < DRAWS; m++) {
            speed[i * DRAWS + m] = expf(least[m] - speed[i * DRAWS + m]);
        }
    }
    return speed;
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
            float sum = 0;
            for (size_t m = 0; m < DRAWS && !out[i]; m++) {
                sum += fmaxf(held[m], speed[i * DRAWS + m]);
            }
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
        for (size_t m = 0; m < DRAWS; m++) {
            held[m] = fmaxf(held[m], speed[best * DRAWS + m]);
        }
    }
    return n;
}

size_t prior_guide_next(struct prior_guide *g, const struct prior_sample *samples, size_t n,
                        size_t most, uint16_t *ret_configs)
{
    struct own own = { 0 };
    size_t bytes = g->width * DRAWS * sizeof(float);
    auto_free float *draws = xcalloc(1, bytes);
    auto_free bool *out = xcalloc(g->n + 1, sizeof(*out));
    float held[DRAWS];
    memcpy(draws, g->draws, bytes);
    if (read_own(g, samples, n, &own)) {
        condition(g, &own, draws);
    }
    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = 0; k < n && !out[i]; k++) {
            out[i] = memcmp(g->configs + i * g->space->n, samples[k].config,
                            g->space->n * sizeof(uint16_t)) == 0;
        }
    }
    auto_free float *speed = speeds(g, &own, draws, held);
    size_t got = cover(g, speed, held, out, most, ret_configs);
    free(own.design);
    free(own.t);
    free(own.gain);
    return got;
}
