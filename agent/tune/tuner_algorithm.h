#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What an algorithm sees of its tuner, and what it must give. Private to this folder. The tuner
 * keeps the samples, the first configs and the rules; an algorithm names the next config and keeps
 * its own state in `state`, allocated from `arena`.
 */
#include "agent/tune/tuner.h"
#include "base/arena.h"

enum { TUNER_FLAGS_MAX = 40 };

struct algorithm {
    const char *name;
    const struct tuner_flag *flags; /* ended by an empty one; NULL: none */
    /* Sets up t->state; NULL: nothing to do. */
    int (*open)(struct tuner *t, struct err *err);
    /* Writes a config that's allowed and wasn't asked for. False: none, or none before something
       outstanding is told. */
    bool (*next)(struct tuner *t, uint16_t *ret_config);
    /* As tuner_waits and tuner_offer; NULL: never waits. */
    int (*waits)(const struct tuner *t);
    size_t (*offer)(struct tuner *t, const uint16_t *configs, size_t n);
};

extern const struct algorithm search_random, search_exhaustive, search_genetic, search_lfbo,
    search_rank, search_prior, search_llm, search_hybrid, search_auto;

struct tuner {
    const struct algorithm *algorithm;
    const struct tune_space *space;
    struct arena *arena;
    struct rng rng;
    uint64_t seed;
    size_t budget, n, n_told;
    struct tuner_sample *samples;
    uint32_t *slots; /* of samples by config, open addressing: index + 1 */
    size_t n_slots;
    const uint16_t **first; /* own, pinned, proposed */
    size_t n_first, at_first;
    double flags[TUNER_FLAGS_MAX];
    uint32_t *order; /* of the listed, by the seed: for drawing without repeats */
    size_t at_order;
    bool over; /* nothing is left to try */
    struct tuner_guided *guided; /* NULL: no prior */
    void *state;
};

/* An algorithm that runs inside of another one, with its own state and its flags' defaults. */
struct tuner_part;
struct tuner_part *tuner_part_new(struct tuner *t, const struct algorithm *algorithm);
bool tuner_part_next(struct tuner *t, struct tuner_part *part, uint16_t *ret_config);

/* tuner_guided.c: the prior's proposals; all of the first `alone` configs, then every other one. */
void tuner_guided_open(struct tuner *t, struct prior_guide *guide, size_t alone);
bool tuner_guided_next(struct tuner *t, uint16_t *ret_config);

/* Whether a config was asked for. */
bool tuner_asked(const struct tuner *t, const uint16_t *config);
/* A uniform draw among the configs that weren't asked for; false: none is left (or, in a space that
   can't be listed, none was found). */
bool tuner_draw(struct tuner *t, uint16_t *ret_config);
/* A random allowed config that differs in one parameter, asked for or not; false: there's none. */
bool tuner_step(struct tuner *t, const uint16_t *config, uint16_t *ret_config);
/* Makes a config allowed by changing little; false: nothing near is. */
bool tuner_repair(struct tuner *t, uint16_t *config);
/* What a config took: as tuner_sample.time, and < 0 if it wasn't asked for. */
double tuner_time(const struct tuner *t, const uint16_t *config);
/* The fastest samples, best first; returns how many, ret holds `most`. */
size_t tuner_fastest(const struct tuner *t, size_t most, const struct tuner_sample **ret);
size_t tuner_row_bytes(const struct tuner *t);
/* A listed config. */
const uint16_t *tuner_listed(const struct tuner *t, size_t row);
/* "a=1,b=word" over the defaults. */
int tuner_read_flags(const struct algorithm *algorithm, const char *text, double *ret,
                     struct err *err);
