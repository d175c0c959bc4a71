#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The time model: what a launch would take on a machine, from the counts and traces of the blocks
 * that stand for it. Deterministic, in modelled nanoseconds, at the machine's boost clock.
 *
 * Blocks fill the machine in waves of (SMs x resident blocks). A wave takes the smooth maximum of
 * what each resource needs for it alone (each pipe and the issue slots of the busiest SM, its L1
 * and shared-memory wavefronts, L2 and DRAM bytes of all SMs) and of its longest dependency chain;
 * the last, partial wave is priced by itself, which is the tail. Latency-bound kernels come out of
 * the chain, and with it Little's law: bytes in flight are resident warps times what each keeps
 * open.
 *
 * DRAM traffic comes from footprints (model_reuse.h). model_cache remembers what a sequence of
 * operations left in L2; the driver empties it where a timed sequence begins, so that a sample is
 * cold, as after the flush on a GPU.
 */
#include <stdbool.h>
#include <stdint.h>

#include "evaluator/sim/launch.h"
#include "evaluator/sim/machine.h"
#include "evaluator/sim/warpsim.h"

#define MODEL_CACHE_SPANS 32

struct model_cache { /* most recently used first */
    bool warm;       /* something ran since the sequence began */
    double dirty;    /* share of L2's lines that DRAM hasn't got yet */
    unsigned n;
    struct {
        uint64_t span, bytes;
    } held[MODEL_CACHE_SPANS];
};

/* As a flush leaves it: full of lines that aren't ours, a share of them written. */
void model_cache_reset(struct model_cache *cache, const struct machine *machine);
/* Bytes that DRAM writes while so many are read and written through L2: lines make room that were
 * written earlier, and the last ones written stay behind. */
double model_cache_written_back(struct model_cache *cache, const struct machine *machine,
                                double read, double written);
/* Bytes of the allocation at `span` that L2 holds. */
uint64_t model_cache_held(const struct model_cache *cache, uint64_t span);
/* Bytes that stay for the next launch. */
uint64_t model_cache_capacity(const struct machine *machine);
/* `bytes` of it were touched; what doesn't fit into `capacity` any more is dropped. */
void model_cache_touch(struct model_cache *cache, uint64_t span, uint64_t bytes, uint64_t capacity);

struct model_launch {
    const struct machine *machine;
    const struct launch_profile *profile;
    uint32_t grid[3], block[3];
    unsigned regs, shared; /* a thread's registers, a block's bytes */
    unsigned spill;        /* bytes that ptxas spills for a thread */
    unsigned insns;        /* of the program */
    bool hidden_launch;    /* a node of a graph, or launched programmatically */
};

/* Fills all of ret_counters but what the caller alone knows (none at present). */
void model_launch_time(const struct model_launch *launch, struct model_cache *cache,
                       struct warpsim_counters *ret_counters);

/* Resident blocks an SM holds, 0 when one block doesn't fit. */
unsigned model_blocks_per_sm(const struct machine *machine, unsigned threads, unsigned regs,
                             unsigned shared);
/* L1 bytes that each of `blocks` resident blocks can count on. */
uint64_t model_l1_share(const struct machine *machine, unsigned blocks, unsigned shared);

/* memset (read = 0) and copies inside the device; and between host and device. */
double model_fill_time(const struct machine *machine, uint64_t read, uint64_t written);
double model_host_copy_time(const struct machine *machine, uint64_t bytes);
