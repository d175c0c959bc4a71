#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Candidates for the gate, as files: tests/cases/gate/NAME.cu. Leading comment lines say what must
 * come out ("// expect: incorrect"), words that the detail must hold ("// detail: past the end of
 * y"), and the plan where it isn't the usual one ("// plan: {...}"). All solve (or pretend to
 * solve) one task: y[r, c] = x[r, c] - mean of row r.
 */
#include <jansson.h>
#include <stdbool.h>
#include "kernelbench/candidate.h"
#include "tests/worker_peer.h"

struct gate_case {
    char *source, *expect, *detail, *plan;
};

void gate_case_load(const char *path, struct gate_case *ret);
void gate_case_done(struct gate_case *one);

/* The task all cases belong to. */
struct task *gate_task(void);

struct gate_bench {
    struct peer compile, device;
    struct task *task;
    struct device_facts facts;
    bool modelled;
    char arch[16];
};

/* Starts both workers and sets the gate up. `driver` is a library. */
void gate_bench_start(struct gate_bench *bench, const char *driver);
void gate_bench_stop(struct gate_bench *bench);
void gate_bench_restart_device(struct gate_bench *bench, const char *driver);

/* Judges a candidate (a source and a plan's text) as the agent would; the answer is the verdict.
 * `baseline` may be NULL; trials and samples as in the protocol. */
struct gate_request {
    const char *source, *plan, *baseline_source, *baseline_plan;
    int trials, samples_min, samples_max;
};
json_t *gate_judge(struct gate_bench *bench, const struct gate_request *request);
