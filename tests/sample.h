#pragma once
/* SPDX-License-Identifier: MIT */
/* The task, source and device that tests of plans, candidates and spaces share. */
#include "kernelbench/candidate.h"

extern const char sample_source[];

/* tests/cases/task/base.json with a reference; task_free it. */
struct task *sample_task(void);
/* tests/cases/plan/base.json with sample_source; candidate_free it. */
struct candidate *sample_candidate(void);
/* The same with a JSON merge patch on the plan; fails the running test if it doesn't parse. */
struct candidate *sample_candidate_with(const char *patch);
/* An H200's facts, but for 1 GiB of memory. */
struct device_facts sample_facts(void);
