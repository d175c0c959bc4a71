#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Which blocks of a grid are profiled, and so which run in a sampled launch: a few probes (the
 * first block, its neighbours along each axis, the last one), which show how addresses depend on
 * the block, and groups of neighbours spread evenly over the grid, which stand for all of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct launch_unit { /* blocks [first, first + n) in launch order, run by one thread */
    uint64_t first;
    uint64_t n;
    bool profiled;
    bool weighs; /* stands for the grid; probes don't, unless they are all there is */
};

/* The profiled units, in launch order, at most `want` blocks, in groups of at most `group`; block 0
 * is always a unit of its own, and probes are left out where few blocks are wanted. The caller
 * frees *ret_units. */
void launch_plan_sample(const uint32_t grid[3], uint64_t want, uint32_t group,
                        struct launch_unit **ret_units, size_t *ret_n);

/* The sample's units and, between them, units for all other blocks. */
void launch_plan_fill(uint64_t blocks, const struct launch_unit *sample, size_t n_sample,
                      struct launch_unit **ret_units, size_t *ret_n);
