#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the fake provider may answer: good answers of both wire formats, every error that providers
 * document, and everything that goes wrong between them and us. A behaviour is a name; see the table
 * in fake_llm_reply.c.
 */
#include <stdint.h>
#include "base/buf.h"

enum fake_pace {
    FAKE_PACE_WHOLE,  /* all, and keep the connection */
    FAKE_PACE_CUT,    /* all of it, then close: it promised more */
    FAKE_PACE_RESET,  /* nothing but a reset */
    FAKE_PACE_SILENT, /* nothing, for ever */
    FAKE_PACE_STALL,  /* all of it, then nothing, for ever */
    FAKE_PACE_DRIP,   /* a byte every 20 ms */
    FAKE_PACE_LATE,   /* the head at once, the rest 1.5 s later */
    FAKE_PACE_PIECES, /* 64 KiB at a time, `repeat` times over */
};

struct fake_question {
    const char *path, *key, *body; /* key: Idempotency-Key or "" */
    size_t body_len;
    uint64_t number; /* of requests, from 1 */
    const char *text; /* the answer's */
};

struct fake_answer {
    enum fake_pace pace;
    struct buf bytes;
    int64_t repeat; /* PIECES: the bytes are sent so often */
    int status;
};

/* False: no behaviour has that name. */
bool fake_answer_make(const char *behaviour, const struct fake_question *question,
                      struct fake_answer *ret);
