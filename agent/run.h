#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One task's run inside a campaign: run.c (its steps), sample.c (one proposal from question to
 * verdict), run_attempts.c (what was tried), run_ask.c and run_tuned.c (what a provider is told), run_teach.c (what an
 * attempt teaches) and run_store.c (what is durable, and the way back).
 *
 * Every result from outside (a reply, a verdict, a tuner's sample) is durable under a key that
 * follows from campaign, task and attempt before it is acted on. So a step that was cut off is
 * simply done again: what was answered or judged before is found, and only the rest is asked for.
 */
#include "agent/campaign.h"
#include "agent/tuning.h"
#include "agent/turns.h"
#include "base/rng.h"
#include "graph/htg_learn.h"
#include "memory/record.h"

enum { RUN_ELITE = 4 };

/* One finished attempt, as the run needs it for later steps. */
struct attempt {
    int64_t seq, step, parent; /* parent: its seq; -1: none */
    struct id id;                /* zeros if no candidate came of it */
    struct candidate *candidate; /* as judged (tuned); NULL: it can't be a parent or baseline again */
    bool judged;
    struct verdict verdict;      /* its strings: the run's arena */
    const char *status;          /* a verdict's, or why there is none */
    const char *why;             /* without a verdict: what happened */
    const char *direction, *strategy, *variant, *title;
    const char *values; /* of its tunables, which outlive the candidate; NULL: it had none */
    const char *tuning; /* as run_tuning_words has it, or NULL */
    enum select_outcome outcome;
    double gain, device_s;
    size_t tuned;
};

enum run_phase {
    RUN_PHASE_NEXT,    /* stop, or begin a step */
    RUN_PHASE_KEEP,    /* waiting for the choice to be durable */
    RUN_PHASE_SAMPLES, /* samples are under way */
    RUN_PHASE_SCORE,   /* waiting for attempts and verdicts to be durable */
    RUN_PHASE_DONE,
};

struct run;

/* One proposal of a step on its way: asked for, judged, mended, tuned. */
struct sample {
    struct run *run;
    struct ask ask;
    struct talk *talk;
    struct candidate *candidate;     /* as proposed, then as tuned; NULL: none came */
    const char *base;                /* id of the candidate as proposed */
    const char *strategy, *variant, *title, *summary;
    const char *direction; /* that its author names in place of the step's; or "" */
    bool invented;
    const struct reply_input *reply; /* what it was proposed with; NULL: by no model */
    const char *status, *why;        /* without a candidate */
    struct verdict verdict;
    const char *verdict_key;
    bool judged, tuning_done, settled, over_budget;
    struct candidate *untuned;       /* while its tuned form is judged: what stands if that fails */
    struct verdict untuned_verdict;
    const char *untuned_key;
    size_t tuned, repairs;
    const char *tuning_text;         /* JSON of the tuning's summary, or NULL */
    double device_s;
    double gain;
    enum select_outcome outcome;
    json_t *judgements; /* [[candidate, verdict's key]...], all there were */
    bool asking;
    struct judgement *judgement;
    struct tuning *tuning;
};

/* The step in hand. */
struct step {
    int64_t seq, number, parent; /* seq of its first sample; number 0 is the start */
    int64_t order, learn_order; /* of its choice and its lessons, among all of the campaign */
    struct arena *arena;
    struct choice *choice;       /* NULL for the start */
    const char *direction;
    size_t n_samples, n_settled;
    struct sample *samples;
};

struct run {
    struct campaign *campaign;
    struct session *session;    /* the campaign's, or that of another of its devices */
    struct arena *arena;
    struct task *task;
    const struct catalog_family *family; /* the campaign's */
    struct candidate *start;    /* as given; NULL: there is none, a model writes the first kernel */
    struct candidate *baseline; /* as given, or NULL: the tuned start */
    struct attempt *attempts;
    size_t n_attempts, room;
    int64_t n_steps;            /* finished; the start counts */
    enum run_phase phase;
    struct step step;
    bool ready, stepping, committing, failed;
    struct turn turn; /* while it waits to go on */
    bool parked, released; /* in a replay: waits for its turn; has it */
    const char *why;
    double device_s;
    int64_t since_best;
};

/* run.c */
int run_init(struct run *run, struct campaign *campaign, const char *task, struct err *err);
void run_done(struct run *run);
void run_step(struct run *run);
/* The same, when its turn comes. */
void run_soon(struct run *run);
/* Cancels what is under way. */
void run_stop(struct run *run);
/* Ends it: the reason stands in its result. */
void run_end(struct run *run, bool failed, const char *why);
/* Something other than a candidate failed. Where PyTorch says what is right it may be this problem's fault
 * alone: this run ends, and a resume takes it up again. Else the campaign ends. */
void run_trouble(struct run *run, int code, const char *text);
void run_emit(struct run *run, const struct sample *sample, enum campaign_event_kind kind,
              const char *text);
/* A sample has its verdict, or none will come. */
void run_sample_settled(struct run *run);
/* Room for the step's samples, their asks filled. */
void run_make_samples(struct run *run, size_t n);

/* sample.c */
void sample_begin(struct sample *sample);
void sample_stop(struct sample *sample);
void sample_done(struct sample *sample);

/* run_ask.c */
int run_context(const struct run *run, const struct attempt *parent, struct context *ret,
                struct err *err);
/* The ask of the step in hand; the choice comes later. */
void run_ask(struct run *run, const struct attempt *parent, struct ask *ret);
/* PICK and RECALL: the choice, or ERR_NOTFOUND when nothing is left to do. */
int run_choose(struct run *run, const struct attempt *parent, struct ask *ask, struct err *err);

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
/* The first step that the attempts don't hold, and its first seq. */
int64_t run_next_seq(const struct run *run);

/* run_teach.c */
/*
 * What a sample taught: the graph moves at once, the increments and whatever else was learned (worked
 * examples, invented strategies) go into the batch with its attempt.
 */
int run_teach(struct run *run, struct sample *sample, struct store_batch *batch,
              struct htg_increments *ret, struct err *err);

/* run_tuned.c */
/* A tuning's summary (an attempt's extra.tuning; NULL is fine) in one line; NULL: nothing was tuned. */
const char *run_tuning_words(const json_t *tuning, bool modelled, struct arena *arena);

/* run_store.c */
/* In a replay: held against the record first. */
void run_keep_choice(struct run *run, store_done_fn done);
/* Candidate and verdict of a sample that has more to go through; nobody waits for it. */
void run_keep_verdict(struct sample *sample);
int run_keep_score(struct run *run, store_done_fn done, struct err *err);
/* A verdict that the store has for this candidate; false: none that may be used. */
bool run_known_verdict(struct sample *sample);
/* Attempts that are durable, and the step that was begun after them, if there is one. */
int run_load(struct run *run, bool *ret_pending, struct err *err);
