#pragma once
/* SPDX-License-Identifier: MIT */
/* Inside of timing: timing.c times on a GPU, timing_modelled.c on one whose clock is a model. */
#include "evaluator/worker/judge.h"
#include "evaluator/worker/roof.h"
#include "evaluator/worker/stats.h"

enum { TIMING_SAMPLES_MAX = 1000, TIMING_AUDITS_MAX = 6 };

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

int timing_modelled(struct timing *timing);
