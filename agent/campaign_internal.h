#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Shared by campaign.c (lifecycle, budgets), run.c (one task's steps), run_attempts.c (what was tried)
 * and run_store.c (what is durable, and how a run is brought back from it).
 */
#include "agent/campaign.h"
#include "agent/tuning.h"
#include "base/rng.h"
#include "graph/htg_learn.h"
#include "memory/campaign_lock.h"
#include "memory/record.h"

enum { RUN_ELITE = 4 };

/* One finished attempt, as the run needs it for later steps. */
struct attempt {
    int64_t seq, parent; /* seq of the parent; -1: none */
    struct id id;
    struct candidate *candidate; /* as judged (tuned); NULL: it can't be a parent or baseline again */
    struct verdict verdict;      /* its strings: the run's arena */
    const char *direction, *strategy, *variant, *title;
    enum select_outcome outcome;
    double gain;
    size_t tuned;
};

enum run_phase {
    RUN_PHASE_NEXT,  /* stop, or begin a step */
    RUN_PHASE_ASK,   /* waiting for the provider */
    RUN_PHASE_KEEP,  /* waiting for choice and candidate to be durable */
    RUN_PHASE_TUNE,
    RUN_PHASE_JUDGE,
    RUN_PHASE_SCORE, /* waiting for attempt and verdict to be durable */
    RUN_PHASE_DONE,
};

/* The step in hand. */
struct step {
    int64_t seq, parent;
    struct arena *arena;
    struct choice *choice;       /* NULL for the start */
    const char *choice_json;     /* as kept */
    struct candidate *candidate; /* as proposed, then as tuned */
    const char *direction, *strategy, *variant, *title;
    const char *base;   /* id of the candidate as proposed */
    size_t tuned;
    const char *tuning; /* JSON of the tuning's summary, or NULL */
    struct verdict verdict;
    const char *verdict_key;
    double gain;
    enum select_outcome outcome;
};

struct run {
    struct campaign *campaign;
    struct arena *arena;
    struct task *task;
    struct catalog_family family;
    struct candidate *start;    /* as given */
    struct candidate *baseline; /* as given, or NULL: the tuned start */
    struct attempt *attempts;
    size_t n_attempts, room;
    enum run_phase phase;
    struct step step;
    struct judgement *judgement;
    struct tuning *tuning;
    bool ready, stepping, committing, failed;
    const char *why;
    double device_s;
    int64_t since_best;
};

struct campaign {
    struct session *session;
    struct arena *arena;
    char *id;
    struct campaign_options options;
    const struct provider *provider;
    enum select_ablation ablation;
    struct campaign_lock *lock;
    struct run *runs;
    size_t n_runs, n_done;
    campaign_event_fn on_event;
    void *event_ud;
    uint64_t began_ns;
    int64_t started_s;
    double earlier_s; /* of earlier processes, when resumed */
    bool stopping;
    int code;
    struct err err;
};

/* run.c */
int run_init(struct run *run, struct campaign *campaign, const char *task, struct err *err);
void run_done(struct run *run);
void run_step(struct run *run);
void run_stop(struct run *run);

/* run_attempts.c */
const struct attempt *run_best(const struct run *run);
const struct candidate *run_baseline(const struct run *run);
double run_speedup(const struct run *run, const struct attempt *attempt);
const struct attempt *run_find_attempt(const struct run *run, int64_t seq);
/* Takes over its candidate. */
void run_add_attempt(struct run *run, const struct attempt *attempt);
/* Mostly the best, sometimes another of the elite, drawn by (seed, task, step). NULL: none ran. */
const struct attempt *run_pick_parent(const struct run *run, struct rng *rng);
/* Is `seq` the attempt itself or one of its ancestors? */
bool run_in_lineage(const struct run *run, int64_t seq, const struct attempt *of);

/* run_store.c */
void run_keep_step(struct run *run, store_done_fn done);
int run_keep_score(struct run *run, store_done_fn done, struct err *err);
/* A verdict that the store has for this candidate; false: none that may be used. */
bool run_known_verdict(struct run *run);
/* Attempts that are durable, and the step that was begun after them, if there is one. */
int run_load(struct run *run, bool *ret_pending, struct err *err);

/* campaign.c */
void campaign_run_ended(struct campaign *campaign);
void campaign_fail(struct campaign *campaign, int code, const char *text);
bool campaign_over_budget(const struct campaign *campaign, const char **ret_why);
int campaign_save(struct campaign *campaign, const char *status, struct err *err);
