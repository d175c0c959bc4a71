#pragma once
/* SPDX-License-Identifier: MIT */
/* The two halves of `tune`; each returns an exit code. */
#include "agent/options.h"
#include "agent/tune/tune_space.h"

/* cmd_tune_replay.c: searches on a recorded space. */
int tune_replayed(const struct options *options);
/* cmd_tune_live.c: a candidate's tunables on a device. */
int tune_live(const struct options *options);

/* --pin: a config, a list of them, or a file that holds either; row by row, the caller frees. */
int tune_pins(const struct options *options, const struct tune_space *space, uint16_t **ret,
              size_t *ret_n, struct err *err);
