#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Synthetic landscapes: made-up worlds in which policies can be compared on thousands of tasks in
 * seconds. A world knows what a kernel hides (what was prepared, what is used up) and answers a move
 * with a gain or a failure; it knows nothing of statistics, scores or contexts as the graph has them.
 *
 * A kernel of family f has, for each move (direction, strategy), a gain that it brings once. In a
 * world with order a family also has dependencies: a move of direction `then` works only while what
 * direction `first` prepared is there, or (`spoils`) only while it isn't. Each rewrite that is kept
 * loses any prepared thing with chance `loses`, as rewrites do. The bottleneck that is seen is the
 * resource on which most can still be gained.
 *
 * The worlds: "order" (preparations bring little by themselves, what they prepare brings much),
 * "unary" (no dependencies) and "none" (gains are drawn anew for every try, whatever the move).
 * Parameters are drawn by a seed, or read from a file that landscape_write made. Gains in nats.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"

enum {
    LANDSCAPE_DIRECTIONS = 12,
    LANDSCAPE_STRATEGIES = 4, /* of each direction */
    LANDSCAPE_FAMILIES = 4,
    LANDSCAPE_RESOURCES = 4,
    LANDSCAPE_DEPENDENCIES_MAX = 64,
};

struct landscape_dependency {
    int family, first, then;
    bool spoils; /* `then` fails after `first`; else it fails without it */
};

struct landscape {
    char world[8]; /* "order", "unary", "none" */
    uint64_t seed;
    double loses, noise, slip; /* chances and spread: see above; slip: any try may fail */
    double gain[LANDSCAPE_FAMILIES][LANDSCAPE_DIRECTIONS][LANDSCAPE_STRATEGIES];
    int resource[LANDSCAPE_DIRECTIONS]; /* 0.. LANDSCAPE_RESOURCES - 1 */
    size_t n_dependencies;
    struct landscape_dependency dependencies[LANDSCAPE_DEPENDENCIES_MAX];
};

/* ERR_INVALID: no such world. */
int landscape_draw(const char *world, uint64_t seed, struct landscape *ret, struct err *err);
void landscape_write(const struct landscape *landscape, struct buf *out);
int landscape_read(const char *path, struct landscape *ret, struct err *err);

/* The hidden state of one kernel on its way. */
struct kernel_state {
    int family;
    bool used[LANDSCAPE_DIRECTIONS][LANDSCAPE_STRATEGIES];
    bool prepared[LANDSCAPE_DIRECTIONS];
};

/* What trying a move on this kernel measures; the kernel stays as it is. */
struct landscape_outcome {
    double gain; /* as measured, with noise */
    bool failed;
};
void landscape_try(const struct landscape *landscape, const struct kernel_state *kernel,
                   int direction, int strategy, struct rng *rng, struct landscape_outcome *ret);
/* The child replaces its parent. */
void landscape_keep(const struct landscape *landscape, struct kernel_state *kernel, int direction,
                    int strategy, struct rng *rng);
/* 0 .. LANDSCAPE_RESOURCES - 1: the resource that holds this kernel back. */
int landscape_bottleneck(const struct landscape *landscape, const struct kernel_state *kernel);
