/* SPDX-License-Identifier: MIT */
/* A tuning as an attempt keeps it, and the same read again, so that a replay needs no device. */
#include "agent/tuning_internal.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>

/* The first of the fastest that were accepted; -1: none. */
static int64_t fastest(const struct tuning_result *result)
{
    int64_t found = -1;
    for (size_t i = 0; i < result->n; i++) {
        const struct tuning_sample *s = &result->samples[i];
        if (str_eq(s->status, "accepted") && s->time_us > 0
            && (found < 0 || s->time_us < result->samples[found].time_us)) {
            found = (int64_t)i;
        }
    }
    return found;
}

json_t *tuning_json(const struct tuning_result *result)
{
    json_t *samples = json_array();
    for (size_t i = 0; i < result->n; i++) {
        const struct tuning_sample *x = &result->samples[i];
        json_t *one = json_pack("{s:s, s:s}", "config", x->config, "status", x->status);
        if (x->time_us > 0) {
            json_object_set_new(one, "us", json_real(x->time_us));
        }
        json_array_append_new(samples, one);
    }
    json_t *json = json_pack("{s:s, s:o}", "algorithm", result->algorithm, "samples", samples);
    if (result->best_sample >= 0 && result->best_sample != fastest(result)) {
        json_object_set_new(json, "best", json_string(result->samples[result->best_sample].config));
    }
    if (*result->note) {
        json_object_set_new(json, "note", json_string(result->note));
    }
    return json;
}

static int recall_sample(struct tuning *t, const json_t *one, const struct jpath *at, struct err *err)
{
    const char *config = "", *status = "";
    double us = 0;
    enum verdict_status known;
    int r = jread_string(one, "config", true, at, &config, err);
    r = r < 0 ? r : jread_string(one, "status", true, at, &status, err);
    r = r < 0 ? r : jread_real(one, "us", false, 0, 1e12, at, &us, err);
    if (r == 0 && !verdict_status_parse(status, &known)) {
        r = jread_fail(at, err, "there is no status \"%.40s\"", status);
    }
    if (r < 0) {
        return r;
    }
    struct trial *trial = tuning_add(t, config);
    trial->ready = trial->told = true;
    trial->sample.status = verdict_status_name(known);
    trial->sample.time_us = us > 0 ? us : (double)NAN;
    trial->sample.known = true;
    t->n_told++;
    return 0;
}

int tuning_recall(struct tuning *t, const json_t *record, struct err *err)
{
    const json_t *samples = NULL;
    const char *algorithm = "", *best = NULL, *note = "";
    struct jpath list = { NULL, "samples", 0 };
    int r = jread_array(record, "samples", true, 1 << 20, NULL, &samples, err);
    r = r < 0 ? r : jread_string(record, "algorithm", true, NULL, &algorithm, err);
    r = r < 0 ? r : jread_string(record, "best", false, NULL, &best, err);
    r = r < 0 ? r : jread_string(record, "note", false, NULL, &note, err);
    for (size_t i = 0; r == 0 && i < json_array_size(samples); i++) {
        struct jpath at = { &list, NULL, i };
        r = recall_sample(t, json_array_get(samples, i), &at, err);
    }
    if (r < 0) {
        return r;
    }
    tuning_rank(t); /* the fastest, unless it is said to be another */
    t->best = best ? NULL : t->fastest;
    for (size_t i = 0; best && i < t->n_trials; i++) {
        t->best = str_eq(t->trials[i]->sample.config, best) ? t->trials[i] : t->best;
    }
    if (best && !t->best) {
        return err_set(err, ERR_INVALID, "best: %.200s isn't among the samples", best);
    }
    if (*note) {
        tuning_say(t, note);
    }
    t->recorded = arena_strdup(t->arena, algorithm);
    t->record = json_incref((json_t *)(uintptr_t)record);
    return 0;
}
