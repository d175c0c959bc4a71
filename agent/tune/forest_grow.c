/* SPDX-License-Identifier: MIT */
/*
 * One tree, as scikit-learn's depth-first builder grows it: features are drawn without replacement
 * until max_features were seen and one of them splits; all their splits are held against each other.
 *
 * A node's samples are added up in a bin per rank; a bit a rank says which bins are in use, so that a
 * feature costs its samples and not its ranks, and nothing is ever sorted.
 */
#include "agent/tune/forest_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Two numbers that are added at once. */
typedef double pair __attribute__((vector_size(16)));

/* What a split sends to the left, and between which ranks of which feature it cuts. */
struct split {
    uint32_t feature;
    uint16_t below, above;
};

struct grower {
    const struct forest_data *data;
    const struct forest_options *options;
    struct rng *rng;
    uint16_t *samples; /* those drawn; a node owns a range */
    pair *w;           /* of a sample: weight by class (one is 0); or weight, weight * number */
    uint32_t *order;   /* features, partly shuffled */
    pair *bins;        /* by rank; zero between uses, as are counts and used */
    uint32_t *counts;  /* of samples, where min_leaf asks for them */
    uint64_t *used;
    size_t n_splits;
    struct split *splits;
    double *left[2], *gain; /* of splits */
    struct forest_node *nodes;
    uint32_t n_nodes, room;
};

/* A node to be grown: a range of samples, and whose right child it is. */
struct task {
    uint32_t begin, end, depth;
    uint32_t parent; /* UINT32_MAX: the root, or a left child */
};

static uint32_t below(struct rng *rng, uint32_t n)
{
    return (uint32_t)(((rng_u64(rng) >> 32) * n) >> 32);
}

/*
 * x log2(x), and 0 at 0, to 1e-12 relative: x = 2^e m, and with s = (m - c) / (m + c), c = sqrt(2),
 * ln(m / c) = 2 atanh(s), |s| < 0.172. Without a branch or a call, so that the compiler vectorises.
 */
static inline double xlog2x(double x)
{
    const double root2 = 1.4142135623730951, scale = 2.8853900817779268; /* 2 / ln 2 */
    uint64_t bits, exponent, mantissa;
    memcpy(&bits, &x, sizeof(bits));
    exponent = (bits >> 52) | 0x4330000000000000u;
    mantissa = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    double e, m;
    memcpy(&e, &exponent, sizeof(e));
    memcpy(&m, &mantissa, sizeof(m));
    e -= 4503599627370496.0 + 1023.0 - 0.5;
    double s = (m - root2) / (m + root2), t = s * s;
    double p = 1 + t * (1.0 / 3 + t * (1.0 / 5 + t * (1.0 / 7 + t * (1.0 / 9 + t * (1.0 / 11
               + t * (1.0 / 13))))));
    return x * (e + scale * s * p);
}

/* Minus the weighted entropy of a set with these weights, in bits. */
static inline double order_of(double w0, double w1)
{
    return xlog2x(w0) + xlog2x(w1) - xlog2x(w0 + w1);
}

/* Of numbers: what is left of the sum of squares once both sides' means are taken off, negated. */
static void gains_of_numbers(size_t n, const double *l0, const double *l1, double t0, double t1,
                             double *ret)
{
    for (size_t i = 0; i < n; i++) {
        double r0 = t0 - l0[i], r1 = t1 - l1[i];
        ret[i] = l1[i] * l1[i] / l0[i] + (r0 > 0 ? r1 * r1 / r0 : 0);
    }
}

static void gains(size_t n, const double *restrict l0, const double *restrict l1, double t0, double t1,
                  double *restrict ret)
{
    for (size_t i = 0; i < n; i++) {
        double r0 = t0 - l0[i], r1 = t1 - l1[i];
        r0 = r0 > 0 ? r0 : 0; /* rounding */
        r1 = r1 > 0 ? r1 : 0;
        ret[i] = order_of(l0[i], l1[i]) + order_of(r0, r1);
    }
}

/* Adds a node's samples up by rank; sets the bits of the ranks in use. */
static void fill_bins(struct grower *g, const struct task *task, const uint16_t *code, uint32_t words)
{
    uint64_t used = 0;
    for (uint32_t i = task->begin; i < task->end && words == 1; i++) {
        uint16_t sample = g->samples[i], c = code[sample];
        g->bins[c] += g->w[sample];
        used |= (uint64_t)1 << c;
    }
    g->used[0] = used;
    for (uint32_t i = task->begin; i < task->end && words > 1; i++) {
        uint16_t sample = g->samples[i], c = code[sample];
        g->bins[c] += g->w[sample];
        g->used[c >> 6] |= (uint64_t)1 << (c & 63);
    }
    for (uint32_t i = task->begin; i < task->end && g->options->min_leaf > 1; i++) {
        g->counts[code[g->samples[i]]]++;
    }
}

