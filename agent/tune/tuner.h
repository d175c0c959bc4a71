#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Search over a space: ask for configs, tell what they took. Pure and seeded; whoever measures (a
 * device, the simulator, a recorded space) is outside.
 *
 * Rules for every algorithm: the space's own config comes first, then the pinned ones, then the
 * proposed ones, then a guide's; no config comes twice; a failure is told as NAN and counts as an
 * evaluation; at most `budget` configs are asked for; only allowed configs are. Configs may be asked
 * for before earlier ones are told. Every algorithm but `prior` goes on until the budget or the space
 * is used.
 */
#include "agent/tune/tune_space.h"

struct tuner;
struct prior_guide;

struct tuner_options {
    /* NULL: `exhaustive` where the budget covers the listed space, else `auto`. */
    const char *algorithm;
    size_t budget;
    uint64_t seed;
    const char *flags; /* "quantile=0.1,copies=5", NULL: defaults; `tuner_flags` lists them */
    size_t n_pinned;   /* known-good configs, asked for right after the space's own */
    const uint16_t *pinned;
    size_t n_proposed; /* asked for next, best first */
    const uint16_t *proposed;
    /* What earlier tunings say (prior.h): it proposes the first n_guided configs (0: 40; with the
       algorithm `prior` all), and every other one after that. NULL: none. Must outlive the tuner. */
    struct prior_guide *guide;
    size_t n_guided;
};

struct tuner_flag {
    const char *name;         /* NULL: the end */
    double value, min, max;   /* the default and its limits; of words: an index */
    const char *const *words; /* NULL: a number; else the words it may be, NULL last */
    const char *help;
};

/* The space must outlive the tuner. ERR_INVALID: no such algorithm or flag, with those there are;
   ERR_NOTFOUND: the constraints leave nothing; ERR_TOOBIG: exhaustive and can't be listed. */
int tuner_new(const struct tune_space *space, const struct tuner_options *options,
              struct tuner **ret, struct err *err);
void tuner_free(struct tuner *tuner); /* NULL is fine */
/* The algorithm that runs. */
const char *tuner_name(const struct tuner *tuner);
/* Every algorithm's name, NULL last; and what one can be told. NULL: no such algorithm. */
const char *const *tuner_algorithms(void);
const struct tuner_flag *tuner_flags(const char *algorithm);

/*
 * Up to `most` configs, row by row into ret. 0: something asked for must be told first, or a
 * proposer must answer (tuner_waits), or nothing is left to try (tuner_done).
 */
size_t tuner_ask(struct tuner *tuner, size_t most, uint16_t *ret);
bool tuner_done(const struct tuner *tuner);
/* Any unit of time, the same for all; NAN for a config that failed. A second time for a config
   replaces the first. ERR_INVALID: nobody asked for it. */
int tuner_tell(struct tuner *tuner, const uint16_t *config, double time, struct err *err);

/*
 * `llm` and `hybrid`: the tuner waits for proposals of round k, from 0 (-1: it doesn't). tuner_offer
 * hands them over (forbidden and known ones are dropped, the number kept is returned); n = 0: the
 * proposer failed, and the search goes on without it.
 */
int tuner_waits(const struct tuner *tuner);
size_t tuner_wants(const struct tuner *tuner); /* configs a round; 0: it never waits */
size_t tuner_offer(struct tuner *tuner, const uint16_t *configs, size_t n);

struct tuner_sample {
    const uint16_t *config;
    double time; /* NAN: failed; < 0: asked for, not told yet */
};

/* All configs in the order they were asked for. */
size_t tuner_samples(const struct tuner *tuner, const struct tuner_sample **ret);
/* The fastest so far; NULL if none ran. */
const struct tuner_sample *tuner_best(const struct tuner *tuner);
