/* SPDX-License-Identifier: MIT */
#include "agent/tune/forest.h"
#include "agent/tune/prior_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN_MAX = 2000, TREES = 50, ROWS = 4096, NOWHERE = UINT16_MAX };

struct prior_view {
    const struct prior_tuning *tuning;
    const struct tune_space *space;
    uint64_t seed;
    int from[TUNE_PARAMS_MAX];        /* a parameter of the space: which of the tuning's, or -1 */
    uint16_t *rank[TUNE_PARAMS_MAX];  /* of a value of the tuning in the space, or NOWHERE */
    float *feature[TUNE_PARAMS_MAX];  /* of a value of the tuning, as the space writes it */
    size_t wide[TUNE_PARAMS_MAX];     /* features a parameter */
    uint32_t *slots;                  /* samples by their config in the space: index + 1 */
    size_t mask;
    uint16_t *known;                  /* a sample's config in the space */
    struct forest *forest;            /* made when first needed */
};

static size_t features_of(const struct tune_param *param)
{
    return param->kind == TUNE_CHOICE        ? param->n
           : param->kind == TUNE_PERMUTATION ? param->places
                                             : 1;
}

/* The rank in `param` of a value of another parameter. */
static uint16_t find_value(const struct tune_param *param, const struct tune_param *other,
                           uint32_t value)
{
    for (uint32_t k = 0; k < param->n; k++) {
        bool same = param->values && other->values
                        ? param->values[k] <= other->values[value]
                              && param->values[k] >= other->values[value]
                        : str_eq(param->texts[k], other->texts[value]);
        if (same) {
            return (uint16_t)k;
        }
    }
    return NOWHERE;
}

/* A value that the space may not have, in the space's terms. */
static void write_features(const struct tune_param *param, const struct tune_param *other,
                           uint32_t value, uint16_t rank, float *ret)
{
    uint8_t order[TUNE_PLACES_MAX];
    double number = other->values ? other->values[value] : rank == NOWHERE ? 0 : rank;
    switch (param->kind) {
    case TUNE_POW2:
        ret[0] = number > 0 ? (float)log2(number) : -1;
        break;
    case TUNE_NUMBER:
    case TUNE_BOOL:
        ret[0] = (float)number;
        break;
    case TUNE_CHOICE:
        if (rank != NOWHERE) {
            ret[rank] = 1;
        }
        break;
    case TUNE_PERMUTATION:
        tune_permutation(param->places, rank == NOWHERE ? 0 : rank, order);
        for (uint32_t k = 0; k < param->places; k++) {
            ret[k] = order[k];
        }
        break;
    }
}

/* Matches one parameter; false if the tuning doesn't have it. */
static bool match(struct prior_view *view, size_t i)
{
    const struct tune_param *param = &view->space->params[i];
    const struct prior_tuning *tuning = view->tuning;
    view->wide[i] = features_of(param);
    view->from[i] = -1;
    for (size_t q = 0; q < tuning->n_params; q++) {
        const struct tune_param *other = &tuning->params[q];
        bool same_sort = (param->kind == TUNE_PERMUTATION) == (other->kind == TUNE_PERMUTATION)
                         && (param->kind != TUNE_PERMUTATION || param->places == other->places);
        if (!str_eq(param->name, other->name) || !same_sort) {
            continue;
        }
        view->from[i] = (int)q;
        view->rank[i] = xcalloc(other->n, sizeof(*view->rank[i]));
        view->feature[i] = xcalloc(other->n * view->wide[i], sizeof(*view->feature[i]));
        for (uint32_t k = 0; k < other->n; k++) {
            view->rank[i][k] = find_value(param, other, k);
            write_features(param, other, k, view->rank[i][k],
                           view->feature[i] + k * view->wide[i]);
        }
        return true;
    }
    return false;
}

