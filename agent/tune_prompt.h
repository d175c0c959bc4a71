#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a language model is asked when it proposes configs: a system message (how to answer, what
 * usually matters), one user message with what doesn't change (device, task, kernel, tunables) and
 * then what does (measurements, what failed, what was passed over, what to try), and after an answer
 * without a usable config a correction. Every round is a question of its own: all that earlier rounds
 * brought stands in the measurements. A recorded space has neither task nor source.
 *
 * The same input gives the same bytes. Text from outside is framed as data, as in prompt.h.
 */
#include "agent/prompt.h"
#include "agent/tune/tuner.h"

enum {
    TUNE_PROMPT_SHOWN = 32,      /* measured configs, the fastest; readers who saw 12 proposed others anew */
    TUNE_PROMPT_TOP = 5,         /* whose values are counted */
    TUNE_PROMPT_SOURCE = 96 << 10, /* bytes of the kernel, cut in its middle */
};

struct tune_prompt_input {
    const struct task *task; /* with candidate and device, or all three NULL */
    const struct candidate *candidate;
    const struct device_info *device;
    const char *about; /* in place of them: "a recorded space: convolution on A100"; or NULL */
    const struct tune_space *space;
    const struct tuner_sample *samples; /* in the order in which they were asked for */
    size_t n_samples;
    const char *unit; /* of their times */
    /* Why a config failed: "launch_error: ..."; "" if that isn't known. NULL: it never is. */
    const char *(*why)(const void *ud, const uint16_t *config);
    const void *why_ud;
    bool modelled, opening; /* opening: the first round */
    size_t most, left; /* configs that are wanted; that the search will still measure */
    const char *const *passed; /* what was passed over in the answer before, and why */
    size_t n_passed;
    const char *reply, *fault; /* an answer of this round that couldn't be used; NULL */
};

/* The config whose values stand where an answer leaves one out; NULL: there is none. */
const uint16_t *tune_prompt_base(const struct tune_prompt_input *input);
/* ERR_INVALID: a template is damaged. Fills messages and n alone; they live in the arena. */
int tune_prompt_build(const struct tune_prompt_input *input, struct arena *arena,
                      struct prompt *ret, struct err *err);
/* {"BLOCK":256,"VEC":4} */
void tune_prompt_config(const struct tune_space *space, const uint16_t *config, struct buf *out);
