/* SPDX-License-Identifier: MIT */
/*
 * The model: on a device d, y of a config is  b + sum over tunings e of w_e y_e + DEVIATION * waves . v
 * + noise, with w of a Dirichlet distribution whose means are the tunings' similarities (and a share for
 * none of them), v standard normal, b unknown. A draw is a (w, v): one device that might be. Own measurements turn prior draws into
 * draws of the posterior by Matheron's rule: x + Cov(x, t) Cov(t)^-1 (t - t(x)), which needs the
 * covariances alone. A draw's gain from a set of configs is optimum / best of them.
 */
#include "agent/tune/prior_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_MAX = 400, LANES = 32 };
#define CONCENTRATION 2.0 /* of the Dirichlet distribution: low, so that one tuning may rule */
#define DEVIATION 0.3     /* of a new device from a mixture of old ones, in y */
#define NOISE 0.1         /* of a measurement, and of the model, in y */
#define LEVEL 1.0         /* of b */

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

void prior_draw(struct prior_guide *g)
{
    struct rng rng;
    rng_init(&rng, g->seed, rng_key("prior draws"), 0);
    g->draws = xcalloc(g->width * PRIOR_DRAWS, sizeof(*g->draws));
    for (size_t m = 0; m < PRIOR_DRAWS; m++) {
        double w[PRIOR_VIEWS_MAX + 1], sum = 1e-300;
        for (size_t e = 0; e < g->n_parts; e++) {
            w[e] = draw_gamma(&rng, fmax(1e-3, CONCENTRATION * g->share[e]));
            sum += w[e];
        }
        for (size_t e = 0; e < g->n_parts; e++) {
            g->draws[e * PRIOR_DRAWS + m] = (float)(w[e] / sum);
        }
        for (size_t k = g->n_parts; k < g->width; k++) {
            g->draws[k * PRIOR_DRAWS + m] = (float)rng_normal(&rng);
        }
    }
}

void prior_design(const struct prior_guide *g, const uint16_t *configs, size_t n, float *ret)
{
    auto_free float *values = xcalloc(n + 1, sizeof(*values));
    for (size_t e = 0; e < g->n_views; e++) {
        prior_view_values(g->views[e], configs, n, values);
        for (size_t i = 0; i < n; i++) {
            ret[i * g->width + e] = values[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        float *row = ret + i * g->width + g->n_parts;
        row[-1] = 0; /* y of the part that tells nothing apart */
        prior_waves_at(g->waves, configs + i * g->space->n, 1, row);
        for (size_t k = 0; k < PRIOR_WAVES; k++) {
            row[k] *= (float)DEVIATION;
        }
    }
}


static int by_time(const void *a, const void *b)
{
    const struct prior_sample *x = *(const struct prior_sample *const *)a;
    const struct prior_sample *y = *(const struct prior_sample *const *)b;
    double s = isnan(x->time) ? INFINITY : x->time, t = isnan(y->time) ? INFINITY : y->time;
    return s != t ? (s > t) - (s < t) : (x > y) - (x < y);
}

void prior_own_read(const struct prior_guide *g, const struct prior_sample *samples, size_t n,
                    struct prior_own *ret)
{
    auto_free const struct prior_sample **order = xcalloc(n + 1, sizeof(*order));
    size_t told = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(samples[i].time < 0)) {
            order[told++] = &samples[i];
        }
    }
    qsort(order, told, sizeof(*order), by_time);
    *ret = (struct prior_own) { .n = MIN(told, (size_t)OWN_MAX) };
    if (told == 0 || isnan(order[0]->time)) {
        ret->n = 0;
        return;
    }
    auto_free uint16_t *configs = xcalloc(ret->n * g->space->n, sizeof(*configs));
    ret->t = xcalloc(ret->n, sizeof(*ret->t));
    for (size_t i = 0; i < ret->n; i++) {
        memcpy(configs + i * g->space->n, order[i]->config, g->space->n * sizeof(*configs));
        double y = log(order[i]->time / order[0]->time);
        ret->t[i] = y < PRIOR_WORST ? y : PRIOR_WORST;
    }
    ret->design = xcalloc(ret->n * g->width, sizeof(*ret->design));
    ret->gain = xcalloc(ret->n * g->width, sizeof(*ret->gain));
    prior_design(g, configs, ret->n, ret->design);
}

void prior_own_done(struct prior_own *own)
{
    free(own->design);
    free(own->t);
    free(own->gain);
}

/*
 * How far earlier tunings are believed. A device may be further from them than is usual, or have
 * nothing to do with them; which of these it is shows in how likely each makes what was measured.
 */
struct belief {
    double views; /* 0: none of them counts */
    double waves; /* times DEVIATION */
    double odds;  /* ln, before anything was measured */
};

static const struct belief beliefs[] = { { 1, 1, 0 }, { 1, 2, -1 }, { 0, 3, -2 } };

enum { BELIEF_AFTER = 5 }; /* measurements */

