/* SPDX-License-Identifier: MIT */
#include "graph/order.h"
#include "base/util.h"

#include <math.h>

enum { ORDER_FREEDOM_LEAST = 10 };

/* Sums over the edges into all directions. */
struct spread {
    double q, freedom, within, within_freedom, weight;
};

static void add_direction(const struct tally *const *edges, size_t n, struct spread *ret)
{
    double sum_n = 0, sum_n2 = 0, sum = 0, q = 0, used = 0;
    for (size_t i = 0; i < n; i++) {
        double count = (double)edges[i]->n;
        sum_n += count;
        sum_n2 += count * count;
        sum += count * edges[i]->mean;
        ret->within += edges[i]->m2;
        ret->within_freedom += count - 1;
        used++;
    }
    if (used < 2) {
        return;
    }
    double mean = sum / sum_n;
    for (size_t i = 0; i < n; i++) {
        double off = edges[i]->mean - mean;
        q += (double)edges[i]->n * off * off;
    }
    ret->q += q;
    ret->freedom += used - 1;
    ret->weight += sum_n - sum_n2 / sum_n;
}

double order_k(const struct view *view, size_t n_directions, double k_unknown)
{
    struct spread s = { 0 };
    for (size_t to = 0; to < n_directions; to++) {
        const struct tally *edges[HTG_DIRECTIONS_MAX];
        size_t known = 0;
        for (size_t from = 0; from < n_directions; from++) {
            const struct tally *tally = view_edge_everywhere(view, from, to);
            if (from != to && tally && tally->n > 0) {
                edges[known++] = tally;
            }
        }
        add_direction(edges, known, &s);
    }
    if (s.freedom < ORDER_FREEDOM_LEAST || s.within_freedom < ORDER_FREEDOM_LEAST || s.weight <= 0) {
        return k_unknown;
    }
    double s2 = MAX(s.within / s.within_freedom, 1e-6);
    double between = (s.q - s.freedom * s2 - 2 * s2 * sqrt(2 * s.freedom)) / s.weight;
    return between > 0 ? MIN(MAX(s2 / between, ORDER_K_LEAST), ORDER_K_MOST) : ORDER_K_MOST;
}
