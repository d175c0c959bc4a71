/* SPDX-License-Identifier: MIT */
/* The list of a tuning's configs, and its note. */
#include "agent/tuning_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS_FIRST = 64 };

bool tuning_ran(const struct trial *trial)
{
    return trial->told && str_eq(trial->sample.status, "accepted") && trial->sample.time_us > 0;
}

void tuning_rank(struct tuning *t)
{
    t->fastest = NULL;
    for (size_t i = 0; i < t->n_trials; i++) {
        struct trial *trial = t->trials[i];
        if (tuning_ran(trial)
            && (!t->fastest || trial->sample.time_us < t->fastest->sample.time_us)) {
            t->fastest = trial;
        }
    }
}

struct trial *tuning_add(struct tuning *t, const char *config)
{
    struct trial *trial = arena_alloc(t->arena, 1, sizeof(*trial));
    *trial = (struct trial) { .tuning = t, .number = t->n_trials,
                              .sample = { .config = arena_strdup(t->arena, config), .status = "",
                                          .detail = "", .time_us = (double)NAN } };
    if (t->n_trials == t->room) {
        t->room = t->room ? 2 * t->room : TRIALS_FIRST;
        t->trials = xrealloc(t->trials, t->room, sizeof(struct trial *));
    }
    t->trials[t->n_trials++] = trial;
    return trial;
}

void tuning_say(struct tuning *t, const char *text)
{
    if (t->note && strstr(t->note, text)) {
        return;
    }
    char *note = t->note ? xprintf("%s; %s", t->note, text) : xstrdup(text);
    free(t->note);
    t->note = note;
}
