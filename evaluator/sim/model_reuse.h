#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * How many bytes a launch moves between SMs, L2 and DRAM, from the traces of its profiled blocks.
 *
 * The means are footprints: fp(x), the distinct bytes that x consecutive blocks touch. For each
 * allocation it comes from where blocks begin in it: where that is an affine function of the
 * block's coordinates (a row each, a tile each), the number of distinct places that x blocks cover
 * is known, with their overlap; else it is a power law through the growth that groups of neighbours
 * show. It never exceeds the allocation. The traffic of a cache of size C then is fp(N) if that
 * fits, else it grows by the slope of fp at the x where fp(x) = C (the higher-order theory of
 * locality: Xiang et al., "HOTL", ASPLOS 2013, section 3). Blocks that run at the same time count
 * as in step: what they share is read once.
 */
#include <stdint.h>

#include "evaluator/sim/model.h"

#define REUSE_SPANS 32

struct reuse {
    double l1_hit;                /* share of load sectors */
    double l2_read, l2_write;     /* bytes between SMs and L2, for the whole grid */
    double l2_requests;           /* loads of up to a line */
    double atomic_requests;       /* sectors, and repeats on one address */
    double atomic_lines;          /* lines they go to */
    double dram_read, dram_write; /* bytes */
    double
        l2_hit; /* share of L2's reads that don't wait for DRAM, be it for another block's miss */
    unsigned n_spans;
    struct {
        uint64_t span;
        double footprint; /* bytes the launch touched in it */
    } spans[REUSE_SPANS];
};

/* wave: blocks that run at the same time. */
void reuse_estimate(const struct model_launch *launch, uint64_t wave,
                    const struct model_cache *cache, struct reuse *ret_reuse);
