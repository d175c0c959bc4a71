/* SPDX-License-Identifier: MIT */
#include "agent/tune_pca.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

enum { ROUNDS_MAX = 500 };
static const double settled = 1e-10; /* change of a unit vector, squared */

struct matrix {
    size_t n, d, varied; /* features that change */
    double *at;          /* n rows of d standardised features; 0 where one never changes */
};

static void standardise(struct matrix *m)
{
    for (size_t f = 0; f < m->d; f++) {
        double mean = 0, spread = 0;
        for (size_t i = 0; i < m->n; i++) {
            mean += m->at[i * m->d + f] / (double)m->n;
        }
        for (size_t i = 0; i < m->n; i++) {
            double off = m->at[i * m->d + f] - mean;
            spread += off * off / (double)m->n;
        }
        spread = sqrt(spread);
        bool varies = spread > 1e-9 * fmax(1, fabs(mean));
        m->varied += varies;
        for (size_t i = 0; i < m->n; i++) {
            double *x = &m->at[i * m->d + f];
            *x = varies ? (*x - mean) / spread : 0;
        }
    }
}

static double length(const double *v, size_t d)
{
    double sum = 0;
    for (size_t f = 0; f < d; f++) {
        sum += v[f] * v[f];
    }
    return sqrt(sum);
}

static void remove_part(double *v, const double *other, size_t d)
{
    double dot = 0;
    for (size_t f = 0; f < d; f++) {
        dot += v[f] * other[f];
    }
    for (size_t f = 0; f < d; f++) {
        v[f] -= dot * other[f];
    }
}

/* next = Z'Z v / n; its length is the eigenvalue once v has settled. */
static void step(const struct matrix *m, const double *v, double *next)
{
    memset(next, 0, m->d * sizeof(*next));
    for (size_t i = 0; i < m->n; i++) {
        const double *row = m->at + i * m->d;
        double along = 0;
        for (size_t f = 0; f < m->d; f++) {
            along += row[f] * v[f];
        }
        for (size_t f = 0; f < m->d; f++) {
            next[f] += along * row[f] / (double)m->n;
        }
    }
}

/* The direction of largest variance that stands at right angles to `other`; its variance. */
static double find_direction(const struct matrix *m, const double *other, struct arena *arena,
                             double *v)
{
    double *next = arena_alloc(arena, m->d, sizeof(*next)), size = 0;
    for (size_t f = 0; f < m->d; f++) {
        v[f] = 1 + 0.37 * (double)(f % 7) - 0.21 * (double)(f % 5); /* at a right angle to nothing likely */
    }
    for (int round = 0; round < ROUNDS_MAX; round++) {
        double change = 0;
        if (other) {
            remove_part(v, other, m->d);
        }
        double len = length(v, m->d);
        for (size_t f = 0; f < m->d && len > 0; f++) {
            v[f] /= len;
        }
        step(m, v, next);
        if (other) {
            remove_part(next, other, m->d);
        }
        size = length(next, m->d);
        if (size < 1e-9) {
            memset(v, 0, m->d * sizeof(*v));
            return 0;
        }
        for (size_t f = 0; f < m->d; f++) {
            next[f] /= size;
            change += (next[f] - v[f]) * (next[f] - v[f]);
        }
        memcpy(v, next, m->d * sizeof(*v));
        if (change < settled) {
            break;
        }
    }
    return size;
}

/* So that its largest part is positive. */
static void turn(double *v, size_t d)
{
    size_t largest = 0;
    for (size_t f = 0; f < d; f++) {
        largest = fabs(v[f]) > fabs(v[largest]) + 1e-9 ? f : largest;
    }
    double sign = v[largest] < 0 ? -1 : 1;
    for (size_t f = 0; f < d; f++) {
        v[f] *= sign;
    }
}

/* Features of one parameter together; a sign means something only where there is one. */
static double *by_parameter(const struct tune_space *space, const double *v, struct arena *arena)
{
    double *sum = arena_alloc(arena, space->n + 1, sizeof(*sum));
    size_t *features = arena_alloc(arena, space->n + 1, sizeof(*features));
    size_t *last = arena_alloc(arena, space->n + 1, sizeof(*last));
    for (size_t f = 0; f < space->n_features; f++) {
        size_t i = tune_space_feature_param(space, f);
        sum[i] += v[f] * v[f];
        features[i]++;
        last[i] = f;
    }
    for (size_t i = 0; i < space->n; i++) {
        sum[i] = features[i] == 1 ? v[last[i]] : sqrt(sum[i]);
    }
    return sum;
}

void tune_pca(const struct tune_space *space, const uint16_t *configs, size_t n,
              struct arena *arena, struct tune_pca *ret)
{
    struct matrix m = { .n = n, .d = space->n_features };
    float *features = arena_alloc(arena, m.d + 1, sizeof(*features));
    double *v[2] = { arena_alloc(arena, m.d + 1, sizeof(double)),
                     arena_alloc(arena, m.d + 1, sizeof(double)) };
    m.at = arena_alloc(arena, n * m.d + 1, sizeof(*m.at));
    *ret = (struct tune_pca) { .xy = arena_alloc(arena, 2 * n + 1, sizeof(*ret->xy)) };
    for (size_t i = 0; i < n; i++) {
        tune_space_features(space, configs + i * space->n, features);
        for (size_t f = 0; f < m.d; f++) {
            m.at[i * m.d + f] = features[f];
        }
    }
    standardise(&m);
    for (int k = 0; k < 2; k++) {
        double size = m.varied > (size_t)k ? find_direction(&m, k ? v[0] : NULL, arena, v[k]) : 0;
        ret->share[k] = m.varied ? size / (double)m.varied : 0;
        if (m.d) {
            turn(v[k], m.d);
        }
        ret->loading[k] = by_parameter(space, v[k], arena);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t f = 0; f < m.d; f++) {
            ret->xy[2 * i] += m.at[i * m.d + f] * v[0][f];
            ret->xy[2 * i + 1] += m.at[i * m.d + f] * v[1][f];
        }
    }
}
