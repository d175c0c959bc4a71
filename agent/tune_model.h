#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A language model as a tuner's proposer (`llm` and `hybrid` of agent/tune/tuner.h): when the tuner waits
 * for round k, tune_model_ask builds the question from what was measured, asks by a call that can't get
 * lost (model_call.h), reads the configs, asks once more where none could be used, and calls back. Whoever
 * drives the tuner then offers them: none means that the model was of no use, and the search goes on
 * without it; tune_model_note says why, for the result.
 *
 * Calls stand under the desk's campaign, `task_name` and `seq`, from number `first_call` on, two a round
 * (the second is a correction), so a tuning that is done again after a kill finds its answers.
 */
#include "agent/model_call.h"
#include "agent/tune/tuner.h"
#include "evaluator/evaluator.h"

struct tune_model;

enum { TUNE_MODEL_FIRST_CALL = 50 }; /* far behind those of a sample's talk */

/* All of it must live as long as the tune_model. */
struct tune_model_options {
    struct model_desk *desk;
    const char *task_name;
    int64_t seq, first_call;
    const struct tune_space *space;
    const struct task *task; /* these three, or `about` in place of them: a recorded space */
    const struct candidate *candidate;
    const struct device_info *device;
    const char *about; /* "convolution on NVIDIA A100" */
    const char *unit;  /* of the tuner's times */
    const char *(*why)(const void *ud, const uint16_t *config); /* as in tune_prompt.h; may be NULL */
    const void *why_ud;
    bool modelled;
    size_t budget;     /* the tuner's */
};

struct tune_proposals {
    int code;        /* 0, or the store or the record failed: nothing can go on */
    const char *why; /* n = 0: why there are none; else "" */
    const uint16_t *configs; /* row by row, lives until the callback returns */
    size_t n;
};

typedef void (*tune_model_cb)(void *ud, const struct tune_proposals *proposals);

struct tune_model *tune_model_new(const struct tune_model_options *options);
/* The callback comes on a later turn of the loop. One round at a time. */
void tune_model_ask(struct tune_model *model, const struct tuner *tuner, int round,
                    tune_model_cb done, void *ud);
/* What is under way is dropped, without a callback. NULL is fine. */
void tune_model_free(struct tune_model *model);
/* "" or "asked for configs, round 0: ...; the search went on without the model". */
const char *tune_model_note(const struct tune_model *model);

/*
 * For a search that needs no loop: runs it until the tuner's round is answered, and offers what came.
 * With `no_wait`, ERR_BUSY as soon as only somebody outside can bring it on. Else 0, or the code above.
 */
int tune_model_round(struct tune_model *model, struct tuner *tuner, uv_loop_t *loop, bool no_wait,
                     struct err *err);
