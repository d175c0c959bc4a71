#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Other rules than our own, for comparison with what others publish. They say less than the strict
 * gate: what they call correct may be wrong elsewhere.
 *
 * kb: KernelBench's eval.py. Five draws of the problem's own inputs under one set of weights, the
 * output close to Model's own run (torch.allclose, 1e-4, PyTorch's defaults for TF32). Then three
 * warm-ups and 101 timed runs on one more draw, the first discarded, 256 MiB written before each. Outputs are
 * allocated beforehand; there, one of the hundred runs has the allocation of a second output in it.
 *
 * verified: KernelBench-Verified's src/eval.py with --use_hidden_tests. The same five draws at 1e-3, then
 * four more with floating inputs times 1, 3, 0.01 and -1 (one whose reference isn't finite is dropped; 1/100 has
 * a fifth);
 * three warm-ups and 100 timed runs with whatever the L2 holds. Unlike there, launches are queued
 * behind a wait, here and in the baseline, so that neither side pays for being called from Python.
 *
 * Buffers lie between zones as always, outputs are poisoned, but what a rule doesn't ask isn't
 * judged: inputs may be written, buffers that Model updates aren't compared.
 */
#include "evaluator/worker/judge.h"

/* A verdict whose "protocols" has an object for each rule that got to its end (and, of others, what was
 * found until then, without "status"); the caller owns it. The job's problem is open, plainly. */
json_t *protocol_run(const struct judge_tools *tools, const struct job *job, struct arena *arena);

/* The rest is protocol_time.c's and protocol.c's own. */
enum { PROTOCOL_TRIALS = 100 };

struct rule {
    const char *name;
    bool wanted, done;
    double tolerance;
    int trials, passed;
    int dropped;      /* trials whose reference isn't finite */
    double most;      /* largest difference */
    const char *detail;
    double timed_s; /* what its runs took, pauses included */
    size_t n;
    double us[PROTOCOL_TRIALS];
};

struct protocol {
    struct judge *judge;
    const struct job_case *one;
    struct rig rig;
    struct program program;
    CUgraphExec graph; /* NULL: launches one by one */
    double loaded_s, made_s, checked_s; /* memory and weights; inputs (PyTorch's part); all of checking */
    struct rule kb, verified;
};

/* Queues the candidate's launches. */
int protocol_launch(struct protocol *protocol);
/* The rule's runs, on the inputs that are there. */
int protocol_time(struct protocol *protocol, struct rule *rule);
/* mean_us, std_us, min_us, max_us and n, to the three digits that KernelBench keeps of milliseconds. */
void protocol_statistics(const double *us, size_t n, json_t *to);
