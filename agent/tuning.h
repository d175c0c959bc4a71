#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Live tuning of one candidate: a tuner's configs are compiled ahead in parallel and judged quickly,
 * one at a time, on the device. A config far slower than the best is cut short; one that looks far
 * faster is judged again before it counts; those near the best are timed again beside it now and
 * then, and in pairs at the end, together with what was known to be good from the start.
 *
 * Every sample is kept in the store (TUNINGS) as it comes, and one that is there already for this
 * space and device, from whatever campaign, isn't measured again, unless it may have failed by chance. Results are
 * told to the tuner in the order in which it asked, so that the same times make the same search.
 */
#include <jansson.h>
#include "agent/session.h"

struct tuning;
struct model_desk;
struct tune_space;

struct tuning_progress {
    size_t asked, done, failed, budget;
    double best_us;   /* NAN: none yet */
    const char *what; /* "measuring", "comparing finalists", ... */
};

struct tuning_options {
    const struct task *task;           /* these two must live until the callback */
    const struct candidate *candidate;
    const char *algorithm, *flags;     /* as in tuner_new */
    size_t budget;
    uint64_t seed, deadline_ms;
    size_t n_pinned;
    const char *const *pinned; /* JSON objects of tunables; what one leaves out is the plan's own */
    size_t samples;  /* timed runs a config, at least; 0: 5 */
    double hopeless; /* a config so many times slower than the best is cut short; 0: 1.5; < 0: none */
    bool verify;     /* the best must pass every check, or the next best is */
    /* For `llm` and `hybrid`: who is asked, and under which attempt's number; NULL: nobody. */
    struct model_desk *desk;
    int64_t seq;
    const json_t *record; /* a replay: what tuning_json said; nothing is measured. NULL: none */
    void (*progress)(void *ud, const struct tuning_progress *progress); /* may be NULL */
    /* Device seconds as they are spent; false: the budget is used up, and the search ends at once with
     * what it has. May be NULL. */
    bool (*spend)(void *ud, double device_s);
};

struct tuning_sample {
    const char *config;  /* JSON object of the tunables, sorted keys */
    const uint16_t *ranks; /* the same in the space; NULL in a replay */
    const char *status;  /* a verdict's status */
    const char *detail;  /* what was wrong, ""; of what was measured now */
    double time_us;      /* NAN: it failed; rough where the status is "slow" */
    size_t n_times;
    const double *times_us; /* the runs one by one, 0: one that didn't start in time */
    double compile_s, device_s;
    bool known; /* from the store */
};

/* One comparison at the end: this sample against the best until then. */
struct tuning_final {
    size_t sample;
    double speedup;       /* over the best until then */
    const char *relation; /* as a verdict has it */
};

struct tuning_result {
    int code; /* 0, or the machine failed */
    const char *error;
    const char *algorithm;
    const struct tune_space *space; /* NULL in a replay */
    size_t n;
    const struct tuning_sample *samples; /* in the order they were asked for */
    int64_t best_sample;    /* -1: no config ran */
    struct candidate *best; /* tuned, the callback's to free; NULL: no config ran */
    size_t n_finals;
    const struct tuning_final *finals;
    const char *note;       /* what didn't go as asked, "" */
    double device_s;        /* spent now, not what was known */
    double compile_s;       /* the same, summed over compile workers */
    double wall_s;
    size_t confirmed, retimed; /* jumps judged again; configs timed again beside the best */
    size_t earlier; /* other tunings of the family that said what to try first */
};

/* All but `best` lives until the callback returns. */
typedef void (*tuning_cb)(void *ud, const struct tuning_result *result);

/* ERR_INVALID, ERR_NOTFOUND, ERR_TOOBIG: a space that can't be searched, or no such algorithm. */
int tuning_start(struct session *session, const struct tuning_options *options, tuning_cb done,
                 void *ud, struct tuning **ret, struct err *err);
/* The callback doesn't come any more. */
void tuning_cancel(struct tuning *tuning);
/* Is nothing under way but the model's answer? */
bool tuning_asks(const struct tuning *tuning);

/* What is kept of a tuning with an attempt, and what a replay goes by: algorithm, samples, and `best`
 * where it isn't the fastest. The caller owns it. */
json_t *tuning_json(const struct tuning_result *result);
