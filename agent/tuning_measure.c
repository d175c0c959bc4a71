/* SPDX-License-Identifier: MIT */
/*
 * One config's way: compiled, timed, checked. A first time far below the best is a jump: it is
 * judged again, and where the two differ once more, and the middle one counts.
 */
#include "agent/tuning_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPILE_FLOOR_MS = 5000, DEVICE_FLOOR_MS = 5000, DEVICE_FLOOR_MODELLED_MS = 30000,
    DEVICE_MOST_MS = 10000,  /* where no deadline was asked for: many configs want their turn */
    JUMP_AFTER = 8,          /* results; before, the best says little */
};
static const double jump = 0.7;        /* of the best */
static const double agreement = 0.9;   /* two times as near as this are the same */
static const double compile_times = 3, device_times = 10; /* the deadline over nine in ten */
static const double hopeless_default = 1.5;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

uint64_t tuning_deadline(const double *costs, size_t n, double times, uint64_t floor_ms,
                         uint64_t most_ms)
{
    double sorted[TUNING_POPULATION];
    if (n < TUNING_POPULATION) {
        return most_ms;
    }
    memcpy(sorted, costs, sizeof(sorted));
    qsort(sorted, TUNING_POPULATION, sizeof(*sorted), by_value);
    double ms = times * sorted[TUNING_POPULATION * 9 / 10 - 1] * 1e3;
    return MIN(MAX((uint64_t)ms, floor_ms), most_ms);
}

static void learn_costs(struct tuning *t, const struct verdict *v)
{
    if (v->compile_s > 0 && t->n_compile_costs < TUNING_POPULATION) {
        t->compile_costs[t->n_compile_costs++] = v->compile_s;
    }
    if (v->device_s > 0 && t->n_device_costs < TUNING_POPULATION) {
        t->device_costs[t->n_device_costs++] = v->device_s;
    }
}

static void set_deadlines(struct tuning *t, struct judge_request *request)
{
    bool modelled = session_device(t->session)->modelled;
    uint64_t most = t->options.deadline_ms ? t->options.deadline_ms
        : modelled                         ? JUDGE_DEADLINE_MODELLED_MS
                                           : JUDGE_DEADLINE_MS;
    uint64_t floor_ms = modelled ? DEVICE_FLOOR_MODELLED_MS : DEVICE_FLOOR_MS;
    uint64_t device_most = modelled || t->options.deadline_ms ? most : DEVICE_MOST_MS;
    request->deadline_ms
        = tuning_deadline(t->device_costs, t->n_device_costs, device_times, floor_ms,
                          device_most);
    request->compile_deadline_ms = tuning_deadline(t->compile_costs, t->n_compile_costs,
                                                   compile_times, COMPILE_FLOOR_MS, most);
}

/* A jump is news of the device, not of the model. */
static bool is_jump(const struct tuning *t, const struct trial *trial, double us)
{
    const struct trial *best = t->fastest;
    return trial->n_seen > 0
        || (!session_device(t->session)->modelled && best && t->n_told >= JUMP_AFTER
            && us < jump * best->sample.time_us);
}

/* True if what was seen is enough; the middle of three, the slower of two that agree. */
static bool settle(struct trial *trial, double us)
{
    double *seen = trial->seen;
    seen[trial->n_seen++] = us;
    qsort(seen, trial->n_seen, sizeof(*seen), by_value);
    if (trial->n_seen == 1 || (trial->n_seen == 2 && seen[0] < agreement * seen[1])) {
        return false;
    }
    trial->sample.time_us = seen[1];
    return true;
}

static void judge_again(struct trial *trial);

static void keep_times(struct trial *trial, const struct verdict *v)
{
    size_t n = v->time.samples_us ? v->time.n + v->time.dropped : 0;
    double *times = arena_alloc(trial->tuning->arena, n + 1, sizeof(*times));
    for (size_t i = 0; i < n; i++) {
        times[i] = v->time.samples_us[i];
    }
    trial->sample.times_us = times;
    trial->sample.n_times = n;
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct trial *trial = ud;
    struct tuning *t = trial->tuning;
    struct tuning_sample *s = &trial->sample;
    trial->judgement = NULL;
    if (code == ERR_CANCELED) {
        return;
    }
    if (code < 0) {
        tuning_fail(t, code, error);
        return;
    }
    bool ran = (v->status == VERDICT_STATUS_ACCEPTED || v->status == VERDICT_STATUS_SLOW)
        && v->time.median_us > 0;
    s->compile_s += v->compile_s;
    s->device_s += v->device_s;
    tuning_spend(t, v);
    learn_costs(t, v);
    s->status = verdict_status_name(v->status);
    s->detail = ran ? "" : arena_strdup(t->arena, v->detail);
    s->time_us = ran ? v->time.median_us : (double)NAN;
    keep_times(trial, v);
    if (v->status == VERDICT_STATUS_ACCEPTED && is_jump(t, trial, v->time.median_us)) {
        t->confirmed += trial->n_seen == 0;
        if (!settle(trial, v->time.median_us)) {
            judge_again(trial);
            return;
        }
    }
    candidate_free(trial->candidate);
    trial->candidate = NULL;
    trial->ready = true;
    tuning_keep(t, trial);
    tuning_wake(t);
}

static void judge_again(struct trial *trial)
{
    struct tuning *t = trial->tuning;
    const struct trial *best = t->fastest;
    double hopeless = t->options.hopeless > 0 ? t->options.hopeless : hopeless_default;
    bool cut = t->options.hopeless >= 0 && best && trial->n_seen == 0 && !trial->pinned;
    struct judge_request request = { .task = t->options.task, .candidate = trial->candidate,
                                     .depth = JUDGE_DEPTH_TUNE, .samples = t->options.samples,
                                     .hopeless_us = cut ? hopeless * best->sample.time_us : 0 };
    set_deadlines(t, &request);
    trial->judgement = evaluator_judge(t->session->evaluator, &request, on_judged, trial);
}

int tuning_measure(struct tuning *t, struct trial *trial)
{
    struct err err = { 0 };
    int r = tuning_candidate(t, trial->sample.config, &trial->candidate, &err);
    if (r < 0) {
        tuning_fail(t, r, err_text(&err));
        return r;
    }
    judge_again(trial);
    return 0;
}
