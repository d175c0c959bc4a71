/* SPDX-License-Identifier: MIT */
/* The default. */
#include "agent/tune/tuner_algorithm.h"

static int open_auto(struct tuner *t, struct err *err)
{
    (void)err;
    t->state = tuner_part_new(t, &search_rank);
    return 0;
}

static bool next_auto(struct tuner *t, uint16_t *ret_config)
{
    return tuner_part_next(t, t->state, ret_config);
}

const struct algorithm search_auto = { "auto", NULL, open_auto, next_auto, NULL, NULL };
