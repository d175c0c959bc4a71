#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A verdict: what the evaluator says of one candidate on one task and device. Times in
 * microseconds. `modelled` times come from the simulator and are always labelled so.
 * Strings belong to the arena the verdict was read into.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "kernelbench/counter.h"

#define VERDICT_STATUS_LIST(X)                                                                     \
    X(ACCEPTED, "accepted") X(COMPILE_ERROR, "compile_error") X(PLAN_ERROR, "plan_error")          \
    X(LAUNCH_ERROR, "launch_error") X(INCORRECT, "incorrect") X(TIMEOUT, "timeout")                \
    X(CRASH, "crash") X(SUSPECT, "suspect") X(UNSUPPORTED, "unsupported")                          \
    X(SLOW, "slow") /* for the tuner alone: cut short, its time is rough and nothing was checked */

enum verdict_status {
#define X(name, text) VERDICT_STATUS_##name,
    VERDICT_STATUS_LIST(X)
#undef X
};

#define BOTTLENECK_LIST(X)                                                                         \
    X(NONE, "none") X(COMPILE_ERROR, "compile_error") X(INCORRECT, "incorrect")                    \
    X(LAUNCH_BOUND, "launch_bound") X(LATENCY_BOUND, "latency_bound")                              \
    X(MEMORY_BOUND, "memory_bound") X(COMPUTE_BOUND, "compute_bound") X(NEAR_LIMIT, "near_limit")

enum bottleneck {
#define X(name, text) BOTTLENECK_##name,
    BOTTLENECK_LIST(X)
#undef X
};

struct verdict_time {
    double median_us, lo_us, hi_us; /* median and its 95 % interval */
    size_t n, dropped;              /* samples that count, and those that don't */
    /* Every sample in the order taken, n + dropped of them (a run that didn't start in time is 0);
     * the i-th of candidate and baseline are a pair. With the SM clock during each, 0: not known. */
    const double *samples_us, *clocks_mhz;
};

/* compute-sanitizer's findings in an untimed run of its own, or the simulator's own diagnoses. */
struct verdict_sanitizer {
    const char *tool; /* "memcheck, racecheck", "simulator", "not available"; "": not asked for */
    int errors;
    const char *text; /* the first findings, or why it isn't available */
};

struct verdict {
    enum verdict_status status;
    const char *phase;  /* where it ended: "compile", "bind", "check", "time", "done" */
    const char *detail; /* for people and models; never NULL */
    bool modelled;
    bool nondeterministic;
    struct verdict_time time, baseline; /* n == 0: not taken */
    double speedup, speedup_lo, speedup_hi; /* 0: no baseline */
    const char *relation;                   /* "faster", "same", "slower", "ambiguous", "" */
    const char *throttle; /* what held the clocks back meanwhile: "sw_power_cap, ...", "" */
    bool shared;          /* another process was on the GPU meanwhile */
    double prepare_us;
    double sol;            /* share of the physical bound, 0 if unknown */
    const char *sol_bound; /* "memory", "compute", "" */
    const char *sol_basis; /* what the bound is: "measured", "theoretical", "modelled", "" */
    enum bottleneck bottleneck;
    const char *bottleneck_why; /* the figures that decided, where counters did; else "" */
    struct counters counters;   /* of a profiled run; none known: not profiled */
    double joules;              /* of one run, back to back with others; 0: not measured */
    const char *profile;        /* what a profile couldn't say and why: "counters not available: ..." */
    int registers, spill_bytes, shared_bytes;
    double occupancy;
    double max_error;      /* largest absolute error seen in an accepted run */
    double precision_error, precision_limit; /* RMS over the outputs' spread, where nearest its limit */
    const char *remarks;    /* allowed, but worth knowing: "kernel k reads a clock; ...", "" */
    const char *libraries;  /* whose work is in it besides the candidate's: "cuBLASLt 13.0.1", "" */
    struct verdict_sanitizer sanitizer;
    const char *degenerate; /* trivial candidates that pass this task: "zeros, constant"; "" */
    const char *device, *arch, *driver, *compiler, *task, *candidate; /* hex ids */
    int gate_version;
    double compile_s, device_s;
};

const char *verdict_status_name(enum verdict_status status);
bool verdict_status_parse(const char *name, enum verdict_status *ret);
/* Would a second judgement say the same? A timeout, a crash, a failed launch or a suspicion may have
 * had another cause than the candidate. */
bool verdict_status_final(enum verdict_status status);
const char *bottleneck_name(enum bottleneck bottleneck);
bool bottleneck_parse(const char *name, enum bottleneck *ret);

/*
 * Members that were not taken are zero, "" or absent. What parses is checked member by member; keys
 * that aren't known are ignored, since a newer program may have written them. In text, bytes that
 * are not UTF-8 become "?".
 */
json_t *verdict_json(const struct verdict *verdict);
int verdict_parse(const json_t *json, struct arena *arena, struct verdict *ret, struct err *err);
/* What verdict_parse would make of verdict_json, without the way round: owned by `arena`. */
void verdict_copy(const struct verdict *verdict, struct arena *arena, struct verdict *ret);