/* Appends the splits of one feature over a node's samples; false if it has one value there. */
static bool collect(struct grower *g, const struct task *task, uint32_t feature)
{
    const struct forest_data *data = g->data;
    const uint16_t *code = data->code + (size_t)feature * data->n;
    uint32_t words = (data->first[feature + 1] - data->first[feature] + 63) / 64;
    uint32_t m = task->end - task->begin, seen = 0, least = g->options->min_leaf;
    pair left = { 0, 0 };
    int before = -1;
    bool splits = false;
    fill_bins(g, task, code, words);
    for (uint32_t word = 0; word < words; word++) {
        uint64_t bits = g->used[word];
        g->used[word] = 0;
        for (; bits; bits &= bits - 1) {
            uint16_t c = (uint16_t)(word * 64 + (uint32_t)__builtin_ctzll(bits));
            splits = splits || before >= 0;
            if (before >= 0 && (least <= 1 || (seen >= least && m - seen >= least))) {
                size_t k = g->n_splits++;
                g->splits[k] = (struct split) { feature, (uint16_t)before, c };
                g->left[0][k] = left[0];
                g->left[1][k] = left[1];
            }
            left += g->bins[c];
            seen += g->counts[c];
            before = (int)c;
            g->bins[c] = (pair) { 0, 0 };
            g->counts[c] = 0;
        }
    }
    return splits;
}

/* All splits of the features that this node draws. */
static void draw(struct grower *g, const struct task *task)
{
    uint32_t d = (uint32_t)g->data->d;
    bool found = false;
    g->n_splits = 0;
    for (uint32_t seen = 0; seen < d && (seen < g->options->max_features || !found); seen++) {
        uint32_t j = seen + below(g->rng, d - seen), feature = g->order[j];
        g->order[j] = g->order[seen];
        g->order[seen] = feature;
        found = collect(g, task, feature) || found;
    }
}

static struct forest_node *add_node(struct grower *g)
{
    if (g->n_nodes == g->room) {
        g->room = MAX(64u, g->room * 2);
        g->nodes = xrealloc(g->nodes, g->room, sizeof(*g->nodes));
    }
    struct forest_node *node = &g->nodes[g->n_nodes++];
    *node = (struct forest_node) { 0 };
    return node;
}

/* Samples with rank <= split->below to the front; where the others begin. */
static uint32_t partition(struct grower *g, const struct task *task, const struct split *split)
{
    const uint16_t *code = g->data->code + (size_t)split->feature * g->data->n;
    uint32_t left = task->begin, right = task->end;
    while (left < right) {
        uint16_t sample = g->samples[left];
        if (code[sample] <= split->below) {
            left++;
        } else {
            g->samples[left] = g->samples[--right];
            g->samples[right] = sample;
        }
    }
    return left;
}

static float threshold(const struct forest_data *data, const struct split *split)
{
    const float *value = data->value + data->first[split->feature];
    float low = value[split->below], high = value[split->above], mid = low / 2 + high / 2;
    return mid >= high || mid < low ? low : mid;
}

/* The best split of a node, or NULL if it stays a leaf; the first of equals, as scikit-learn. */
static const struct split *choose(struct grower *g, const struct task *task, pair total,
                                  double *ret_decrease)
{
    draw(g, task);
    bool numbers = g->data->number != NULL;
    (numbers ? gains_of_numbers : gains)(g->n_splits, g->left[0], g->left[1], total[0], total[1],
                                         g->gain);
    const struct split *best = NULL;
    double most = -INFINITY;
    for (size_t i = 0; i < g->n_splits; i++) {
        if (g->gain[i] > most) {
            most = g->gain[i];
            best = &g->splits[i];
        }
    }
    double before = numbers ? total[1] * total[1] / total[0] : order_of(total[0], total[1]);
    *ret_decrease = best ? most - before : 0;
    return best;
}

static double target(const struct forest_data *data, size_t sample)
{
    return data->number ? data->number[sample] : data->label[sample];
}

