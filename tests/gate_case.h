#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Candidates for the gate, as files: tests/cases/gate/NAME.cu. Leading comment lines say what must
 * come out ("// expect: incorrect"), words that the detail must hold ("// detail: past the end of
 * y"; "// on the simulator: ..."; "// needs: a clock" where only real timing brings it out), and the plan where it isn't the usual one ("// plan: {...}"). All solve (or pretend to
 * solve) one task: y[r, c] = x[r, c] - mean of row r.
 */
#include <jansson.h>
#include <stdbool.h>
#include "kernelbench/candidate.h"
#include "tests/worker_peer.h"

struct gate_case {
    char *source, *expect, *detail, *plan;
    char *needs;     /* "a clock", "the simulator"; NULL: anything will do */
    char *simulated; /* words that the detail must hold on the simulator */
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
    const char *driver;
    const char *memory; /* "mapped" (NULL) or "plain" */
};

/* Starts both workers and sets the gate up. `driver` is a library and must live on. */
void gate_bench_start(struct gate_bench *bench, const char *driver);
void gate_bench_stop(struct gate_bench *bench);
void gate_bench_start_device(struct gate_bench *bench);
void gate_bench_restart_device(struct gate_bench *bench);

/* A candidate of the file's source; the usual plan where `plan` is NULL. */
struct candidate *gate_candidate(const char *plan, const char *source);

/* Judges as the agent would; the answer is the verdict, NULL if the worker died. Numbers that are 0
 * become the protocol's defaults. */
struct gate_request {
    const struct task *task; /* NULL: the bench's own */
    const struct candidate *candidate, *baseline;
    int trials, samples_min, samples_max;
    int first; /* the salt's first byte, which says what kind of inputs comes first */
};
json_t *gate_judge(struct gate_bench *bench, const struct gate_request *request);
