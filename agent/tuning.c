/* SPDX-License-Identifier: MIT */
/*
 * The search: asks ahead so that compiling stays in front of timing, tells in the order asked, and
 * hands over to tuning_again.c when there's nothing more to ask.
 */
#include "agent/tuning_internal.h"
#include "agent/tune/tune_config.h"
#include "agent/tune/tune_plan.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_LEAST = 4, WINDOW_MOST = 32 };

int tuning_candidate(const struct tuning *t, const char *config, struct candidate **ret,
                     struct err *err)
{
    struct symbol params[PLAN_PARAMS_MAX];
    json_t *json = json_loads(config, 0, NULL), *value;
    const char *name;
    size_t n = 0;
    json_object_foreach(json, name, value) {
        if (n < PLAN_PARAMS_MAX) {
            params[n++] = (struct symbol) { name, json_is_true(value) ? 1 : json_integer_value(value) };
        }
    }
    int r = json_is_object(json)
        ? candidate_with_params(t->options.candidate, params, n, ret, err)
        : err_set(err, ERR_INVALID, "%.100s isn't a config", config);
    json_decref(json);
    return r;
}

void tuning_fail(struct tuning *t, int code, const char *error)
{
    if (t->code == 0) {
        t->code = code;
        t->error = xstrdup(error ? error : err_name(code));
    }
    tuning_wake(t);
}