/* Covariance of a design's row with the weights: Dirichlet for the views, the identity for waves. */
static void covary(const struct prior_guide *g, const struct belief *belief, const float *row,
                   double *ret)
{
    double mean = 0;
    for (size_t e = 0; e < g->n_parts; e++) {
        mean += g->share[e] * (double)row[e];
    }
    for (size_t e = 0; e < g->n_parts; e++) {
        ret[e] = belief->views * g->share[e] * ((double)row[e] - mean) / (CONCENTRATION + 1);
    }
    for (size_t k = g->n_parts; k < g->width; k++) {
        ret[k] = belief->waves * belief->waves * (double)row[k];
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
static double *factored(const struct prior_guide *g, const struct belief *belief,
                        struct prior_own *own)
{
    size_t n = own->n;
    double *k = xcalloc(n * n, sizeof(*k));
    for (size_t i = 0; i < n; i++) {
        covary(g, belief, own->design + i * g->width, own->gain + i * g->width);
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

void prior_over_draws(const struct prior_guide *g, const float *rows, size_t n, const float *draws,
                      float *restrict ret)
{
    auto_free float *some = xcalloc(g->width * LANES, sizeof(*some));
    for (size_t begin = 0; begin < PRIOR_DRAWS; begin += LANES) {
        for (size_t k = 0; k < g->width; k++) { /* side by side, for the cache */
            memcpy(some + k * LANES, draws + k * PRIOR_DRAWS + begin, LANES * sizeof(*some));
        }
        for (size_t i = 0; i < n; i++) {
            const float *row = rows + i * g->width;
            float sum[LANES] = { 0 }; /* in registers */
            for (size_t k = 0; k < g->width; k++) {
                for (size_t m = 0; m < LANES; m++) {
                    sum[m] += row[k] * some[k * LANES + m];
                }
            }
            memcpy(ret + i * PRIOR_DRAWS + begin, sum, sizeof(sum));
        }
    }
}

/* to += by * from, over the draws. */
static void add_times(float *restrict to, double by, const float *restrict from)
{
    for (size_t m = 0; m < PRIOR_DRAWS; m++) {
        to[m] += (float)by * from[m];
    }
}

/* Solves for every draw at once; x: a row a measurement. */
static void solve(const double *factor, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++) {
        float *row = x + i * PRIOR_DRAWS;
        for (size_t j = 0; j < i; j++) {
            add_times(row, -factor[i * n + j], x + j * PRIOR_DRAWS);
        }
        for (size_t m = 0; m < PRIOR_DRAWS; m++) {
            row[m] /= (float)factor[i * n + i];
        }
    }
    for (size_t i = n; i-- > 0;) {
        float *row = x + i * PRIOR_DRAWS;
        for (size_t j = i + 1; j < n; j++) {
            add_times(row, -factor[j * n + i], x + j * PRIOR_DRAWS);
        }
        for (size_t m = 0; m < PRIOR_DRAWS; m++) {
            row[m] /= (float)factor[i * n + i];
        }
    }
}

/* What was measured less what every draw makes of it, with noise of its own. */
static void differences(const struct prior_guide *g, const struct prior_own *own, const float *draws,
                        float *ret)
{
    struct rng rng;
    float level[PRIOR_DRAWS];
    rng_init(&rng, g->seed, rng_key("prior noise"), own->n);
    for (size_t m = 0; m < PRIOR_DRAWS; m++) {
        level[m] = (float)(LEVEL * rng_normal(&rng));
    }
    prior_over_draws(g, own->design, own->n, draws, ret);
    for (size_t i = 0; i < own->n; i++, ret += PRIOR_DRAWS) {
        for (size_t m = 0; m < PRIOR_DRAWS; m++) {
            ret[m] = (float)(own->t[i] - NOISE * rng_normal(&rng)) - level[m] - ret[m];
        }
    }
}

/* ln of how likely a belief makes what was measured, but for a constant. */
static double evidence(const struct prior_guide *g, const struct belief *belief,
                       const struct prior_own *own, const double *factor)
{
    auto_free double *x = xcalloc(own->n, sizeof(*x));
    double sum = belief->odds;
    for (size_t i = 0; i < own->n; i++) {
        x[i] = own->t[i] - belief->views * dot(own->design + i * g->width, g->share, g->n_parts);
        for (size_t j = 0; j < i; j++) {
            x[i] -= factor[i * own->n + j] * x[j];
        }
        x[i] /= factor[i * own->n + i];
        sum -= x[i] * x[i] / 2 + log(factor[i * own->n + i]);
    }
    return sum;
}

/* The likeliest belief, and its factor. */
static const struct belief *believe(const struct prior_guide *g, struct prior_own *own,
                                    double **ret_factor)
{
    size_t n = own->n >= BELIEF_AFTER ? ARRAY_LEN(beliefs) : 1;
    const struct belief *best = NULL;
    double most = 0;
    *ret_factor = NULL;
    for (size_t i = 0; i < n; i++) {
        double *factor = factored(g, &beliefs[i], own);
        double likely = evidence(g, &beliefs[i], own, factor);
        if (!best || likely > most) {
            double *worse = *ret_factor;
            *ret_factor = factor;
            factor = worse;
            best = &beliefs[i];
            most = likely;
        }
        free(factor);
    }
    return best;
}

void prior_condition(const struct prior_guide *g, struct prior_own *own, float *draws)
{
    if (own->n == 0) {
        return;
    }
    double *factor;
    const struct belief *belief = believe(g, own, &factor);
    for (size_t k = 0; k < g->width; k++) {
        double scale = k < g->n_parts ? belief->views : belief->waves;
        for (size_t m = 0; m < PRIOR_DRAWS; m++) {
            draws[k * PRIOR_DRAWS + m] *= (float)scale;
        }
    }
    for (size_t i = 0; i < own->n; i++) { /* of the belief that was chosen */
        covary(g, belief, own->design + i * g->width, own->gain + i * g->width);
    }
    auto_free float *apart = xcalloc(own->n * PRIOR_DRAWS, sizeof(*apart));
    differences(g, own, draws, apart);
    solve(factor, own->n, apart);
    for (size_t k = 0; k < g->width; k++) {
        for (size_t i = 0; i < own->n; i++) {
            add_times(draws + k * PRIOR_DRAWS, own->gain[i * g->width + k],
                      apart + i * PRIOR_DRAWS);
        }
    }
    free(factor);
}
