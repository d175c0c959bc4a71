#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Static refusals on the agent's side. A compile worker says what a candidate's PTX does
 * (worker/refuse.h lists what and why); here that is held against the plan: a dependent launch is
 * fine where each launch of the kernel is declared `programmatic` or is followed by one that is.
 */
#include <jansson.h>
#include "base/buf.h"
#include "kernelbench/plan.h"

/* Why a candidate with these findings is refused, the first few, a line each; NULL: it isn't. The
 * caller frees. */
char *judge_refusal(const struct plan *plan, const json_t *findings);

/* `before` (may be NULL) and what is allowed but worth knowing, "kernel: what; ...". */
char *judge_remarks(const char *before, const json_t *findings);