void tuning_spend(struct tuning *t, const struct verdict *v)
{
    t->device_s += v->device_s;
    t->compile_s += v->compile_s;
    if (t->options.spend && !t->options.spend(t->ud, v->device_s) && !t->spent) {
        t->spent = true;
        tuning_say(t, "the budget ended the search");
        tuning_wake(t);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct tuning *t = handle->data;
    for (size_t i = 0; i < t->n_trials; i++) {
        candidate_free(t->trials[i]->candidate);
    }
    json_decref(t->record);
    tuner_free(t->tuner);
    prior_guide_free(t->guide);
    prior_free(t->prior);
    tune_space_free(t->space);
    arena_free(t->arena);
    free(t->trials);
    free(t->pinned);
    free(t->prefix);
    free(t->error);
    free(t->note);
    free(t);
}

/* Nothing calls back after this. */
static void stop(struct tuning *t)
{
    tune_model_free(t->model); /* now: whose model it is may be gone when the handle is closed */
    t->model = NULL;
    for (size_t i = t->n_told; i < t->n_trials; i++) {
        if (t->trials[i]->judgement) {
            judge_cancel(t->trials[i]->judgement);
        }
    }
    tuning_again_cancel(t);
    uv_timer_stop(&t->later);
    uv_close((uv_handle_t *)&t->later, on_closed);
}

static void finish(struct tuning *t)
{
    t->ended = true;
    if (t->model && *tune_model_note(t->model)) {
        tuning_say(t, tune_model_note(t->model));
    }
    struct tuning_sample *samples = arena_alloc(t->arena, t->n_trials + 1, sizeof(*samples));
    for (size_t i = 0; i < t->n_trials; i++) {
        samples[i] = t->trials[i]->sample;
    }
    struct tuning_result result = {
        .code = t->code, .error = t->error, .algorithm = t->tuner ? tuner_name(t->tuner) : t->recorded, .space = t->space,
        .n = t->code < 0 || t->spent ? t->n_told : t->n_trials, .samples = samples, .best_sample = -1,
        .n_finals = t->n_finals, .finals = t->finals, .note = t->note ? t->note : "",
        .device_s = t->device_s, .compile_s = t->compile_s,
        .wall_s = (double)(clock_ns() - t->started) * 1e-9, .confirmed = t->confirmed,
        .retimed = t->retimed, .earlier = t->earlier,
    };
    if (t->code == 0 && t->best
        && tuning_candidate(t, t->best->sample.config, &result.best, NULL) == 0) {
        result.best_sample = (int64_t)t->best->number;
    }
    t->done(t->ud, &result);
    stop(t);
}

static void say_progress(struct tuning *t, const char *what)
{
    struct tuning_progress progress = {
        .asked = t->n_trials, .done = t->n_told, .budget = t->options.budget, .failed = t->failed,
        .best_us = t->fastest ? t->fastest->sample.time_us : (double)NAN, .what = what,
    };
    if (t->options.progress) {
        t->options.progress(t->ud, &progress);
    }
}

static bool is_pinned(const struct tuning *t, const uint16_t *config)
{
    size_t size = t->space->n * sizeof(*config);
    bool pinned = t->space->has_own && memcmp(config, t->space->own, size) == 0;
    for (size_t i = 0; i < t->n_pinned; i++) {
        pinned = pinned || memcmp(config, t->pinned + i * t->space->n, size) == 0;
    }
    return pinned;
}

static struct trial *add_config(struct tuning *t, const uint16_t *config)
{
    json_t *json = tune_config_json(t->space, config);
    auto_free char *text = json_canonical(json);
    uint16_t *row = arena_alloc(t->arena, t->space->n + 1, sizeof(*row));
    struct trial *trial = tuning_add(t, text);
    json_decref(json);
    memcpy(row, config, t->space->n * sizeof(*row));
    trial->config = trial->sample.ranks = row;
    trial->pinned = is_pinned(t, config);
    return trial;
}

/* Half the window at a time: a tuner that learns does so once a batch. */
static void ask(struct tuning *t)
{
    size_t out = t->n_trials - t->n_told;
    if (out > t->window / 2) {
        return;
    }
    uint16_t *rows = xcalloc(t->window * (t->space->n + 1), sizeof(*rows));
    size_t n = tuner_ask(t->tuner, t->window - out, rows);
    for (size_t i = 0; i < n && t->code == 0; i++) {
        struct trial *trial = add_config(t, rows + i * t->space->n);
        if (tuning_known(t, trial)) {
            trial->ready = true;
        } else {
            tuning_measure(t, trial);
        }
    }
    free(rows);
}

/* The oldest result that wasn't told yet, if it's there. */
static bool tell(struct tuning *t)
{
    struct trial *trial = t->n_told < t->n_trials ? t->trials[t->n_told] : NULL;
    if (!trial || !trial->ready) {
        return false;
    }
    trial->told = true;
    t->n_told++;
    t->failed += !(trial->sample.time_us > 0);
    tuner_tell(t->tuner, trial->config, trial->sample.time_us, NULL);
    if (tuning_ran(trial)
        && (!t->fastest || trial->sample.time_us < t->fastest->sample.time_us)) {
        t->fastest = trial;
    }
    say_progress(t, "measuring");
    return true;
}

static void on_proposals(void *ud, const struct tune_proposals *p)
{
    struct tuning *t = ud;
    t->asked_model = false;
    if (p->code < 0) {
        tuning_fail(t, p->code, p->why);
        return;
    }
    tuner_offer(t->tuner, p->configs, p->n);
    tuning_wake(t);
}

/* True if an answer is on its way, or the tuner can go on without. */
static bool consult(struct tuning *t)
{
    int round = tuner_waits(t->tuner);
    if (round >= 0 && !t->asked_model && t->model) {
        t->asked_model = true;
        tune_model_ask(t->model, t->tuner, round, on_proposals, t);
    } else if (round >= 0 && !t->asked_model) {
        tuning_say(t, "there is no model to ask, so the search went on without");
        tuner_offer(t->tuner, NULL, 0);
        tuning_wake(t);
    }
    return round >= 0;
}

/* As far as it gets without waiting; true: the search is over. */
static bool search(struct tuning *t)
{
    do {
        ask(t);
        if (t->code < 0) {
            return false;
        }
        if (t->n_told < t->n_trials && t->trials[t->n_told]->ready && tuning_retime(t)) {
            return false; /* goes on when that is done */
        }
    } while (tell(t));
    return !consult(t) && t->n_told == t->n_trials;
}

static void step(struct tuning *t)
{
    if (t->code < 0 || t->record) {
        finish(t);
        return;
    }
    if (t->spent) {
        while (tell(t)) {
        }
        t->best = t->fastest;
        finish(t);
        return;
    }
    if (t->contest.on || t->verification) {
        return;
    }
    if (!t->searched) {
        t->searched = search(t);
        if (!t->searched || t->code < 0) {
            return;
        }
        say_progress(t, "comparing the best in pairs");
        if (tuning_finals(t)) {
            return;
        }
    }
    if (!tuning_verify(t)) {
        finish(t);
    }
}

static void on_later(uv_timer_t *timer)
{
    step(timer->data);
}

void tuning_wake(struct tuning *t)
{
    if (!t->ended) {
        uv_timer_start(&t->later, on_later, 0, 0);
    }
}

/* Pinned: what the caller named, and the best that the store has of this space. */
static int pin(struct tuning *t, struct err *err)
{
    size_t n = t->options.n_pinned;
    if (n > TUNING_PINNED_MAX - 1) {
        return err_set(err, ERR_TOOBIG, "%zu configs are pinned, at most %d can be", n,
                       TUNING_PINNED_MAX - 1);
    }
    t->pinned = xcalloc((n + 1) * (t->space->n + 1), sizeof(*t->pinned));
    for (size_t i = 0; i < n; i++) {
        json_t *json = NULL;
        const char *text = t->options.pinned[i];
        int r = jread_parse(text, strlen(text), &json, err);
        r = r < 0 ? r : tune_config_read(t->space, json, NULL, t->pinned + i * t->space->n, err);
        json_decref(json);
        if (r < 0) {
            return err_wrap(err, "pinned config %.200s", text);
        }
    }
    t->n_pinned = n + tuning_store_best(t, t->pinned + n * t->space->n);
    return 0;
}

/* For a model that is asked: "launch_error: ...", as the evaluator said it. */
static const char *why_failed(const void *ud, const uint16_t *config)
{
    const struct tuning *t = ud;
    for (size_t i = 0; i < t->n_trials; i++) {
        const struct tuning_sample *s = &t->trials[i]->sample;
        if (t->trials[i]->told
            && memcmp(t->trials[i]->config, config, t->space->n * sizeof(*config)) == 0) {
            return arena_printf(t->arena, "%s%s%s", s->status, s->detail && *s->detail ? ": " : "",
                                s->detail ? s->detail : "");
        }
    }
    return "";
}

static int open_space(struct tuning *t, struct err *err)
{
    const struct tuning_options *o = &t->options;
    struct space space;
    int r = space_init(&space, o->task, &o->task->shapes[0], o->candidate->plan,
                       &session_device(t->session)->facts, err);
    r = r < 0 ? r : tune_plan(&space, &t->space, err);
    r = r < 0 ? r : tuning_store_open(t, err);
    r = r < 0 ? r : pin(t, err);
    if (r < 0) {
        return r;
    }
    tuning_prior(t);
    struct tuner_options options = { .algorithm = o->algorithm, .budget = o->budget,
                                     .seed = o->seed, .flags = o->flags, .n_pinned = t->n_pinned,
                                     .pinned = t->pinned, .guide = t->guide };
    r = tuner_new(t->space, &options, &t->tuner, err);
    if (r == 0 && o->desk) {
        const struct tune_model_options model = {
            .desk = o->desk, .task_name = o->task->name, .seq = o->seq,
            .first_call = TUNE_MODEL_FIRST_CALL, .space = t->space, .task = o->task,
            .candidate = o->candidate, .device = session_device(t->session), .unit = "us",
            .why = why_failed, .why_ud = t, .budget = o->budget,
            .modelled = session_device(t->session)->modelled };
        t->model = tune_model_new(&model);
    }
    return r;
}

int tuning_start(struct session *session, const struct tuning_options *options, tuning_cb done,
                 void *ud, struct tuning **ret, struct err *err)
{
    struct tuning *t = xcalloc(1, sizeof(*t));
    long cores = uv_available_parallelism();
    t->session = session;
    t->options = *options;
    t->done = done;
    t->ud = ud;
    t->arena = arena_new();
    t->started = clock_ns();
    t->window = (size_t)MAX(WINDOW_LEAST, MIN(2 * cores, WINDOW_MOST));
    uv_timer_init(session_loop(session), &t->later);
    t->later.data = t;
    int r = options->record ? tuning_recall(t, options->record, err) : open_space(t, err);
    if (r < 0) {
        uv_close((uv_handle_t *)&t->later, on_closed);
        return r;
    }
    tuning_wake(t);
    *ret = t;
    return 0;
}

void tuning_cancel(struct tuning *t)
{
    t->ended = true;
    stop(t);
}

bool tuning_asks(const struct tuning *t)
{
    return t->asked_model && t->n_told == t->n_trials && !t->contest.on && !t->verification;
}
