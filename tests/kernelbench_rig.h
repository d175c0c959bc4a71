#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * `warpsmith kernelbench run` as a user starts it, on the small problems of tests/cases with the simulator and
 * PyTorch on the CPU: a folder and a store of its own for each program, what was printed, and the results
 * that a run left. A failed expectation ends the test with what the command said.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define CASES WS_SOURCE_DIR "/tests/cases/"

/* *state is the folder; WARPSMITH_STORE lies in it. */
int kernelbench_rig_setup(void **state);
int kernelbench_rig_teardown(void **state);

/* The exit code of `kernelbench run --suite tests/cases/ARGS`; what it printed is the caller's. */
int kernelbench_rig_run(const char *args, char **ret_output);
/* The same with `--json -` among ARGS, which must end well. */
json_t *kernelbench_rig_json(const char *args);
/* OUT/results/NAME.json */
json_t *kernelbench_rig_result(const char *out, const char *name);

const char *kernelbench_rig_text(const json_t *json, const char *key); /* "" if it isn't there */
int64_t kernelbench_rig_whole(const json_t *json, const char *key);
