#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A recorded space made by a formula: BLOCK pow2, TILE, WAY (words), FAST; a valley along
 * BLOCK * TILE = 256, some configs that fail, three single timings each, 10 % apart. Written as T4 into
 * a folder of its own and read back.
 */
#include "agent/tune/tune_replay.h"

enum { TUNE_MADE_EVALS = 60 }; /* enough for a search, far fewer than there are */

struct tune_made {
    char folder[40];
    char *path; /* folder/space.json.gz */
    struct recorded *recorded;
};

int tune_made_setup(void **state); /* cmocka's; *state is a struct tune_made */
int tune_made_teardown(void **state);
/* One search; fails the running test if it can't. */
struct tune_replay_run tune_made_run(const struct tune_made *made, struct tune_replay_options options);
