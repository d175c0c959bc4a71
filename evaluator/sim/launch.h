#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Runs the blocks of one launch over the host's threads and gathers what the time model needs.
 *
 * Blocks start in launch order, so a block may wait for an earlier one (decoupled look-back), but
 * not for a later one; a program that synchronises its grid runs with all its blocks in turns.
 * A few groups of neighbouring blocks are profiled: their counts and traces stand for the grid. In
 * a sampled launch only these run. Everything here is the same whatever the number of threads.
 */
#include <stdbool.h>
#include "evaluator/sim/exec.h"
#include "evaluator/sim/trace.h"

struct threads;

struct launch_request {
    struct exec_launch exec; /* all but profile, trace and checks' meaning is taken as it stands */
    unsigned max_blocks;     /* 0: run every block; else sample */
    bool in_turns;           /* all blocks at once, step by step */
};

struct launch_profile {
    uint64_t blocks, blocks_run;
    struct exec_counts counts; /* of the `weighed` profiled blocks that stand for the grid */
    uint64_t weighed;
    uint64_t chain_max;         /* the longest chain of any of them, cycles */
    struct trace_block *traces; /* of all profiled blocks, in launch order */
    bool *weighs;               /* which of them are in counts */
    size_t n_traces;
    uint64_t lane_insts; /* executed */
    double host_seconds;
};

struct launcher; /* scratch memory of all threads, kept between launches */

int launcher_new(struct threads *threads, struct launcher **ret_launcher);
void launcher_free(struct launcher *launcher); /* NULL is fine */

/* 0 and ret_profile (launch_profile_done it); ERR_DEVICE and ret_fault, that of the first block in
 * launch order; ERR_INVALID, -ENOMEM for a launch that can't be. */
int launch_run(struct launcher *launcher, const struct launch_request *request,
               struct launch_profile *ret_profile, struct exec_fault *ret_fault);
void launch_profile_done(struct launch_profile *profile);
