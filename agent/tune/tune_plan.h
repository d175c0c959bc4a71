#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A plan's space (kernelbench/space.h) as a tuner sees it: its tunables of two values and more,
 * under its constraints at one shape on one device. Listed if it has at most TUNE_LIST_MAX configs.
 * What a `when` sets at this shape, whatever is tuned, is left out: all its values run as one.
 *
 * `pow2` is TUNE_POW2, `int` TUNE_NUMBER, `bool` TUNE_BOOL, `permutation` TUNE_PERMUTATION. An
 * `enum` is TUNE_POW2 if all of it are powers of two and TUNE_BOOL if it is 0 and 1; consecutive
 * values and those with a 0 are codes for something, so TUNE_CHOICE; others are TUNE_NUMBER.
 */
#include "agent/tune/tune_space.h"
#include "kernelbench/space.h"

/*
 * Copies `space`; its plan, task and shape must live as long as the result. `own` is there if the
 * constraints allow it. ERR_NOTFOUND: the constraints leave nothing, with those that can't hold
 * together; ERR_INVALID: one can't be evaluated.
 */
int tune_plan(const struct space *space, struct tune_space **ret, struct err *err);
/* One value a tunable of the `struct space`, in its order; the plan's own where it was left out. */
void tune_plan_values(const struct tune_space *space, const uint16_t *config, int64_t *ret);
