#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One block while it runs. Shared by the executor's files: exec.c (blocks, turns), exec_run.c (the
 * loop over a warp's instructions), exec_group.c (divergence, barriers), exec_lane.c (shuffles,
 * votes), exec_mem.c and exec_atom.c (memory), exec_async.c (copies), exec_matrix.c,
 * exec_profile.c, exec_fault.c, check_race.c.
 *
 * A warp's lanes are split into groups with a common program point. One of them runs (`pc`,
 * `mask`), the others wait in `groups`: ready, at a barrier, or at an instruction that waits for
 * lanes of its mask. What the files offer each other is in exec_parts.h.
 */
#include "evaluator/sim/exec.h"
#include "evaluator/sim/exec_ops.h"
#include "evaluator/sim/exec_program.h"
#include "evaluator/sim/l1.h"
#include "evaluator/sim/vmem.h"

#include <string.h>

#define ALL_LANES 0xffffffffu

enum { EXEC_MAX_WARPS = 32, RUN_WAIT = 1, RUN_FAULT = -1 };
enum group_state { GROUP_READY, GROUP_AT_BARRIER, GROUP_AT_SYNC };

struct group {
    uint32_t pc, mask; /* pc: of the next instruction, or of the one it waits at */
    uint32_t block;    /* whose start it waits at (and was counted for), or UINT32_MAX */
    uint8_t state, barrier;
};

struct pending_copy {
    uint32_t to;          /* offset in shared memory */
    uint8_t size, filled; /* bytes; those from `from`, the rest zeros */
    uint32_t group;
    const uint8_t *from;
};

/* A warp's critical path, exec_chain.c. Times are packed as it says. */
enum { CHAIN_COPY_GROUPS = 8 };
struct chain {
    uint64_t floor, latest; /* of what is being scheduled: its start, its latest issue */
    uint64_t issued;        /* issue slots used since */
    uint64_t global_stored, shared_stored; /* the latest store's issue */
    uint64_t copies_done, copy_groups[CHAIN_COPY_GROUPS];
    uint32_t n_copy_groups, turn;
    const struct insn *lead;
    bool held;                    /* asks an mbarrier in vain: its time stands still until then */
    bool missed;                  /* the access that is about to be issued goes past L1 */
    uint64_t *ready, *pred_ready; /* by register and predicate */
};

struct warp {
    uint8_t *regs; /* program's reg_bytes, 64-byte aligned */
    uint32_t *preds;
    uint8_t *local, *local_shadow; /* 32 lanes x local_bytes */
    uint32_t index, pc, mask, live, exists;
    struct group groups[32];
    uint32_t n_groups;
    uint32_t fair; /* blocks for which the earliest-first rule is off, so that others get on */
    bool running, done;
    bool asks; /* it asked an mbarrier in vain, when there had been `asked_at` updates of any */
    uint64_t asked_at;
    uint32_t barrier_lanes[BAR_COUNT]; /* lanes that have arrived, of the warp */
    struct pending_copy *copies;
    uint32_t n_copies, cap_copies, copy_group;
    struct wgmma_operand *wgmma_operands; /* of products that nobody has waited for, exec_wgmma.c */
    uint32_t n_wgmma, cap_wgmma, wgmma_group;
    struct chain chain; /* profile */
};

struct barrier {
    uint32_t warps;             /* that wait */
    uint32_t arrived, expected; /* counted in warps; expected 0: all that live */
    uint32_t popc;
    bool all, any;
};

enum access_shape {
    ACCESS_WHOLE,   /* all 32 lanes side by side in one piece of memory, at `base` */
    ACCESS_UNIFORM, /* all active lanes at one place, `base` */
    ACCESS_SPREAD,  /* in one piece of memory: lane i at base + offset[i] */
    ACCESS_MIXED    /* anywhere: ptr, shadow */
};

struct access {
    uint64_t addr[32]; /* inactive lanes have the first active one's */
    uint64_t offset[32];
    uint8_t *ptr[32], *shadow[32];
    uint8_t *base, *base_shadow; /* shadows are NULL where writes aren't tracked */
    uint32_t mask, bytes;        /* bytes: a lane's */
    enum access_shape shape;
    enum ptx_space space; /* what the first active lane's address turned out to be */
    bool write, atomic, unprofiled;
};

struct race_state; /* check_race.c */

struct exec_scratch {
    const struct exec_launch *launch;
    const struct exec_program *program;
    struct exec_launch launch_copy;
    const struct exec_latency *latency;
    uint32_t ctaid[3], threads, n_warps;
    struct warp warps[EXEC_MAX_WARPS];
    struct barrier barriers[BAR_COUNT];
    uint32_t barriers_used; /* bit i: somebody waits at barrier i */
    uint8_t *memory;        /* one piece for registers, predicates, local and shared memory */
    size_t memory_bytes;
    uint8_t *shared, *shared_shadow;
    uint32_t shared_bytes;
    const struct vmem_span **sites; /* the last span that each memory instruction found */
    uint32_t cap_sites;
    uint64_t *block_runs, *block_lanes; /* how often each block ran since the counts were taken */
    uint32_t cap_blocks;
    uint64_t used; /* warp instructions of this block */
    int64_t slice;  /* that the running warp may still execute */
    int64_t unused; /* of the slice, where the warp went to sleep */
    bool slept;
    uint32_t next_warp;
    uint64_t mbarrier_updates;
    uint64_t releases; /* barriers that were passed: progress, also where no block is entered */
    uint8_t *tmp;      /* 8 vectors of 256 bytes for results under a partial mask */
    struct exec_counts counts;
    struct exec_fault fault;
    struct race_state *race;
    struct l1 *l1; /* when profiling */
    uint64_t *trace;
    size_t n_trace, cap_trace;
    uint64_t clock_base;
    bool started;
};

static inline const uint8_t *src_at(const struct exec_scratch *x, const struct warp *w,
                                    uint32_t ref)
{
    return ref & REF_CONST ? x->program->consts + (ref & ~REF_CONST) : w->regs + ref;
}

static inline uint32_t pred_at(const struct warp *w, const struct insn *in, unsigned i)
{
    uint32_t p = w->preds[in->p[i]];
    return in->p_negated >> i & 1 ? ~p : p;
}

static inline void pred_put(struct warp *w, uint16_t pred, uint32_t value, uint32_t mask)
{
    if (pred != PRED_NONE)
        w->preds[pred] = (w->preds[pred] & ~mask) | (value & mask);
}

/* Lanes whose registers may be overwritten: active ones, and those that no thread has. */
static inline bool mask_full(const struct warp *w, uint32_t mask)
{
    return (mask | ~w->live) == ALL_LANES;
}

/* Keeps src's lanes of the mask in dst. width: 2, 4, 8. */
static inline void lanes_merge(const struct exec_scratch *x, uint8_t *dst, const uint8_t *src,
                               uint32_t mask, unsigned width)
{
    x->program->ops->select[width / 4](dst, src, dst, mask);
}

/* Where a lane's element lies. */
static inline uint8_t *access_at(const struct access *a, unsigned lane)
{
    switch (a->shape) {
    case ACCESS_WHOLE:
        return a->base + (size_t)lane * a->bytes;
    case ACCESS_UNIFORM:
        return a->base;
    case ACCESS_SPREAD:
        return a->base + a->offset[lane];
    default:
        return a->ptr[lane];
    }
}
