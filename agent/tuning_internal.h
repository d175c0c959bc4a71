#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside of live tuning: tuning.c is the search (ask, measure, tell), tuning_measure.c one config's
 * way through the evaluator, tuning_again.c what is timed again (comparisons in pairs, and the last
 * check), tuning_store.c what is kept and known.
 */
#include <uv.h>
#include "agent/tune/prior.h"
#include "agent/tune/tune_space.h"
#include "agent/tune/tuner.h"
#include "agent/tune_model.h"
#include "agent/tuning.h"

enum {
    TUNING_FINALISTS = 8,
    TUNING_CONTEST_MAX = 24,  /* with what was pinned */
    TUNING_PINNED_MAX = 15,
    TUNING_RETIME_EVERY = 64, /* results */
    TUNING_RETIME_MOST = 6,
    TUNING_POPULATION = 30, /* configs that say what compiling and timing take here */
};
static const double tuning_near = 0.03; /* within so much of the best, a quick look may be wrong */

/* One config, in the order it was asked for. */
struct trial {
    struct tuning *tuning;
    size_t number;
    const uint16_t *config;
    struct tuning_sample sample;
    struct candidate *candidate;
    struct judgement *judgement; /* NULL: not under way */
    size_t n_seen;               /* times, where a jump is judged again */
    double seen[3];
    bool ready, told, pinned;
};

/* Some configs, one after the other, in pairs with the champion. */
struct contest {
    bool on, final, again; /* again: this comparison was a jump, so it is made once more */
    size_t n, at, n_base;
    struct trial *list[TUNING_CONTEST_MAX];
    double log_ratio[TUNING_CONTEST_MAX]; /* of the first champion's time over this one's; NAN: none */
    struct trial *first, *champion;
    double lead;     /* the champion's own log-ratio */
    double base_sum; /* the first champion's times */
    struct judgement *judgement;
};

struct tuning {
    struct session *session;
    struct tuning_options options;
    tuning_cb done;
    void *ud;
    struct arena *arena;
    struct tune_space *space;
    struct tuner *tuner;
    char *prefix; /* of this space's keys in the store, on this device */
    struct trial **trials;
    size_t n_trials, n_told, room, window;
    size_t n_pinned;
    uint16_t *pinned; /* rows */
    struct prior *prior; /* NULL: nothing to learn from, or no need */
    struct prior_guide *guide;
    size_t earlier; /* tunings that the guide draws on */
    double compile_costs[TUNING_POPULATION], device_costs[TUNING_POPULATION]; /* seconds */
    size_t n_compile_costs, n_device_costs;
    size_t retimed_at; /* results told when near ones were timed again */
    struct contest contest;
    size_t n_finals;
    struct tuning_final finals[TUNING_CONTEST_MAX];
    struct trial *fastest; /* among the accepted that were told; NULL: none */
    struct trial *best;    /* after the finals */
    struct judgement *verification;
    size_t verified; /* tries */
    bool passed;     /* the best did */
    struct tune_model *model; /* NULL: nobody to ask */
    bool searched, asked_model, ended;
    bool spent; /* the caller's budget is */
    size_t confirmed, retimed;
    uv_timer_t later;
    uint64_t started;
    double device_s, compile_s;
    int code;
    char *error;
    char *note;
    size_t failed;
    json_t *record;       /* a replay's, NULL else */
    const char *recorded; /* its algorithm */
};

/* Turns the state on the loop's next turn. */
void tuning_wake(struct tuning *tuning);
void tuning_fail(struct tuning *tuning, int code, const char *error);
/* What a verdict cost. */
void tuning_spend(struct tuning *tuning, const struct verdict *verdict);
/* The candidate with a config's values. */
int tuning_candidate(const struct tuning *tuning, const char *config, struct candidate **ret,
                     struct err *err);

/* tuning_trials.c. */
/* A trial at the end of the list. */
struct trial *tuning_add(struct tuning *tuning, const char *config);
/* Adds to the note, once. */
void tuning_say(struct tuning *tuning, const char *text);
/* Was it accepted, and told? */
bool tuning_ran(const struct trial *trial);
/* Sets `fastest` anew: times have changed. */
void tuning_rank(struct tuning *tuning);

/* tuning_measure.c: the trial is `ready` when its sample is complete. */
int tuning_measure(struct tuning *tuning, struct trial *trial);
/*
 * `times` what nine in ten of the first TUNING_POPULATION configs took (seconds), no less than the
 * floor and no more than `most_ms`; that, until they are there.
 */
uint64_t tuning_deadline(const double *costs, size_t n, double times, uint64_t floor_ms,
                         uint64_t most_ms);

/* tuning_again.c. Starts timing near ones again if it is time; false: nothing to do. */
bool tuning_retime(struct tuning *tuning);
/* The finalists in pairs; false: there is nothing to decide. */
bool tuning_finals(struct tuning *tuning);
/* Checks `best`, and goes on to the next best while it fails; false: not asked for. */
bool tuning_verify(struct tuning *tuning);
void tuning_again_cancel(struct tuning *tuning);

/* tuning_record.c: the trials and the best as `record` has them. */
int tuning_recall(struct tuning *tuning, const json_t *record, struct err *err);

/* tuning_store.c. */
int tuning_store_open(struct tuning *tuning, struct err *err);
/* What a space is about, beside its samples: for whoever learns from earlier tunings. The caller owns it. */
json_t *tuning_head(const struct tuning *tuning);
/* A record of the store: its document (the caller's) and time, NAN: it failed. ERR_NOTFOUND: it isn't
   a sample, or may be another the next time. */
int tuning_sample_read(const void *at, size_t len, json_t **ret_json, double *ret_us);
void tuning_keep(struct tuning *tuning, const struct trial *trial);
bool tuning_known(struct tuning *tuning, struct trial *trial);
/* The best of this space in the store, if there is one. */
bool tuning_store_best(struct tuning *tuning, uint16_t *ret_config);

/* tuning_prior.c: sets `guide` by what the store has of other tunings. */
void tuning_prior(struct tuning *tuning);
