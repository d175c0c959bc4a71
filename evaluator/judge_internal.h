#pragma once
/* SPDX-License-Identifier: MIT */
/* Shared by judge.c (a judgement's life) and judge_job.c (what it asks of the device worker). */
#include "base/buf.h"
#include "evaluator/evaluator_internal.h"

/* Of a side that launches nothing: there's no image. */
#define JUDGE_NO_UNIT SIZE_MAX

enum { SIDES = 3, JUDGE_UNITS_MAX = SIDES * TASK_SHAPES_MAX, JUDGE_TRIES = 2,
       JUDGE_ORACLE_SHARE = 4, /* of the deadline: all that the oracle may take */
       JUDGE_TRIALS = 9 /* a shape at most: as many as there are distributions */ };

enum side { SIDE_REFERENCE, SIDE_CANDIDATE, SIDE_BASELINE };

/* One thing to compile; several shapes may share it. */
struct unit {
    struct judgement *judgement;
    enum side side;
    const char *source;
    const char *const *options;
    size_t n_options;
    struct compile_ticket *ticket;
    bool ready;
    size_t offset, len; /* in the job's blob */
};

struct shape_case {
    const struct shape *shape;
    bool check, time;
    struct bound *bound[SIDES];
    size_t unit[SIDES];
};

struct judgement {
    struct judgement *next, **at; /* in the evaluator's list */
    struct evaluator *ev;
    struct judge_request request;
    judge_cb done;
    void *ud;
    struct arena *arena;
    uv_timer_t later; /* ends a judgement that is over before it began */
    struct verdict verdict;
    int code;
    char *error;
    size_t n_cases, n_units, pending;
    struct shape_case cases[TASK_SHAPES_MAX];
    struct unit units[JUDGE_UNITS_MAX];
    struct buf blob;
    struct pool_ticket *job;
    struct pytorch_question *question; /* of the worker's, under way */
    uint64_t asked_ms, oracle_ms;      /* when it was asked; what answers took so far */
    json_t *protocols;                 /* what the worker said by other rules; NULL: nothing */
    int tries;
    bool over;
    struct pool *profile_pool; /* one worker for one job; NULL: not profiled */
    struct compile_ticket *profile_gate;
    struct sanitize *sanitize; /* NULL: nothing of the kind is running */
};

const char *judge_side_name(enum side side);
/* Appends the JSON of a job of this kind, "judge", "profile" or "sanitize"; one too large shows in out->failed. */
void judge_write_job(const struct judgement *j, const char *kind, struct buf *out);
/* Borrowed. */
const json_t *judge_protocols(const struct judgement *j);
uint64_t judge_deadline(const struct judgement *j);
/* After acceptance: the next thing that was asked for, or the end. */
void judge_accepted(struct judgement *j);
/* Ends the judgement, whose verdict is complete, on the next turn of the loop. */
void judge_end(struct judgement *j);
