#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The functions that the executor's files offer each other, by file. Handlers of instructions
 * return 0, RUN_WAIT when the running group can't go on, or RUN_FAULT with x->fault filled.
 */
#include "evaluator/sim/exec_state.h"

/* exec_run.c: runs the warp's groups until the warp waits, ends, or its slice is used up. */
int run_warp(struct exec_scratch *x, struct warp *w);

/* exec_group.c */
void group_enter_block(struct exec_scratch *x, struct warp *w, uint32_t block);
int group_branch(struct exec_scratch *x, struct warp *w, uint32_t taken, const struct insn *in);
int group_switch(struct exec_scratch *x, struct warp *w, const struct insn *in);
/* Picks a ready group to run; false if there is none. */
bool group_next(struct exec_scratch *x, struct warp *w);
void group_park(struct warp *w, enum group_state state, uint32_t pc, unsigned barrier);
void group_rotate(struct exec_scratch *x, struct warp *w); /* gives way to another ready group */
int group_exit(struct exec_scratch *x, struct warp *w);
/* The lanes of `need` must be here: 0 when they are, RUN_WAIT when others must run first. */
int group_sync(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t need);
int barrier_arrive(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
int barrier_recheck(struct exec_scratch *x); /* after lanes have exited */
int barrier_deadlock(struct exec_scratch *x);

/* exec_lane.c */
int run_warp_op(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);

/* exec_mem.c: finds the host pointers of an access and checks it. With the addresses in register
 * `ref` plus the instruction's offset, or with those already in a->addr. */
int access_resolve(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t ref,
                   struct access *a);
int access_check(struct exec_scratch *x, struct warp *w, const struct insn *in, struct access *a);
int run_load(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
int run_store(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
int run_atom(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
int run_matrix(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
int run_copy(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
void copy_commit(struct warp *w);
void copy_wait(struct exec_scratch *x, struct warp *w, uint32_t keep);

int run_mbarrier(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
/* Bytes of a copy have come: takes them off the mbarrier at an address of shared memory. */
int mbarrier_complete(struct exec_scratch *x, struct warp *w, const struct insn *in, unsigned lane,
                      uint64_t addr, uint32_t bytes);

/* exec_bulk.c: cp.async.bulk */
int run_bulk(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);

/* exec_wgmma.c */
int run_wgmma(struct exec_scratch *x, struct warp *w, const struct insn *in, uint32_t mask);
void wgmma_free(struct warp *w);

/* exec_profile.c */
void profile_issue(struct exec_scratch *x, struct warp *w, const struct insn *in);
void profile_access(struct exec_scratch *x, struct warp *w, const struct insn *in,
                    const struct access *a);
void profile_barrier(struct exec_scratch *x, uint32_t warps);
void profile_block_start(struct exec_scratch *x);
void profile_block_end(struct exec_scratch *x);

/* exec_fault.c: fills x->fault, returns RUN_FAULT. in may be NULL. */
int fault_at(struct exec_scratch *x, const struct warp *w, const struct insn *in, unsigned lane,
             enum exec_fault_kind kind, uint64_t addr, const char *format, ...)
    __attribute__((format(printf, 7, 8), cold));
int fault_access(struct exec_scratch *x, const struct warp *w, const struct insn *in,
                 const struct access *a, unsigned lane, enum ptx_space space);

/* check_race.c */
int race_prepare(struct exec_scratch *x);
void race_free(struct race_state *race);
void race_block_start(struct exec_scratch *x);
void race_arrive(struct exec_scratch *x, const struct warp *w, unsigned id);
void race_release(struct exec_scratch *x, uint32_t warps, unsigned id);
void race_sync(struct exec_scratch *x, const struct warp *w); /* fences, atomics */
int race_access(struct exec_scratch *x, struct warp *w, const struct insn *in,
                const struct access *a);
