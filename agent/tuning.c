/* SPDX-License-Identifier: MIT */
#include "agent/tuning.h"
#include "agent/tune/tune_plan.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TUNING_FLIGHT_MAX = 64 };

/* One config on its way. */
struct flight {
    struct tuning *tuning;
    struct candidate *candidate;
    uint16_t config[TUNE_PARAMS_MAX];
    struct judgement *judgement;
    char *text;
};

struct tuning {
    struct session *session;
    struct tuning_options options;
    tuning_cb done;
    void *ud;
    struct arena *arena;
    struct space space;
    struct tune_space *tune;
    struct tuner *tuner;
    struct tuning_sample *samples;
    size_t n_samples, in_flight, width;
    struct flight *flights[TUNING_FLIGHT_MAX];
    uv_timer_t later;
    double device_s;
    int code;
    char *error;
};

/* The tunables' values; `ret` holds PLAN_PARAMS_MAX. */
static void params_of(const struct tuning *t, const uint16_t *config, struct symbol *ret)
{
    int64_t values[PLAN_PARAMS_MAX];
    tune_plan_values(t->tune, config, values);
    for (size_t i = 0; i < t->space.n; i++) {
        ret[i] = (struct symbol) { t->space.names[i], values[i] };
    }
}

static char *config_text(const struct tuning *t, const uint16_t *config)
{
    struct symbol params[PLAN_PARAMS_MAX];
    json_t *json = json_object();
    params_of(t, config, params);
    for (size_t i = 0; i < t->space.n; i++) {
        json_object_set_new(json, params[i].name, json_integer(params[i].value));
    }
    char *text = json_canonical(json);
    json_decref(json);
    return text;
}

/* TASK/CANDIDATE/DEVICE/CONFIG: what the samples of one space on one device share comes first. */
static char *sample_key(const struct tuning *t, const char *text)
{
    const struct device_info *d = session_device(t->session);
    auto_free char *where = xprintf("%s|%s|%s|%s|%d", d->name, d->uuid, d->driver, d->compiler,
                                    session_gate(t->session));
    struct id id;
    char task[ID_HEX], candidate[ID_HEX], device[ID_HEX], config[ID_HEX];
    id_hex(&t->options.task->id, task);
    id_hex(&t->options.candidate->id, candidate);
    id_of_bytes(where, strlen(where), &id);
    id_hex(&id, device);
    id_of_bytes(text, strlen(text), &id);
    id_hex(&id, config);
    return xprintf("%.16s/%s/%.16s/%.16s", task, candidate, device, config);
}

static void keep_sample(struct tuning *t, const char *text, const char *status, double time_us)
{
    if (!t->session->store) {
        return;
    }
    auto_free char *key = sample_key(t, text);
    json_t *json = json_pack("{s:i, s:s, s:s}", "format", 1, "config", text, "status", status);
    if (time_us > 0) {
        json_object_set_new(json, "us", json_real(time_us));
    }
    auto_free char *value = json_canonical(json);
    json_decref(json);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TUNINGS, key, value, strlen(value));
    store_submit(t->session->store, batch, NULL, NULL);
}

static bool known_sample(struct tuning *t, const char *text, const char **ret_status,
                         double *ret_us)
{
    if (!t->session->store || t->session->options->fresh) {
        return false;
    }
    auto_free char *key = sample_key(t, text);
    const void *at;
    size_t len;
    if (store_get(t->session->store, STORE_DB_TUNINGS, key, t->arena, &at, &len, NULL) < 0) {
        return false;
    }
    json_t *json = json_loadb(at, len, 0, NULL);
    const char *name = json_string_value(json_object_get(json, "status"));
    double us = json_number_value(json_object_get(json, "us"));
    enum verdict_status status;
    bool good = name && verdict_status_parse(name, &status)
        && (verdict_status_final(status) || t->options.known_only)
        && (status != VERDICT_STATUS_ACCEPTED || us > 0);
    if (good) {
        *ret_status = verdict_status_name(status);
        *ret_us = status == VERDICT_STATUS_ACCEPTED ? us : (double)NAN;
    }
    json_decref(json);
    return good;
}

static void add_sample(struct tuning *t, const uint16_t *config, const char *text,
                       const char *status, double time_us)
{
    t->samples[t->n_samples++] = (struct tuning_sample) {
        arena_strdup(t->arena, text), arena_strdup(t->arena, status),
        time_us > 0 ? time_us : (double)NAN
    };
    tuner_tell(t->tuner, config, time_us, NULL);
}

static void flight_free(struct flight *f)
{
    struct tuning *t = f->tuning;
    for (size_t i = 0; i < TUNING_FLIGHT_MAX; i++) {
        if (t->flights[i] == f) {
            t->flights[i] = NULL;
        }
    }
    t->in_flight--;
    candidate_free(f->candidate);
    free(f->text);
    free(f);
}

static void on_closed(uv_handle_t *handle)
{
    struct tuning *t = handle->data;
    tuner_free(t->tuner);
    tune_space_free(t->tune);
    arena_free(t->arena);
    free(t->error);
    free(t);
}

