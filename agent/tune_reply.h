#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Reading the configs that a language model proposes: {"configs":[{"BLOCK":256},...]}. Tolerant about
 * where they stand (the whole text, a block between fences, in the middle of prose, after thinking
 * aloud, a bare list or bare objects, Python's literals, a list that was cut off), strict about what
 * they mean: a config with an unknown name, a value that its tunable doesn't have, a forbidden
 * combination or one that is known already is passed over, and a note says why, in words for the
 * model. If there are several lists the last one counts.
 *
 * A reply is bytes from outside: TUNE_REPLY_MAX of them, TUNE_REPLY_CONFIGS configs. Everything that
 * is returned lives in the arena.
 */
#include "agent/tune/tune_space.h"

enum {
    TUNE_REPLY_MAX = 1 << 20,
    TUNE_REPLY_CONFIGS = 256, /* looked at; more are passed over */
    TUNE_REPLY_NOTES = 8,
    TUNE_REPLY_NOTE_MAX = 300, /* bytes of one */
};

struct tune_reply_input {
    const char *text;
    size_t len;
    const struct tune_space *space;
    const uint16_t *base; /* has the values that a config leaves out; NULL: it may leave out none */
    /* Was it asked for already? NULL: nothing was. */
    bool (*known)(const void *ud, const uint16_t *config);
    const void *ud;
    size_t most; /* configs that are taken: the first ones */
};

struct tune_reply {
    const uint16_t *configs; /* row by row; allowed, new, all different */
    size_t n;
    size_t found;            /* configs that stood in the reply */
    const char *notes[TUNE_REPLY_NOTES]; /* why some were passed over */
    size_t n_notes, n_passed;
    const char *fault; /* "": there are configs; else what is wrong, for the model */
};

/* Always fills `ret`: a reply is data, so a bad one is an answer and no error. */
void tune_reply_parse(const struct tune_reply_input *input, struct arena *arena,
                      struct tune_reply *ret);
