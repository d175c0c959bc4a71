/* SPDX-License-Identifier: MIT */
/* The three that learn nothing: drawn, listed in order, and what a prior proposed. */
#include "agent/tune/tuner_algorithm.h"

#include <string.h>

const struct algorithm search_random = { .name = "random", .next = tuner_draw };

static int open_exhaustive(struct tuner *t, struct err *err)
{
    (void)err;
    t->state = arena_alloc(t->arena, 1, sizeof(size_t));
    return 0;
}

static bool next_exhaustive(struct tuner *t, uint16_t *ret_config)
{
    size_t *at = t->state;
    while (*at < t->space->n_listed) {
        const uint16_t *config = tuner_listed(t, (*at)++);
        if (!tuner_asked(t, config)) {
            memcpy(ret_config, config, tuner_row_bytes(t));
            return true;
        }
    }
    return false;
}

const struct algorithm search_exhaustive = { .name = "exhaustive",
                                             .open = open_exhaustive,
                                             .next = next_exhaustive };

/* What was proposed and what a guide proposes come before any algorithm; there's nothing more. */
static bool next_prior(struct tuner *t, uint16_t *ret_config)
{
    (void)t;
    (void)ret_config;
    return false;
}

const struct algorithm search_prior = { .name = "prior", .next = next_prior };
