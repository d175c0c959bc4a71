#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The parts of `warpsmith memory`: what is known, why something was chosen, and memories between
 * machines. Each takes the command's options and its own words (what follows the part's name), and
 * returns the exit code.
 */
#include "agent/command.h"

struct memory_part {
    const char *name, *usage, *summary;
    size_t args_min, args_max;
    int (*run)(const struct options *options, size_t n_args, const char *const *args);
};

extern const struct memory_part memory_show, memory_why, memory_export, memory_import, memory_merge,
    memory_stats, memory_verify, memory_dot;

/* Experience "everywhere", on devices or in the model; NULL: none. */
const struct tally *memory_everywhere(const struct htg *htg, enum stats_kind kind, const char *from,
                                      const char *node, bool modelled);
