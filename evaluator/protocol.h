#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A candidate under rules that others publish, beside the strict verdict and never instead of it:
 * KernelBench's own (kb) and KernelBench-Verified's; worker/protocol.h has what each asks. For tasks
 * alone in which PyTorch says what is right. A candidate that the strict gate refuses to run (its PTX)
 * isn't run here either.
 *
 * What comes back is an object with one for each rule:
 *
 *   {"kb": {"status", "detail", "trials": "5/5", "max_difference", "inputs": "own generator" or "exact",
 *           "mean_us", "std_us", "min_us", "max_us", "n",
 *           "wall_s", "spent_s": {"open", "load", "make", "check", "time"}}, "verified": {..., "dropped", "bytes"}}
 *
 * wall_s is what knowing took for all rules together, from the compiler's start to the worker's answer, but for
 * waiting until either was free. status is "correct", "incorrect", or a verdict's where it ended before: "compile_error", "launch_error",
 * "timeout". Times as the rule takes them, rounded as it rounds; n is 0 on the simulator, whose clock
 * is a model.
 */
#include "evaluator/evaluator.h"

enum protocol_rule { PROTOCOL_RULE_KB = 1, PROTOCOL_RULE_VERIFIED = 2 };

struct protocol_request {
    const struct task *task; /* these two must live until the callback */
    const struct candidate *candidate;
    unsigned rules;       /* protocol_rule, or'd; one at least */
    bool exact;           /* inputs and weights from KernelBench's own seeds, drawn on the CPU: slow */
    uint64_t deadline_ms; /* as a judgement's; 0: PROTOCOL_DEADLINE_MS, or PROTOCOL_DEADLINE_EXACT_MS */
};

enum { PROTOCOL_DEADLINE_MS = 60000, PROTOCOL_DEADLINE_EXACT_MS = 300000 };

const char *protocol_rule_name(enum protocol_rule rule);

/* `results` lives until the callback returns; code < 0: the machine failed, as with judgements. */
typedef void (*protocol_cb)(void *ud, int code, const json_t *results, const char *error);

/* Never calls back from inside. */
void evaluator_protocol(struct evaluator *evaluator, const struct protocol_request *request,
                        protocol_cb done, void *ud);
