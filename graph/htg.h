#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The Hierarchical Transition Graph: directions (global nodes), strategies under each (local
 * nodes), transitions between directions, and the statistics of experience. Pure: no I/O, no clock.
 *
 * The graph copies whatever is added and owns it until htg_free; pointers it returns live as long
 * as the graph. Ids are lower-case-with-dashes; "start" is the source before the first step and no
 * direction may be called so. Nodes are referred to by index, which is the order of adding.
 * Priors are expected gains in nats (tally.h). Not thread-safe.
 */
#include <stdint.h>
#include "graph/stats.h"

enum {
    HTG_DIRECTIONS_MAX = 64, /* so that a set of them is a uint64_t */
    HTG_STRATEGIES_MAX = 4096,
    HTG_TRANSITIONS_MAX = 4096,
    HTG_ID_MAX = 64,
    HTG_TEXT_MAX = 16384,
    HTG_LIST_MAX = 64,
    HTG_EXAMPLES_MAX = 4,
    HTG_PROMOTE_TASKS = 2, /* a provisional strategy that won in so many tasks is promoted */
    HTG_RETIRE_TRIES = 4,  /* and one that was tried so often without a win is retired */
};
#define HTG_START "start"

/* Expected gain by bottleneck class; a class that isn't given counts as 0. */
struct htg_prior {
    double gain[CONTEXT_CLASSES];
    uint32_t given; /* bit per class */
};

struct htg_list {
    const char *const *at;
    size_t n;
};

struct htg_direction {
    const char *id, *title, *summary;
    struct htg_prior prior;
};

#define HTG_STATE_LIST(X)                                                                          \
    X(SEED, "seed") X(PROVISIONAL, "provisional") X(PROMOTED, "promoted") X(RETIRED, "retired")
enum htg_state {
#define X(name, text) HTG_STATE_##name,
    HTG_STATE_LIST(X)
#undef X
};

/* A kernel that won with a strategy; the candidate's id is the caller's. */
struct htg_example {
    char candidate[80];
    struct context context;
    double gain;
};

struct htg_strategy {
    const char *id, *direction, *title, *guidance, *pitfalls;
    struct htg_list tunables;
    struct htg_list families, bottlenecks, archs, dtypes; /* where it applies; empty: anywhere */
    struct htg_prior prior;
    enum htg_state state; /* unless a seed, experience changes what was declared */
    /* Kept by the graph; ignored by htg_add_strategy. */
    int direction_index;
    size_t won_tasks, n_examples;
    struct htg_example examples[HTG_EXAMPLES_MAX]; /* best first */
};

struct htg_transition {
    const char *from, *to, *when, *why, *risk;
    double prior; /* added to what `to` is worth by itself: above 0 if it goes well after `from` */
};

struct htg;

struct htg *htg_new(void);
void htg_free(struct htg *htg); /* NULL is fine */

/*
 * ERR_INVALID: a bad id, an unknown direction or class, a prior outside -2..3;
 * ERR_EXISTS: the id or the edge is there; ERR_FULL and ERR_TOOBIG: over a limit.
 * Texts may be NULL and are then "".
 */
int htg_add_direction(struct htg *htg, const struct htg_direction *direction, struct err *err);
int htg_add_strategy(struct htg *htg, const struct htg_strategy *strategy, struct err *err);
int htg_add_transition(struct htg *htg, const struct htg_transition *transition, struct err *err);
/* Keeps the best HTG_EXAMPLES_MAX, one per candidate. ERR_NOTFOUND: no such strategy. */
int htg_add_example(struct htg *htg, const char *strategy, const struct htg_example *example,
                    struct err *err);

size_t htg_directions(const struct htg *htg);
size_t htg_strategies(const struct htg *htg);
size_t htg_transitions(const struct htg *htg);
const struct htg_direction *htg_direction(const struct htg *htg, size_t index);
const struct htg_strategy *htg_strategy(const struct htg *htg, size_t index);
const struct htg_transition *htg_transition(const struct htg *htg, size_t index);
/* An index, or -1. */
int htg_find_direction(const struct htg *htg, const char *id);
int htg_find_strategy(const struct htg *htg, const char *id);
/* NULL if the seed memory says nothing about this edge. */
const struct htg_transition *htg_find_transition(const struct htg *htg, const char *from,
                                                 const char *to);

/* The same by index; `from` HTG_DIRECTIONS_MAX is the start. */
const struct htg_transition *htg_transition_between(const struct htg *htg, size_t from, size_t to);

/* A class's prior; for class "none" the mean over the five classes of a kernel that ran. */
double htg_prior_gain(const struct htg_prior *prior, enum context_class class);
const char *htg_state_name(enum htg_state state);
bool htg_state_parse(const char *name, enum htg_state *ret);

/*
 * Statistics (keys in stats.h): set what the store holds, add one outcome. A strategy's state
 * follows. Loading is quickest with all nodes added before the statistics.
 */
int htg_stat_set(struct htg *htg, const char *key, const struct tally *tally, struct err *err);
int htg_stat_add(struct htg *htg, const char *key, double gain, bool failed, struct err *err);
const struct tally *htg_stat(const struct htg *htg, const char *key);
const struct stats *htg_stats(const struct htg *htg);
