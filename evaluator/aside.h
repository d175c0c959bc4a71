#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Asking PyTorch for its own time while the GPU is nobody else's: the question waits in the device
 * worker's queue as a judgement does, the worker takes the GPU's turn and lets go of its memory, and
 * only then PyTorch is asked. A time taken beside a candidate's would say as little as the candidate's.
 */
#include <jansson.h>
#include "evaluator/evaluator.h"

/* Called when the turn has come: the question, which is taken over, or NULL where it needn't be asked any
 * more. */
typedef json_t *(*aside_question)(void *ud);

/* `answer` lives until this returns; NULL with code 0: nothing was asked. code < 0: see `error`. */
typedef void (*aside_cb)(void *ud, int code, const json_t *answer, const char *error);

/* Of an evaluator with an oracle. One callback, never from inside. */
void evaluator_aside(struct evaluator *evaluator, aside_question question, aside_cb done, void *ud);
