/* SPDX-License-Identifier: MIT */
#include "agent/tune/forest_internal.h"
#include "base/util.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 64 };

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Ranks one feature; returns how many distinct values it has. `value` has room for n. */
static uint32_t rank_feature(const float *x, size_t n, size_t d, size_t feature, float *value,
                             uint16_t *code)
{
    for (size_t i = 0; i < n; i++) {
        value[i] = x[i * d + feature];
        require(!isnan(value[i]));
    }
    qsort(value, n, sizeof(*value), by_value);
    uint32_t distinct = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || value[i] > value[distinct - 1]) {
            value[distinct++] = value[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t low = 0, high = distinct - 1;
        while (low < high) {
            uint32_t mid = (low + high) / 2;
            if (value[mid] < x[i * d + feature]) {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        code[i] = (uint16_t)low;
    }
    return distinct;
}

/* Trees are dealt out to threads; each has its own generator, so who grew it leaves no trace. */
struct share {
    const struct forest_data *data;
    const struct forest_options *options;
    struct forest *forest;
    double *importance; /* trees * d */
    unsigned first, step;
};

static void *grow_share(void *ud)
{
    struct share *s = ud;
    for (unsigned t = s->first; t < s->forest->trees; t += s->step) {
        struct rng rng;
        rng_init(&rng, s->options->seed, t, 0);
        forest_grow(s->data, s->options, &rng, &s->forest->tree[t],
                    s->importance + t * s->data->d);
    }
    return NULL;
}

static void grow_all(struct share share, unsigned threads)
{
    struct share shares[THREADS_MAX];
    pthread_t thread[THREADS_MAX];
    bool started[THREADS_MAX] = { false };
    threads = MIN(MIN(MAX(threads, 1u), share.forest->trees), (unsigned)THREADS_MAX);
    for (unsigned i = 0; i < threads; i++) {
        shares[i] = share;
        shares[i].first = i;
        shares[i].step = threads;
        started[i] = i > 0 && pthread_create(&thread[i], NULL, grow_share, &shares[i]) == 0;
    }
    for (unsigned i = 0; i < threads; i++) {
        if (!started[i]) {
            grow_share(&shares[i]);
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        if (started[i]) {
            pthread_join(thread[i], NULL);
        }
    }
}

static void add_importance(struct forest *forest, const double *by_tree)
{
    double sum = 0;
    for (unsigned t = 0; t < forest->trees; t++) {
        double of_tree = 0;
        for (size_t f = 0; f < forest->d; f++) {
            of_tree += by_tree[t * forest->d + f];
        }
        for (size_t f = 0; f < forest->d && of_tree > 0; f++) {
            forest->importance[f] += by_tree[t * forest->d + f] / of_tree;
        }
        sum += of_tree > 0;
    }
    for (size_t f = 0; f < forest->d && sum > 0; f++) {
        forest->importance[f] /= sum;
    }
}

static int by_cond(const void *a, const void *b)
{
    const struct forest_node *x = *(const struct forest_node *const *)a;
    const struct forest_node *y = *(const struct forest_node *const *)b;
    if (x->feature != y->feature) {
        return x->feature < y->feature ? -1 : 1;
    }
    return (x->value > y->value) - (x->value < y->value);
}

/* Numbers the questions that the trees ask, each once. */
static void number_conds(struct forest *forest)
{
    size_t inner = 0;
    for (unsigned t = 0; t < forest->trees; t++) {
        inner += forest->tree[t].n - forest->tree[t].leaves;
        forest->depth = MAX(forest->depth, forest->tree[t].depth);
    }
    auto_free struct forest_node **nodes = xcalloc(inner + 1, sizeof(struct forest_node *));
    size_t k = 0;
    for (unsigned t = 0; t < forest->trees; t++) {
        for (uint32_t i = 0; i < forest->tree[t].n; i++) {
            if (forest->tree[t].nodes[i].right) {
                nodes[k++] = &forest->tree[t].nodes[i];
            }
        }
    }
    qsort(nodes, inner, sizeof(struct forest_node *), by_cond);
    forest->conds = xcalloc(inner + 1, sizeof(*forest->conds));
    for (size_t i = 0; i < inner; i++) {
        if (i == 0 || by_cond(&nodes[i - 1], &nodes[i]) != 0) {
            forest->conds[forest->n_conds++] = (struct forest_cond) { nodes[i]->feature,
                                                                      nodes[i]->value };
        }
        nodes[i]->id = (uint32_t)forest->n_conds - 1;
    }
}

/* `data` has samples, labels or numbers, and weights; o is complete. */
static struct forest *fit(const float *x, struct forest_data data, const struct forest_options *o)
{
    size_t n = data.n, d = data.d;
    auto_free uint16_t *code = xcalloc(n * d + 1, sizeof(*code));
    auto_free float *value = xcalloc((n + 1) * (d + 1), sizeof(*value));
    auto_free uint32_t *first = xcalloc(d + 1, sizeof(*first));
    for (size_t f = 0; f < d; f++) {
        uint32_t ranks = rank_feature(x, n, d, f, value + first[f], code + f * n);
        first[f + 1] = first[f] + ranks;
        data.ranks_max = MAX(data.ranks_max, ranks);
    }
    data.code = code;
    data.value = value;
    data.first = first;
    struct forest *forest = xcalloc(1, sizeof(*forest));
    forest->d = d;
    forest->trees = o->trees;
    forest->numbers = data.number != NULL;
    forest->tree = xcalloc(o->trees, sizeof(*forest->tree));
    forest->importance = xcalloc(d + 1, sizeof(*forest->importance));
    auto_free double *importance = xcalloc((size_t)o->trees * d + 1, sizeof(*importance));
    grow_all((struct share) { .data = &data, .options = o, .forest = forest,
                              .importance = importance }, o->threads);
    add_importance(forest, importance);
    number_conds(forest);
    return forest;
}

static struct forest_options completed(const struct forest_options *options, size_t n, size_t d,
                                       unsigned max_features)
{
    require(n > 0 && n <= FOREST_SAMPLES_MAX && d <= FOREST_FEATURES_MAX);
    struct forest_options o = *options;
    o.trees = o.trees ? o.trees : 100;
    o.max_features = o.max_features ? o.max_features : max_features;
    o.max_features = MAX(1u, MIN(o.max_features, (unsigned)d));
    return o;
}

struct forest *forest_fit(const float *x, size_t n, size_t d, const uint8_t *label,
                          const double *weight, const struct forest_options *options)
{
    struct forest_options o = completed(options, n, d, (unsigned)sqrt((double)d));
    return fit(x, (struct forest_data) { .n = n, .d = d, .label = label, .weight = weight }, &o);
}

struct forest *forest_fit_numbers(const float *x, size_t n, size_t d, const double *y,
                                  const double *weight, const struct forest_options *options)
{
    struct forest_options o = completed(options, n, d, (unsigned)(d + 2) / 3);
    return fit(x, (struct forest_data) { .n = n, .d = d, .number = y, .weight = weight }, &o);
}

void forest_free(struct forest *forest)
{
    if (!forest) {
        return;
    }
    for (unsigned t = 0; t < forest->trees; t++) {
        free(forest->tree[t].nodes);
    }
    free(forest->tree);
    free(forest->conds);
    free(forest->importance);
    free(forest);
}

unsigned forest_trees(const struct forest *forest)
{
    return forest->trees;
}

static const struct forest_node *leaf_of(const struct forest_tree *tree, const float *row)
{
    const struct forest_node *node = tree->nodes;
    while (node->right) {
        node = forest_step(tree, node, row);
    }
    return node;
}

void forest_predict_tree(const struct forest *forest, unsigned tree, const float *x, size_t n,
                         float *ret_p)
{
    require(tree < forest->trees);
    for (size_t i = 0; i < n; i++) {
        ret_p[i] = leaf_of(&forest->tree[tree], x + i * forest->d)->value;
    }
}

void forest_leaves(const struct forest *forest, const float *x, size_t n, uint16_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        for (unsigned t = 0; t < forest->trees; t++) {
            *ret++ = (uint16_t)leaf_of(&forest->tree[t], x + i * forest->d)->id;
        }
    }
}

size_t forest_path(const struct forest *forest, unsigned tree, const float *x, size_t *ret)
{
    require(tree < forest->trees);
    const struct forest_tree *t = &forest->tree[tree];
    size_t n = 0;
    for (const struct forest_node *node = t->nodes; node->right; node = forest_step(t, node, x)) {
        size_t i = 0;
        while (i < n && ret[i] != node->feature) {
            i++;
        }
        if (i == n) {
            ret[n++] = node->feature;
        }
    }
    return n;
}

void forest_importance(const struct forest *forest, double *ret)
{
    if (forest->d > 0) {
        memcpy(ret, forest->importance, forest->d * sizeof(*ret));
    }
}
