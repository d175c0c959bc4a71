#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside the builder of a tuner's prompts: what was measured, in words (tune_prompt_history.c). All
 * texts live in the arena; names of tunables and words among their values come from outside, so the
 * builder puts fences around.
 */
#include "agent/tune_prompt.h"

struct tune_history {
    const struct tune_prompt_input *input;
    struct arena *arena;
    const struct tuner_sample **ran; /* fastest first */
    const struct tuner_sample **failed; /* latest first */
    size_t n_ran, n_failed, n_told;
    const uint16_t *base; /* what differences are from; NULL: whole configs are shown */
};

struct tune_history *tune_history_new(const struct tune_prompt_input *input, struct arena *arena);
const char *tune_history_summary(const struct tune_history *h);
const char *tune_history_table(const struct tune_history *h);
/* The fastest two. */
const char *tune_history_anchors(const struct tune_history *h);
/* A line a tunable: its values among the fastest, and among the rest. */
const char *tune_history_patterns(const struct tune_history *h);
const char *tune_history_failures(const struct tune_history *h);
