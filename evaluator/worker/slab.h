#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Device memory for buffers. Each buffer has a slab: a physical allocation of its own, mapped
 * alone, with unmapped address space behind it, so that running past its end faults instead of
 * reaching a neighbour, and so that it can be made read-only in hardware. Slabs are kept between
 * jobs, because making and mapping memory costs far more than filling it.
 *
 * Where the driver lacks virtual memory management, slabs are plain allocations that can't be
 * protected (slabs->plain).
 */
#include <stdbool.h>
#include "base/err.h"
#include "evaluator/worker/gpu.h"

struct slab {
    CUdeviceptr base;
    size_t size; /* bytes mapped */
    CUmemGenericAllocationHandle handle;
    bool used, writable, hidden;
    struct slab *next;
};

struct slabs {
    struct gpu *gpu;
    size_t granule; /* mappings are multiples of it */
    bool plain;
    size_t total; /* bytes in all slabs */
    struct slab *first;
    /* On the simulator slabs lie one after the other in one range, from its start again once all
     * were dropped: modelled times depend a little on addresses, and so not on earlier jobs. */
    CUdeviceptr range;
    size_t range_used;
};

/* `plain` asks for ordinary allocations even where memory could be mapped. */
int slabs_init(struct slabs *slabs, struct gpu *gpu, bool plain, struct err *err);
void slabs_done(struct slabs *slabs);
/* Gives all memory back to the driver; no slab may be in use. */
void slabs_drop_all(struct slabs *slabs);

/* The same with those that nobody uses now. */
bool slabs_drop_unused(struct slabs *slabs);

/* A slab of at least `bytes`, writable; its content is anything. -ENOMEM if the GPU has no more. */
int slab_take(struct slabs *slabs, size_t bytes, struct slab **ret, struct err *err);
/* Back to the keep. NULL is fine. */
void slab_give(struct slab *slab);
/* Gives the memory back to the driver, so that the next one taken is fresh. */
void slab_drop(struct slabs *slabs, struct slab *slab);

/* Nothing may be running. Does nothing on plain slabs. */
int slab_protect(struct slabs *slabs, struct slab *slab, bool writable, struct err *err);

/* Unmaps a slab, which keeps what it holds: while hidden it can't be found by any kernel. On plain
 * slabs it does nothing. Nothing may be running. */
int slab_hide(struct slabs *slabs, struct slab *slab, bool hidden, struct err *err);

/* Bytes that could still be taken. */
size_t slabs_room(const struct slabs *slabs);
