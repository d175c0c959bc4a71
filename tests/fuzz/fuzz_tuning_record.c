/* SPDX-License-Identifier: MIT */
/* A tuning as a campaign's record has it: what is read says the same when it is written and read again. */
#include "agent/tuning_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int recall(struct tuning *t, const json_t *json)
{
    *t = (struct tuning) { .arena = arena_new() };
    return tuning_recall(t, json, NULL);
}

static void done(struct tuning *t)
{
    json_decref(t->record);
    arena_free(t->arena);
    free(t->trials);
    free(t->note);
}

static json_t *written(struct tuning *t)
{
    struct tuning_sample *samples = arena_alloc(t->arena, t->n_trials + 1, sizeof(*samples));
    for (size_t i = 0; i < t->n_trials; i++) {
        samples[i] = t->trials[i]->sample;
    }
    const struct tuning_result result = { .algorithm = t->recorded, .n = t->n_trials, .samples = samples,
                                          .best_sample = t->best ? (int64_t)t->best->number : -1,
                                          .note = t->note ? t->note : "" };
    return tuning_json(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    struct tuning first, again;
    if (json && recall(&first, json) == 0) {
        json_t *text = written(&first);
        require(recall(&again, text) == 0 && again.n_trials == first.n_trials);
        require((again.best == NULL) == (first.best == NULL));
        require(!first.best || str_eq(again.best->sample.config, first.best->sample.config));
        done(&again);
        json_decref(text);
    }
    if (json) {
        done(&first);
    }
    json_decref(json);
    return 0;
}