static size_t hash(const uint16_t *config, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ config[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (size_t)h;
}

static uint32_t *slot_of(const struct prior_view *view, const uint16_t *config)
{
    size_t n = view->space->n;
    size_t at = hash(config, n) & view->mask;
    while (view->slots[at]
           && memcmp(view->known + (view->slots[at] - 1) * n, config, n * sizeof(*config)) != 0) {
        at = (at + 1) & view->mask;
    }
    return &view->slots[at];
}

/* A sample as a config of the space; false if it has no such value or no such parameter. */
static bool translate(const struct prior_view *view, size_t sample, uint16_t *ret)
{
    const uint16_t *config = view->tuning->configs + sample * view->tuning->n_params;
    for (size_t i = 0; i < view->space->n; i++) {
        ret[i] = view->from[i] < 0 ? NOWHERE : view->rank[i][config[view->from[i]]];
        if (ret[i] == NOWHERE) {
            return false;
        }
    }
    return true;
}

/* Samples that are configs of the space; of several that are the same one, the fastest. */
static void index_samples(struct prior_view *view)
{
    size_t slots = 16, n = view->tuning->n, wide = view->space->n;
    while (slots < 2 * n) {
        slots *= 2;
    }
    view->mask = slots - 1;
    view->slots = xcalloc(slots, sizeof(*view->slots));
    view->known = xcalloc(n * wide + 1, sizeof(*view->known));
    for (size_t s = 0; s < n; s++) {
        if (!translate(view, s, view->known + s * wide)) {
            continue;
        }
        uint32_t *slot = slot_of(view, view->known + s * wide);
        if (!*slot || view->tuning->y[s] < view->tuning->y[*slot - 1]) {
            *slot = (uint32_t)s + 1;
        }
    }
}

struct prior_view *prior_view_new(const struct prior_tuning *tuning, const struct tune_space *space,
                                  uint64_t seed)
{
    struct prior_view *view = xcalloc(1, sizeof(*view));
    view->tuning = tuning;
    view->space = space;
    view->seed = seed;
    size_t matched = 0;
    for (size_t i = 0; i < space->n; i++) {
        matched += match(view, i);
    }
    if (2 * matched < space->n || matched == 0) {
        prior_view_free(view);
        return NULL;
    }
    index_samples(view);
    return view;
}

void prior_view_free(struct prior_view *view)
{
    if (!view) {
        return;
    }
    for (size_t i = 0; i < view->space->n; i++) {
        free(view->rank[i]);
        free(view->feature[i]);
    }
    forest_free(view->forest);
    free(view->slots);
    free(view->known);
    free(view);
}

struct by_y {
    float y;
    uint32_t sample;
};

static int compare(const void *a, const void *b)
{
    const struct by_y *x = a, *y = b;
    int order = (x->y > y->y) - (x->y < y->y);
    return order ? order : (x->sample > y->sample) - (x->sample < y->sample);
}

static struct by_y *sorted(const struct prior_tuning *tuning)
{
    struct by_y *order = xcalloc(tuning->n, sizeof(*order));
    for (uint32_t i = 0; i < tuning->n; i++) {
        order[i] = (struct by_y) { tuning->y[i], i };
    }
    qsort(order, tuning->n, sizeof(*order), compare);
    return order;
}

/* The fast half of what it may train on is taken whole, the rest at equal distances. */
static struct forest *train(const struct prior_view *view)
{
    const struct prior_tuning *tuning = view->tuning;
    auto_free struct by_y *order = sorted(tuning);
    size_t n = MIN(tuning->n, (size_t)TRAIN_MAX), d = view->space->n_features;
    auto_free float *x = xcalloc(n * d + 1, sizeof(*x));
    auto_free double *y = xcalloc(n, sizeof(*y));
    for (size_t k = 0; k < n; k++) {
        size_t at = tuning->n <= n || k < n / 2
                        ? k
                        : n / 2 + (k - n / 2) * (tuning->n - n / 2) / (n - n / 2);
        const uint16_t *config = tuning->configs + order[at].sample * tuning->n_params;
        float *row = x + k * d;
        for (size_t i = 0; i < view->space->n; row += view->wide[i++]) {
            if (view->from[i] >= 0) {
                memcpy(row, view->feature[i] + config[view->from[i]] * view->wide[i],
                       view->wide[i] * sizeof(*row));
            }
        }
        y[k] = (double)order[at].y;
    }
    return forest_fit_numbers(x, n, d, y, NULL,
                              &(struct forest_options) { .trees = TREES, .seed = view->seed });
}

static void predict(struct prior_view *view, const uint16_t *configs, size_t n, float *ret)
{
    size_t d = view->space->n_features, wide = view->space->n;
    if (!view->forest) {
        view->forest = train(view);
    }
    auto_free float *x = xcalloc(MIN(n, (size_t)ROWS) * d + 1, sizeof(*x));
    for (size_t begin = 0; begin < n; begin += ROWS) {
        size_t rows = MIN((size_t)ROWS, n - begin);
        for (size_t i = 0; i < rows; i++) {
            tune_space_features(view->space, configs + (begin + i) * wide, x + i * d);
        }
        forest_predict(view->forest, x, rows, 1, ret + begin);
    }
}

void prior_view_values(struct prior_view *view, const uint16_t *configs, size_t n, float *ret)
{
    size_t wide = view->space->n, unknown = 0;
    auto_free uint32_t *sample = xcalloc(n + 1, sizeof(*sample));
    for (size_t i = 0; i < n; i++) {
        sample[i] = *slot_of(view, configs + i * wide);
        unknown += !sample[i];
    }
    if (unknown > 0) {
        predict(view, configs, n, ret);
    }
    for (size_t i = 0; i < n; i++) {
        ret[i] = sample[i] ? view->tuning->y[sample[i] - 1] : ret[i];
    }
}

size_t prior_view_best(const struct prior_view *view, size_t most, uint16_t *ret_configs)
{
    auto_free struct by_y *order = sorted(view->tuning);
    size_t n = 0, wide = view->space->n;
    uint16_t config[TUNE_PARAMS_MAX];
    for (size_t i = 0; i < view->tuning->n && n < most; i++) {
        if (translate(view, order[i].sample, config)
            && tune_space_allows(view->space, config) == 1) {
            memcpy(ret_configs + n++ * wide, config, wide * sizeof(*config));
        }
    }
    return n;
}
