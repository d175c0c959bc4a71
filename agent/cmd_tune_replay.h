#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside `tune --replay`: the run of the command (cmd_tune_replay.c), the model that its searches ask
 * (cmd_tune_ask.c) and its page (cmd_tune_page.c).
 */
#include "agent/session.h"
#include "agent/tune/tune_replay.h"

struct tune_desk;
struct replayed_ask;

/* What a run of the command holds. */
struct replayed {
    const struct options *options;
    struct recorded *recorded;
    size_t evals, n; /* n: seeds */
    struct tune_replay_job *jobs;
    uint16_t *pins;
    size_t n_pins;
    struct prior *prior; /* of --earlier; NULL: none */
    struct prior_guide **guides; /* a seed */
    struct replayed_ask *ask; /* NULL: no model is asked */
};

/* Is there a model to ask? With `llm` and `hybrid` only. */
bool replayed_asks(const struct replayed *replayed);
/* Session, store and model; each job's `propose` is set. */
int replayed_ask_open(struct replayed *replayed, struct err *err);
/* One search after another. ERR_BUSY: replies from outside are awaited, and nothing else is left to do. */
int replayed_ask_run(struct replayed *replayed, struct err *err);
/* Why models were of no use, a text a seed ("" where they were). NULL is fine. */
const char *replayed_ask_note(const struct replayed_ask *ask, size_t seed);
void replayed_ask_close(struct replayed_ask *ask); /* NULL is fine */

/* DIR/report.html of --out DIR, from a run that is over. */
int replayed_page(const struct replayed *replayed, const char *folder, struct err *err);
