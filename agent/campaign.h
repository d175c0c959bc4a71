#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A campaign: one run over one or more tasks, on one loop. Each task's run is one struct and one
 * step() (run.c). Whatever was verified is durable before it is acted on, so a campaign can be
 * killed at any moment and resumed by its id.
 *
 * Stops: all steps done, nothing left to propose, a plateau, a share of the speed of light, a budget
 * (dollars, tokens, device seconds, wall clock: checked before anything is spent), campaign_stop, or,
 * with no_wait, as soon as only somebody outside can bring it on (a spool).
 */
#include "agent/llm.h"
#include "agent/provider.h"
#include "agent/session.h"
#include "kernelbench/verdict.h"

struct campaign;

enum {
    CAMPAIGN_TASKS_MAX = 4096,
    CAMPAIGN_STEPS = 12,
    CAMPAIGN_PLATEAU = 8,
    CAMPAIGN_SAMPLES_MAX = 32,
    CAMPAIGN_REPAIRS = 2,
    CAMPAIGN_TUNE = 40,
    CAMPAIGN_TUNE_MODELLED = 5,
};

struct campaign_options {
    const char *const *tasks;
    size_t n_tasks;
    const char *start, *baseline; /* NULL: the family's 01_*; the start */
    const char *llm, *tuner;      /* tuner NULL: by the space's size; "none": off */
    const char *ablate;           /* NULL: none */
    uint64_t seed;
    int64_t steps;       /* < 0: CAMPAIGN_STEPS */
    int64_t tune_budget; /* < 0: CAMPAIGN_TUNE, or CAMPAIGN_TUNE_MODELLED */
    int64_t plateau;     /* ends after so many steps without a new best; 0: CAMPAIGN_PLATEAU */
    int64_t samples;     /* proposals of one choice at once, from a model; < 1: 1 */
    int64_t repairs;     /* of a failed candidate; < 0: CAMPAIGN_REPAIRS */
    double deadline_s, wall_s, gpu_s, until_sol; /* 0: none */
    double usd;          /* hard, over all tasks; 0: none */
    int64_t tokens;
    bool profile;        /* counters and energy of what is accepted: for the next questions too */
    bool no_wait;        /* end when only replies from outside are awaited; not kept for a resume */
    const struct llm_options *model; /* for a model; NULL: defaults. `spec` is `llm`'s */
};

enum campaign_event_kind {
    CAMPAIGN_EVENT_ASKING,  /* a provider is asked; `text`: "asking" or "mending" */
    CAMPAIGN_EVENT_PICKED,  /* a candidate came */
    CAMPAIGN_EVENT_JUDGING, /* a candidate is being tuned or judged */
    CAMPAIGN_EVENT_SCORED,  /* an attempt is durable */
    CAMPAIGN_EVENT_ENDED,   /* a task's run is over; `text` says why */
};

struct campaign_event {
    enum campaign_event_kind kind;
    const char *task;
    int64_t seq, step, steps;
    const char *direction, *strategy, *title, *text;
    const struct verdict *verdict; /* SCORED; NULL: no candidate came, see status and text */
    const char *status;            /* SCORED */
    double best_us, best_speedup;
    bool is_best;
    size_t tuned;   /* configs measured for this candidate */
    size_t repairs; /* how often it was mended */
};

typedef void (*campaign_event_fn)(void *ud, const struct campaign_event *event);

/* A new campaign. `provider` NULL: found by options->llm (given for tests and benches). */
int campaign_new(struct session *session, const struct campaign_options *options,
                 const struct provider *provider, struct campaign **ret, struct err *err);
/*
 * An earlier one, at the point where it stopped. ERR_BUSY: another process runs it. What `changes`
 * sets counts instead of what was kept: llm, model, usd, tokens, wall_s, gpu_s, steps (>= 0), profile, no_wait;
 * NULL: none.
 */
int campaign_resume(struct session *session, const char *id, const struct campaign_options *changes,
                    const struct provider *provider, struct campaign **ret, struct err *err);
void campaign_on_event(struct campaign *campaign, campaign_event_fn fn, void *ud);

/* Runs the loop until every task is done. 0, or why it ended early (ERR_CANCELED after a stop). */
int campaign_run(struct campaign *campaign, struct err *err);
/* From a signal's callback: cancels what is pending; campaign_run returns soon. */
void campaign_stop(struct campaign *campaign);
void campaign_free(struct campaign *campaign);

const char *campaign_id(const struct campaign *campaign);
/* How many replies from outside are awaited, and where, if that is why it ended; else 0. */
size_t campaign_awaited(const struct campaign *campaign, const char **ret_where);
/* The provider's name, and the model's ("" if there's none). */
const char *campaign_llm(const struct campaign *campaign, const char **ret_model);
size_t campaign_runs(const struct campaign *campaign);
const struct task *campaign_task(const struct campaign *campaign, size_t index);

struct campaign_result {
    const char *task, *family, *status, *why; /* "done", "waiting" or "failed"; why it ended */
    int64_t attempts, accepted;
    const struct candidate *best; /* NULL: nothing was accepted */
    const struct verdict *verdict; /* of the best */
    const char *direction, *strategy;
    double speedup; /* against the baseline; 0 if unknown */
    double device_s;
};
void campaign_result(const struct campaign *campaign, size_t index, struct campaign_result *ret);
double campaign_seconds(const struct campaign *campaign);
