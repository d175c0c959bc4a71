#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Judging one candidate: correctness on every case, then time on one, then correctness again. The
 * result is a verdict; only a broken conversation or a bug is an error.
 *
 * Inside, functions return 0 to go on, JUDGE_DECIDED once the verdict is settled (it says why), or
 * another negative code that judge_run turns into a verdict of its own.
 */
#include "base/arena.h"
#include "evaluator/worker/channel.h"
#include "evaluator/worker/gate.h"
#include "evaluator/worker/job.h"
#include "evaluator/worker/nvml.h"
#include "evaluator/worker/program.h"
#include "evaluator/worker/rig.h"
#include "evaluator/worker/slab.h"
#include "kernelbench/verdict.h"

enum { JUDGE_DECIDED = ERR_CANCELED };

/* Modelled times are the same on every run, so a baseline's is kept from job to job. */
struct known_times {
    size_t next;
    struct {
        struct id id;
        double us;
    } at[64];
};

/* What lives as long as the worker. */
struct judge_tools {
    struct gpu *gpu;
    struct slabs *slabs;
    struct gate *gate;
    struct known_times *times;
    const struct channel *channel;
    const struct nvml *nvml; /* never NULL; says itself what isn't available */
    struct degenerate_cache *degenerate;
};

struct judge {
    struct gpu *gpu; /* the tools */
    struct slabs *slabs;
    struct gate *gate;
    struct known_times *times;
    const struct channel *channel;
    const struct nvml *nvml;
    struct degenerate_cache *degenerate;
    const struct job *job;
    struct arena *arena;
    struct verdict verdict;
    struct err err;
    const char *phase;
    const struct rig *rig; /* of the case in hand, to name the buffer that a fault was at */
    uint64_t started;     /* ns */
    double check_seconds; /* spent on checks so far */
    double reference_seconds; /* of the reference's last run */
    int trials, dropped;  /* trials done; those dropped because the oracle had no finite answer */
    unsigned turn;        /* modes seen so far */
    const char *failed;   /* the oracle's trouble, which is no verdict on a candidate; NULL: none */
    int told;             /* comparisons that could tell the declared precision from the next lower */
};

/* The verdict as JSON; the caller owns it. */
json_t *judge_run(const struct judge_tools *tools, const struct job *job, struct arena *arena);
/* The task alone: which trivial candidates pass it. Accepted if none makes it degenerate. */
json_t *judge_task(const struct judge_tools *tools, const struct job *job, struct arena *arena);

/* How each of these begins and ends; `r` as functions inside return it. */
void judge_start(struct judge *judge, const struct judge_tools *tools, const struct job *job,
                 struct arena *arena);
json_t *judge_answer(struct judge *judge, int r);

/* Settles the verdict. */
int judge_decide(struct judge *judge, enum verdict_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells the agent where we are. */
void judge_phase(struct judge *judge, const char *phase, const struct job_case *one, int trial);
/* Turns a failed call about `who` ("the candidate", "the reference") into a verdict. */
int judge_failed(struct judge *judge, const char *who, int code);

/* The image of one side; nothing where the oracle says what is right and this is the reference. */
int judge_load(struct judge *judge, const struct job_case *one, const struct job_side *side,
               const char *who, struct program *ret);

/* Runs a program once on buffers that are filled and pointed; waits. */
int judge_execute(struct judge *judge, struct program *program, const CUdeviceptr *at,
                  const char *who);

/* check.c: one trial of the candidate on set 0: run, compare with the reference. `twice` runs it
 * under both poisons and compares the runs, too. `scale` holds each output's RMS under the task's
 * own inputs (0: not known yet, then it is set). */
struct check {
    struct rig *rig;
    struct program *candidate, *reference;
    double *scale;
    uint64_t weights; /* trial whose weights are in use; CHECK_SAME: those of each trial */
    uint64_t not_finite; /* expected elements under the task's own inputs */
};
#define CHECK_SAME UINT64_MAX
int check_trial(struct judge *judge, struct check *check, uint64_t trial, enum gate_mode mode,
                bool twice);
/* The outputs of a set against the reference's, made now from the same key. */
int check_outputs(struct judge *judge, struct check *check, struct rig_buffers *set, uint64_t trial,
                  enum gate_mode mode, const char *when);
/* A whole case: trials until there are enough. */
int check_case(struct judge *judge, const struct job_case *one);
/* Makes the expected outputs: inputs anew from the key (check_fill, that alone), in memory that the
 * candidate never had. Revealed. */
int check_fill(struct judge *judge, struct check *check, uint64_t trial, enum gate_mode mode);
int check_reference(struct judge *judge, struct check *check, uint64_t trial, enum gate_mode mode);
/* The reference, or the oracle, on the inputs that are there. */
int check_expect(struct judge *judge, struct check *check);

/* timing.c: time of one case. */
int timing_case(struct judge *judge, const struct job_case *one);
