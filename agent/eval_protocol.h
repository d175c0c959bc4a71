#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * `warpsmith eval --protocol kb,verified`: one candidate on one imported problem under other rules than
 * the gate's. The session has an evaluator with an oracle and a store, where PyTorch's times are kept.
 */
#include "agent/kernelbench_protocol.h"

/* Prints what the rules say, one line each, unless --json goes to stdout. *ret is the caller's, an object
 * as kernelbench_protocol.h has it; 1: not every rule calls it correct. */
int eval_protocol(struct session *session, const struct kernelbench_rules *rules, const struct task *task,
                  const struct candidate *candidate, json_t **ret, struct err *err);
