/* SPDX-License-Identifier: MIT */
#include "agent/landscape.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS = 5, COMMON_PAIRS = 4, SPOILERS = 1 };

static bool is_world(const char *world)
{
    return str_eq(world, "order") || str_eq(world, "unary") || str_eq(world, "none");
}

/* Sizes as published ablations have them: a good move is worth 1.2 to 2x, most bring a few per
 * cent, a third of them do harm. */
static double draw_gain(struct rng *rng)
{
    double roll = rng_unit(rng);
    return roll < 0.15 ? 0.2 + 0.5 * rng_unit(rng)
        : roll < 0.65  ? 0.1 * rng_unit(rng)
                       : -0.3 * rng_unit(rng);
}

/* Mixes what stands from `from` on. */
static void shuffle_tail(int *at, int from, struct rng *rng)
{
    for (int i = LANDSCAPE_DIRECTIONS; i > from + 1; i--) {
        int j = from + (int)rng_below(rng, (uint64_t)(i - from)), kept = at[i - 1];
        at[i - 1] = at[j];
        at[j] = kept;
    }
}

static void depend(struct landscape *l, int family, int first, int then, bool spoils)
{
    require(l->n_dependencies < LANDSCAPE_DEPENDENCIES_MAX);
    l->dependencies[l->n_dependencies++]
        = (struct landscape_dependency) { family, first, then, spoils };
}

/* Pairs of a preparation, which brings little, and what it makes possible, which brings most. Most
 * pairs are the same in all families, for kernels have much in common; the last is each one's own.
 * A spoiler destroys what a move needs. */
static void draw_order(struct landscape *l, struct rng *rng)
{
    int common[LANDSCAPE_DIRECTIONS];
    for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
        common[d] = d;
    }
    shuffle_tail(common, 0, rng);
    for (int f = 0; f < LANDSCAPE_FAMILIES; f++) {
        int own[LANDSCAPE_DIRECTIONS];
        memcpy(own, common, sizeof(own));
        shuffle_tail(own, 2 * COMMON_PAIRS, rng);
        for (int p = 0; p < PAIRS; p++) {
            int first = own[2 * p], then = own[2 * p + 1];
            depend(l, f, first, then, false);
            for (int s = 0; s < LANDSCAPE_STRATEGIES; s++) {
                l->gain[f][first][s] = 0.02 + 0.04 * rng_unit(rng);
                l->gain[f][then][s] = 0.2 + 0.4 * rng_unit(rng);
            }
        }
        for (int p = 0; p < SPOILERS; p++) {
            depend(l, f, own[2 * p + 1], own[2 * p + 3], true);
        }
    }
}

int landscape_draw(const char *world, uint64_t seed, struct landscape *ret, struct err *err)
{
    if (!is_world(world)) {
        return err_set(err, ERR_INVALID, "no landscape is called \"%.20s\": order, unary, none",
                       world);
    }
    struct landscape l = { .seed = seed, .noise = 0.02, .slip = 0.1, .loses = 0.25 };
    struct rng rng;
    snprintf(l.world, sizeof(l.world), "%s", world);
    rng_init(&rng, seed, rng_key(world), 0);
    for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
        l.resource[d] = (int)rng_below(&rng, LANDSCAPE_RESOURCES);
    }
    for (int f = 0; f < LANDSCAPE_FAMILIES; f++) {
        for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
            for (int s = 0; s < LANDSCAPE_STRATEGIES; s++) {
                l.gain[f][d][s] = draw_gain(&rng);
            }
        }
    }
    if (str_eq(world, "order")) {
        draw_order(&l, &rng);
    }
    *ret = l;
    return 0;
}

/* Is everything there that a move of this direction needs, and nothing that spoils it? */
static bool works(const struct landscape *l, const struct kernel_state *kernel, int direction)
{
    for (size_t i = 0; i < l->n_dependencies; i++) {
        const struct landscape_dependency *d = &l->dependencies[i];
        if (d->family == kernel->family && d->then == direction
            && kernel->prepared[d->first] == d->spoils) {
            return false;
        }
    }
    return true;
}

void landscape_try(const struct landscape *l, const struct kernel_state *kernel, int direction,
                   int strategy, struct rng *rng, struct landscape_outcome *ret)
{
    double noise = l->noise * rng_normal(rng), slip = rng_unit(rng), luck = rng_unit(rng);
    double freak = rng_normal(rng);
    *ret = (struct landscape_outcome) { noise, slip < l->slip };
    if (str_eq(l->world, "none")) {
        ret->gain = 0.2 * freak;
    } else if (!works(l, kernel, direction)) {
        ret->failed = ret->failed || luck < 0.6;
        ret->gain = -0.1 + noise;
    } else if (!kernel->used[direction][strategy]) {
        ret->gain = l->gain[kernel->family][direction][strategy] + noise;
    }
}

void landscape_keep(const struct landscape *l, struct kernel_state *kernel, int direction,
                    int strategy, struct rng *rng)
{
    for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
        bool lost = rng_unit(rng) < l->loses;
        kernel->prepared[d] = (kernel->prepared[d] && !lost) || d == direction;
    }
    kernel->used[direction][strategy] = true;
}

int landscape_bottleneck(const struct landscape *l, const struct kernel_state *kernel)
{
    double left[LANDSCAPE_RESOURCES] = { 0 };
    int worst = 0;
    for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
        for (int s = 0; s < LANDSCAPE_STRATEGIES; s++) {
            double gain = l->gain[kernel->family][d][s];
            left[l->resource[d]] += gain > 0 && !kernel->used[d][s] ? gain : 0;
        }
    }
    for (int r = 1; r < LANDSCAPE_RESOURCES; r++) {
        worst = left[r] > left[worst] ? r : worst;
    }
    return worst;
}
