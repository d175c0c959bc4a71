#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Searches run again on a recorded space. A score is optimum / time of the config that the search
 * holds for the best, both by their mean times; 0 before any has run. With noise the search sees a
 * recorded single timing of each config instead, and is judged by the mean of what it took for the
 * best; so a curve may fall.
 *
 * The same options give the same run, whatever the number of threads.
 */
#include "agent/tune/recorded.h"
#include "agent/tune/tuner.h"

struct tune_replay_options {
    struct tuner_options tuner;
    size_t batch; /* configs asked for before the first of them is told; 0: 1 */
    bool noise;
    bool unlisted; /* the search doesn't see the list of configs, as if there were too many */
    /* Answers tuner_waits: offers, or 0 configs. NULL: nobody does. Negative ends the run. */
    int (*propose)(void *ud, struct tuner *tuner, int round, struct err *err);
    void *ud;
};

struct tune_replay_run {
    const char *algorithm; /* that ran */
    size_t n, n_failed;    /* evaluations */
    uint16_t *configs;     /* n of them, in their order */
    double *times;         /* as told; NAN: failed */
    double *curve;         /* the score after each */
    double score, time;    /* in the end; time: the mean of the best, NAN if none ran */
    int64_t best;          /* its row in the recorded space; -1: none ran */
    double search_s;       /* spent in the search itself */
};

/* ERR_NOTFOUND: a space of one config; else as tuner_new, or what `propose` returned. */
int tune_replay(const struct recorded *recorded, const struct tune_replay_options *options,
                struct tune_replay_run *ret, struct err *err);
void tune_replay_done(struct tune_replay_run *run);
/* Evaluations until the score was first reached; SIZE_MAX: never. */
size_t tune_replay_reach(const struct tune_replay_run *run, double score);

/* One run of many. */
struct tune_replay_job {
    const struct recorded *recorded;
    struct tune_replay_options options;
    struct tune_replay_run run; /* what came of it */
    int code;                   /* negative: it failed, and `err` says how */
    struct err err;
};

/* All of them, `threads` at once (0: one a core). Without `propose`: that isn't for threads. */
void tune_replay_many(struct tune_replay_job *jobs, size_t n, unsigned threads);
