#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside of timing: timing.c conducts, timing_sample.c takes samples on a GPU, timing_modelled.c on
 * one whose clock is a model.
 */
#include "evaluator/worker/judge.h"
#include "evaluator/worker/roof.h"
#include "evaluator/worker/stats.h"

enum {
    TIMING_SAMPLES_MAX = 1000,
    TIMING_AUDITS_MAX = 6,
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
    size_t n, late;
    double us[TIMING_SAMPLES_MAX], mhz[TIMING_SAMPLES_MAX];
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
};

int timing_record(struct timing *timing, CUevent event);
int timing_elapsed(struct timing *timing, double *ret_us);
/* Picks the samples whose outputs will be checked. */
void timing_draw_audits(struct timing *timing);
/* Pairs of candidate and baseline until the interval is tight or time is up. */
int timing_take_samples(struct timing *timing);
void timing_summarise(const struct timing *timing, const struct side *side,
                      struct verdict_time *ret);
/* Baseline over candidate: the value is the ratio of the medians, the interval comes from the pairs
 * where both were sampled throughout, else from the two intervals. */
void timing_compare(const struct timing *timing, const struct verdict_time *time,
                    const struct verdict_time *base, struct interval *ret);

int timing_modelled(struct timing *timing);
