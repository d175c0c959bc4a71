#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * PyTorch, in a process of its own that runs kernelbench/oracle.py on the user's Python: it says what
 * problems in KernelBench's form compute, what is right, and how long it takes itself. It isn't
 * sealed, because the problem's files are the user's; nothing that a model wrote gets there, and
 * what device workers ask is passed on by kind alone, with the problem's path put in here.
 *
 * One question is answered at a time, the rest wait. A crash fails the question in hand and the next
 * one finds a new process.
 */
#include <jansson.h>
#include <uv.h>
#include "base/err.h"
#include "base/log.h"

struct pytorch;
struct pytorch_question;

struct pytorch_options {
    const char *python; /* NULL: $WARPSMITH_PYTHON, else python3 */
    const char *device; /* "cpu", "cuda:0" */
    int passed;         /* a socket that descriptors of shared memory go through; 0: none */
    const struct log *log;
};

/* Runs the loop until the process has said what it found. ERR_ENVIRONMENT: no Python, no PyTorch. */
int pytorch_open(uv_loop_t *loop, const struct pytorch_options *options, struct pytorch **ret,
                 struct err *err);
void pytorch_close(struct pytorch *pytorch); /* NULL is fine */

/* "python", "torch", "cuda", "device". Borrowed. */
const json_t *pytorch_hello(const struct pytorch *pytorch);

/* Its process id, 0 if it isn't running; for tests and kills. */
int pytorch_pid(const struct pytorch *pytorch);

/* code < 0: it crashed or took too long. Else the answer, whose "ok" may be false with an "error". */
typedef void (*pytorch_cb)(void *ud, int code, const json_t *answer, const char *error);

/* Takes over `question`, an object with "kind". Never calls back from inside. An answer that takes longer
 * than `most_ms` (0: ten minutes) from when it is its turn ends the process. */
struct pytorch_question *pytorch_ask(struct pytorch *pytorch, json_t *question, uint64_t most_ms,
                                     pytorch_cb done, void *ud);
/* Its answer is no longer wanted; there will be no callback. */
void pytorch_forget(struct pytorch_question *question);
