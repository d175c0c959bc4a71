#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The outputs of a set against what the reference made from the same inputs: every element within
 * the task's tolerance, and, under the task's own inputs, a tensor's error no larger than the
 * declared precision gives (precision.h), unless all of it lies within the absolute tolerance.
 * Expected outputs lie in rig->reference, revealed.
 */
#include "evaluator/worker/judge.h"

struct expected {
    double rms[TASK_TENSORS_MAX], mean[TASK_TENSORS_MAX], spread[TASK_TENSORS_MAX];
    uint64_t not_finite; /* elements */
};

int compare_measure(struct judge *judge, struct check *check, struct expected *ret);

/* What the task's own inputs give is noted; false: others give more elements that aren't finite, and say nothing. */
bool compare_tells(struct check *check, const struct expected *expected, enum gate_mode mode);

/* 0, or JUDGE_DECIDED with what is wrong. `when` ends the sentence ("", ", in a timed run"). */
int compare_outputs(struct judge *judge, struct check *check, const struct rig_buffers *set,
                    const struct expected *expected, enum gate_mode mode, const char *when);

/* Do the outputs of set 0 have the same bits as the kept ones? */
int compare_runs(struct judge *judge, struct check *check, bool *ret_same);

/* Without protection in hardware, inputs are compared with the reference's afterwards. */
int compare_inputs(struct judge *judge, struct check *check);