static void finish(struct tuning *t)
{
    struct tuning_result result = { .code = t->code, .error = t->error,
                                    .algorithm = tuner_name(t->tuner), .n = t->n_samples,
                                    .samples = t->samples, .device_s = t->device_s };
    const struct tuner_sample *best = tuner_best(t->tuner);
    if (t->code == 0 && best) {
        struct symbol params[PLAN_PARAMS_MAX];
        params_of(t, best->config, params);
        candidate_with_params(t->options.candidate, params, t->space.n, &result.best, NULL);
    }
    t->done(t->ud, &result);
    uv_close((uv_handle_t *)&t->later, on_closed);
}

static void launch_more(struct tuning *t);

static void on_later(uv_timer_t *timer)
{
    launch_more(timer->data);
}

static void on_judged(void *ud, int code, const struct verdict *verdict, const char *error)
{
    struct flight *f = ud;
    struct tuning *t = f->tuning;
    if (code == ERR_CANCELED) {
        flight_free(f);
        return;
    }
    if (code < 0 && t->code == 0) {
        t->code = code;
        t->error = xstrdup(error ? error : err_name(code));
    } else if (code == 0) {
        bool ran = verdict->status == VERDICT_STATUS_ACCEPTED && verdict->time.median_us > 0;
        const char *status = verdict_status_name(verdict->status);
        double us = ran ? verdict->time.median_us : (double)NAN;
        t->device_s += verdict->device_s;
        keep_sample(t, f->text, status, us);
        add_sample(t, f->config, f->text, status, us);
    }
    flight_free(f);
    uv_timer_start(&t->later, on_later, 0, 0);
}

static int launch(struct tuning *t, const uint16_t *config, char *text)
{
    struct flight *f = xcalloc(1, sizeof(*f));
    f->tuning = t;
    f->text = text;
    memcpy(f->config, config, t->tune->n * sizeof(*config));
    struct symbol params[PLAN_PARAMS_MAX];
    params_of(t, config, params);
    struct err err = { 0 };
    int r = candidate_with_params(t->options.candidate, params, t->space.n, &f->candidate, &err);
    if (r < 0) {
        t->code = r;
        t->error = xstrdup(err_text(&err));
        free(f->text);
        free(f);
        return r;
    }
    size_t slot = 0;
    while (t->flights[slot]) {
        slot++;
    }
    t->flights[slot] = f;
    t->in_flight++;
    struct judge_request request = { .task = t->options.task, .candidate = f->candidate,
                                     .depth = JUDGE_DEPTH_QUICK,
                                     .deadline_ms = t->options.deadline_ms };
    f->judgement = evaluator_judge(t->session->evaluator, &request, on_judged, f);
    return 0;
}

/* Keeps enough configs on their way that compiling stays ahead of timing. */
static void launch_more(struct tuning *t)
{
    while (t->code == 0 && t->in_flight < t->width) {
        uint16_t config[TUNE_PARAMS_MAX];
        if (tuner_ask(t->tuner, 1, config) == 0) {
            break;
        }
        char *text = config_text(t, config);
        const char *status = "";
        double us = (double)NAN;
        if (known_sample(t, text, &status, &us)) {
            add_sample(t, config, text, status, us);
            free(text);
        } else if (t->options.known_only) {
            t->code = ERR_NOTFOUND;
            t->error = xprintf("the record has no sample of config %s", text);
            free(text);
        } else if (launch(t, config, text) < 0) {
            break;
        }
    }
    if (t->in_flight == 0) {
        finish(t);
    }
}

int tuning_start(struct session *session, const struct tuning_options *options, tuning_cb done,
                 void *ud, struct tuning **ret, struct err *err)
{
    struct tuning *t = xcalloc(1, sizeof(*t));
    t->session = session;
    t->options = *options;
    t->done = done;
    t->ud = ud;
    t->arena = arena_new();
    long cores = uv_available_parallelism();
    t->width = (size_t)MAX(2, MIN(2 * cores, TUNING_FLIGHT_MAX));
    int r = space_init(&t->space, options->task, &options->task->shapes[0],
                       options->candidate->plan, &session_device(session)->facts, err);
    struct tuner_options how = { .algorithm = options->algorithm, .budget = options->budget,
                                 .seed = options->seed };
    r = r < 0 ? r : tune_plan(&t->space, &t->tune, err);
    r = r < 0 ? r : tuner_new(t->tune, &how, &t->tuner, err);
    if (r < 0) {
        tune_space_free(t->tune);
        arena_free(t->arena);
        free(t);
        return r;
    }
    t->samples = arena_alloc(t->arena, MIN(options->budget, (size_t)SPACE_LIST_MAX) + 1,
                             sizeof(*t->samples));
    uv_timer_init(&session->loop, &t->later);
    t->later.data = t;
    uv_timer_start(&t->later, on_later, 0, 0);
    *ret = t;
    return 0;
}

void tuning_cancel(struct tuning *t)
{
    for (size_t i = 0; i < TUNING_FLIGHT_MAX; i++) {
        if (t->flights[i]) {
            judge_cancel(t->flights[i]->judgement);
        }
    }
    uv_timer_stop(&t->later);
    uv_close((uv_handle_t *)&t->later, on_closed);
}
