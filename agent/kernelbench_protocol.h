#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The rules that `kernelbench run` judges by: --protocol strict,kb,verified (default: strict) and
 * --exact-inputs. Strict is the evaluator's own verdict; the others (evaluator/protocol.h) are told here,
 * with PyTorch's own time by the same rule beside the candidate's:
 *
 *   {"kb": {..., "baseline": "eager", "baseline_mean_us", "baseline_std_us", "baseline_min_us",
 *           "baseline_max_us", "baseline_n", "speedup", "excessive_speedup": true (over 10)},
 *    "verified": {..., "baseline": "eager_tf32", ..., "baseline_bytes"}}
 *
 * What Verified leaves out has {"status": "unsupported", "left_out": true, "detail"}; "status" may be "error"
 * besides, where the machine or PyTorch failed. What was found is in the store, by candidate, task, device,
 * versions, rule and inputs; so is PyTorch's time, by problem.
 */
#include <jansson.h>
#include "agent/session.h"
#include "kernelbench/problem.h"

struct kernelbench_rules {
    bool strict, kb, verified;
    bool exact; /* of kb and verified: inputs from KernelBench's own seeds */
};

/* ERR_INVALID: a name that is none of them. */
int kernelbench_rules_parse(const struct options *options, struct kernelbench_rules *ret, struct err *err);

/* Verified leaves out three problems of level 2 whose output is zero whatever comes in. */
bool kernelbench_verified_has(const struct problem *problem);

struct kernelbench_protocol_request { /* what is pointed at lives until the callback */
    struct session *session;     /* its loop and store, which may be missing */
    struct evaluator *evaluator; /* with an oracle */
    struct kernelbench_rules rules;
    const struct problem *problem;
    const struct task *task;
    const struct candidate *candidate;
    uint64_t deadline_ms; /* 0: as evaluator/protocol.h has it */
    bool fresh;           /* a candidate that the store knows is judged again */
};

/* `results` is borrowed: an object with a member for each rule but strict. */
typedef void (*kernelbench_protocol_cb)(void *ud, const json_t *results);

/* Calls back once, never from inside. */
void kernelbench_protocol(const struct kernelbench_protocol_request *request, kernelbench_protocol_cb done,
                          void *ud);
