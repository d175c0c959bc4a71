#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside of timing: timing.c conducts, timing_sample.c takes samples on a GPU, timing_modelled.c on
 * one whose clock is a model; series.h says what samples mean.
 */
#include "evaluator/worker/judge.h"
#include "evaluator/worker/roof.h"
#include "evaluator/worker/series.h"

enum {
    TIMING_AUDITS_MAX = 10, /* a batch */
    TIMING_TRIAL_FIRST = 1000,  /* trial numbers of timed inputs start here */
    TIMING_TRIAL_WEIGHTS = 900, /* the one set of weights that timing uses */
};
#define TIMING_HOLD_NS 2000000000ull /* a run that isn't queued by then doesn't count */

/* Candidate or baseline, ready to be queued on each set. */
struct side {
    const char *who;
    struct program program;
    const CUdeviceptr *at[RIG_SETS];
    CUgraphExec graph[RIG_SETS]; /* NULL: launches one by one */
    struct series series;
};

struct timing {
    struct judge *judge;
    const struct job_case *one;
    struct rig rig;
    struct side candidate, baseline;
    struct program reference;
    struct check check;
    double scale[TASK_TENSORS_MAX];
    struct slab *flush;
    CUevent start, stop;
    double alpha;
    bool has_baseline, baseline_done;
    size_t n_audits, audits[TIMING_AUDITS_MAX];
    unsigned throttle; /* reasons seen between batches, as nvml.h has them */
    bool shared;       /* somebody else was on the GPU */
    struct {
        size_t set;
        bool candidate_first;
    } draw[2 * RIG_SETS]; /* for the next pairs */
};

int timing_record(struct timing *timing, CUevent event);
int timing_elapsed(struct timing *timing, double *ret_us);
/* Pairs of candidate and baseline until the interval is tight or time is up. */
int timing_take_samples(struct timing *timing);

/* Is the candidate slower than a tuner has any use for, by all samples so far? */
bool timing_hopeless(const struct timing *timing);

int timing_modelled(struct timing *timing);