/* Grows one node; fills in the tasks of its children and returns how many (0: a leaf). */
static int grow_node(struct grower *g, const struct task *task, struct forest_tree *tree,
                     double *importance, struct task ret[2])
{
    uint32_t at = g->n_nodes, m = task->end - task->begin;
    struct forest_node *node = add_node(g);
    pair total = { 0, 0 };
    double decrease = 0, first = target(g->data, g->samples[task->begin]);
    bool mixed = false;
    for (uint32_t i = task->begin; i < task->end; i++) {
        total += g->w[g->samples[i]];
        mixed = mixed || target(g->data, g->samples[i]) < first
                || target(g->data, g->samples[i]) > first;
    }
    if (task->parent != UINT32_MAX) {
        g->nodes[task->parent].right = at;
    }
    tree->depth = MAX(tree->depth, task->depth);
    bool open = mixed && m >= 2 * MAX(1u, g->options->min_leaf)
                && (!g->options->max_depth || task->depth < g->options->max_depth);
    const struct split *split = open ? choose(g, task, total, &decrease) : NULL;
    if (!split) {
        double all = g->data->number ? total[0] : total[0] + total[1];
        node->value = (float)(mixed ? total[1] / all : first);
        node->id = tree->leaves++;
        return 0;
    }
    node->feature = split->feature;
    node->value = threshold(g->data, split);
    importance[split->feature] += decrease;
    uint32_t middle = partition(g, task, split);
    ret[0] = (struct task) { middle, task->end, task->depth + 1, at };
    ret[1] = (struct task) { task->begin, middle, task->depth + 1, UINT32_MAX };
    return 2;
}

static void bootstrap(struct grower *g, uint32_t *ret_n)
{
    const struct forest_data *data = g->data;
    auto_free uint32_t *count = xcalloc(data->n, sizeof(*count));
    for (size_t i = 0; i < data->n; i++) {
        count[below(g->rng, (uint32_t)data->n)]++;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < data->n; i++) {
        if (count[i]) {
            double w = count[i] * (data->weight ? data->weight[i] : 1);
            if (data->number) {
                g->w[i][0] = w;
                g->w[i][1] = w * data->number[i];
            } else {
                g->w[i][data->label[i]] = w;
            }
            g->samples[n++] = (uint16_t)i;
        }
    }
    *ret_n = n;
}

static void grow(struct grower *g, struct forest_tree *tree, double *importance)
{
    uint32_t n = 0;
    bootstrap(g, &n);
    size_t pending = 1, room = 64;
    struct task *stack = xcalloc(room, sizeof(*stack));
    stack[0] = (struct task) { 0, n, 0, UINT32_MAX };
    while (pending > 0) { /* left children come off first, right behind their parent */
        struct task task = stack[--pending];
        if (pending + 2 > room) {
            room *= 2;
            stack = xrealloc(stack, room, sizeof(*stack));
        }
        pending += (size_t)grow_node(g, &task, tree, importance, &stack[pending]);
    }
    free(stack);
    tree->nodes = g->nodes;
    tree->n = g->n_nodes;
}

void forest_grow(const struct forest_data *data, const struct forest_options *options,
                 struct rng *rng, struct forest_tree *ret_tree, double *importance)
{
    size_t most = (size_t)options->max_features * data->ranks_max + 1;
    auto_free uint16_t *samples = xcalloc(data->n + 1, sizeof(*samples));
    auto_free pair *w = xcalloc(data->n + 1, sizeof(*w));
    auto_free uint32_t *order = xcalloc(data->d + 1, sizeof(*order));
    auto_free pair *bins = xcalloc(data->ranks_max + 1, sizeof(*bins));
    auto_free uint32_t *counts = xcalloc(data->ranks_max + 1, sizeof(*counts));
    auto_free uint64_t *used = xcalloc(data->ranks_max / 64 + 1, sizeof(*used));
    auto_free struct split *splits = xcalloc(most, sizeof(*splits));
    auto_free double *numbers = xcalloc(most, 3 * sizeof(*numbers));
    struct grower g = { .data = data, .options = options, .rng = rng, .samples = samples,
                        .w = w, .order = order, .bins = bins, .counts = counts,
                        .used = used,
                        .splits = splits, .left = { numbers, numbers + most },
                        .gain = numbers + 2 * most };
    for (uint32_t f = 0; f < data->d; f++) {
        order[f] = f;
    }
    *ret_tree = (struct forest_tree) { 0 };
    grow(&g, ret_tree, importance);
}
