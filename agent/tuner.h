#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Search over a plan's space: ask for configs, tell what they took. Pure and seeded; whoever
 * measures (a device, the simulator, a recorded space) is outside. A config is one int64 a tunable.
 *
 * Rules for every algorithm: the plan's own config comes first; no config comes twice; a failure is
 * told as NAN and counts as an evaluation; at most `budget` configs are asked for. Configs may be
 * asked for before earlier ones are told.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "kernelbench/space.h"

struct tuner;

/* "random" or "exhaustive"; NULL: exhaustive if the budget covers the space, else random. */
int tuner_new(const char *algorithm, const struct space *space, size_t budget, uint64_t seed,
              struct tuner **ret, struct err *err);
void tuner_free(struct tuner *tuner); /* NULL is fine */
const char *tuner_name(const struct tuner *tuner);

/* Up to `most` configs, row by row into ret_configs (most * space.n); 0: nothing more to try. */
size_t tuner_ask(struct tuner *tuner, size_t most, int64_t *ret_configs);
/* Microseconds, or NAN for a config that failed. ERR_INVALID: a config that wasn't asked for. */
int tuner_tell(struct tuner *tuner, const int64_t *config, double time_us, struct err *err);

struct tuner_sample {
    const int64_t *config;
    double time_us; /* NAN: failed; < 0: asked for, not told yet */
};

/* All configs in the order they were asked for. */
size_t tuner_samples(const struct tuner *tuner, const struct tuner_sample **ret);
/* The fastest so far; NULL if none ran. */
const struct tuner_sample *tuner_best(const struct tuner *tuner);
