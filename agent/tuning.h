#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Live tuning of one candidate: a tuner's configs are compiled ahead in parallel and judged quickly,
 * one at a time, on the device. Every sample is kept in the store (TUNINGS) as it comes, and one
 * that is there already for this device is not measured again, unless it may have failed by chance.
 */
#include "agent/session.h"
#include "agent/tune/tuner.h"

struct tuning;

struct tuning_options {
    const struct task *task;           /* these two must live until the callback */
    const struct candidate *candidate;
    const char *algorithm;             /* as in tuner_new */
    size_t budget;
    uint64_t seed, deadline_ms;
    bool known_only; /* a replay: nothing is measured, a config without a sample is an error */
};

struct tuning_sample {
    const char *config;  /* JSON object of the tunables, sorted keys */
    const char *status;  /* a verdict's status */
    double time_us;      /* NAN: it failed */
};

struct tuning_result {
    int code; /* 0, or the machine failed */
    const char *error;
    const char *algorithm;
    size_t n;
    const struct tuning_sample *samples; /* in the order they came */
    struct candidate *best; /* tuned, the callback's to free; NULL: no config ran */
    double device_s;        /* spent now, not what was known */
};

/* All but `best` lives until the callback returns. */
typedef void (*tuning_cb)(void *ud, const struct tuning_result *result);

/* ERR_INVALID, ERR_NOTFOUND: a space that can't be searched. */
int tuning_start(struct session *session, const struct tuning_options *options, tuning_cb done,
                 void *ud, struct tuning **ret, struct err *err);
/* The callback doesn't come any more. */
void tuning_cancel(struct tuning *tuning);
