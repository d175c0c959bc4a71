#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a tuner searches: parameters, the values each may take, and which combinations are allowed.
 * One form for a plan's space, for a recorded space and for a space that is too large to list, so
 * that an algorithm sees no difference.
 *
 * A config is one rank a parameter: config[i] is an index into params[i]'s values, in their order.
 * Parameters of one value are left out. Owned by whoever made it (tune_plan.h, recorded.h); nothing
 * here changes after that, so a space may be read by several threads (`allows` and `draw` too).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/rng.h"

enum { TUNE_PARAMS_MAX = 64, TUNE_VALUES_MAX = 65536, TUNE_LIST_MAX = 200000, TUNE_PLACES_MAX = 8 };

enum tune_kind {
    TUNE_POW2,        /* one feature: log2; neighbours by rank */
    TUNE_NUMBER,      /* one feature: the value; neighbours by rank */
    TUNE_CHOICE,      /* one feature a choice (one-hot); every other choice is a neighbour */
    TUNE_BOOL,        /* one feature: 0 or 1 */
    TUNE_PERMUTATION, /* n features: the sequence; neighbours: every swap of two places */
};

struct tune_param {
    const char *name;
    enum tune_kind kind;
    uint32_t n;               /* values, at least 2 */
    uint32_t places;          /* of a permutation: n = places!, in lexicographic order */
    const double *values;     /* ascending numbers; NULL for choices that are words */
    const char *const *texts; /* every value as JSON writes it (a word without quotes), never NULL */
};

/* How sure `n_allowed` is. */
enum tune_count { TUNE_COUNT_EXACT, TUNE_COUNT_ESTIMATE };

struct tune_space {
    struct arena *arena; /* holds all of it */
    size_t n;
    struct tune_param *params;
    bool has_own;        /* there's a config to start from: `own` */
    uint16_t *own;
    /* 1 allowed, 0 forbidden, negative: error. */
    int (*allows)(const void *ud, const uint16_t *config);
    /* A uniform draw, 0 or ERR_NOTFOUND; NULL: drawn freely until `allows` says yes. */
    int (*draw)(const void *ud, struct rng *rng, uint16_t *ret_config);
    const void *ud;
    /* All allowed configs row by row, if they could be listed (n_listed > 0), and their index. */
    uint16_t *listed;
    size_t n_listed;
    struct tune_index *index;
    size_t n_features;
    double n_allowed; /* configs, by this count */
    enum tune_count count;
    struct id id;     /* of parameters and constraints: equal ids, comparable tunings */
};

/* The product of the parameters' sizes, before constraints; saturates at UINT64_MAX. */
uint64_t tune_space_size(const struct tune_space *space);
int tune_space_allows(const struct tune_space *space, const uint16_t *config);
/* The row of a config among the listed, or -1. */
int64_t tune_space_find(const struct tune_space *space, const uint16_t *config);
/* A uniform draw among the allowed; ERR_NOTFOUND if none was found in 10,000 tries. */
int tune_space_draw(const struct tune_space *space, struct rng *rng, uint16_t *ret_config);
/*
 * The ranks that parameter i may step to from config[i] within `radius` (see enum tune_kind), not
 * including config[i] itself; constraints aren't looked at. ret must hold params[i].n; returns how many.
 */
size_t tune_space_neighbours(const struct tune_space *space, const uint16_t *config, size_t i,
                             unsigned radius, uint16_t *ret);
/* space->n_features numbers. `feature_param[f]` says whose they are. */
void tune_space_features(const struct tune_space *space, const uint16_t *config, float *ret);
size_t tune_space_feature_param(const struct tune_space *space, size_t feature);
/* The places of the permutation of this rank, 0..places-1 in their order. */
void tune_permutation(uint32_t places, uint32_t rank, uint8_t *ret);
void tune_space_free(struct tune_space *space); /* NULL is fine */

/*
 * For makers of spaces. All is set but n_features, and `listed` (n rows, in the arena) may be: the
 * index is built. ERR_EXISTS if a row stands in it twice.
 */
int tune_space_seal(struct tune_space *space, struct err *err);
