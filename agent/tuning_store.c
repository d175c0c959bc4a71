/* SPDX-License-Identifier: MIT */
/* What a tuning keeps, and what it knows: samples by space and device, from whatever campaign. */
#include "agent/tuning_internal.h"
#include "base/jread.h"
#include "base/util.h"
#include "agent/tune/tune_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCAN_STEP = 512, SCAN_MOST = 1 << 20 };

/* Source and plan without the tunables' own values: whoever begins from another config of the same
 * space shares its samples. */
static void space_id(const struct candidate *candidate, char ret[ID_HEX])
{
    auto_free char *text = plan_canonical(candidate->plan);
    json_t *plan = json_loads(text, 0, NULL), *params = json_object_get(plan, "params");
    const char *name;
    json_t *range;
    json_object_foreach(json_object_get(plan, "space"), name, range) {
        (void)range;
        json_object_del(params, name);
    }
    auto_free char *rest = json_canonical(plan);
    json_decref(plan);
    auto_free char *all = xprintf("%zu %s\n%s", candidate->source_len, candidate->source, rest);
    struct id id;
    id_of_bytes(all, strlen(all), &id);
    id_hex(&id, ret);
}

static char *device_id(const struct tuning *t)
{
    const struct device_info *d = session_device(t->session);
    auto_free char *where = xprintf("%s|%s|%s|%s|%d", d->name, d->uuid, d->driver, d->compiler,
                                    session_gate(t->session));
    struct id id;
    char device[ID_HEX];
    id_of_bytes(where, strlen(where), &id);
    id_hex(&id, device);
    return xprintf("%.16s", device);
}

/* PREFIX/CONFIG; the prefix is TASK/SPACE/DEVICE, so that all of a space on a device lies together. */
static char *sample_key(const struct tuning *t, const char *text)
{
    struct id id;
    char config[ID_HEX];
    id_of_bytes(text, strlen(text), &id);
    id_hex(&id, config);
    return xprintf("%s%.16s", t->prefix, config);
}

static void keep(struct tuning *t, const char *key, json_t *json)
{
    auto_free char *value = json_canonical(json);
    json_decref(json);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TUNINGS, key, value, strlen(value));
    store_submit(t->session->store, batch, NULL, NULL);
}

static json_t *choices(const struct range *range)
{
    json_t *list = json_array();
    for (size_t i = 0; i < range->n_choices; i++) {
        json_array_append_new(list, json_integer(range->choices[i]));
    }
    return list;
}

static json_t *device_head(const struct device_info *d)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "name", d->name, "arch", d->arch,
                             "driver", d->driver, "sm_count", (json_int_t)d->facts.sm_count,
                             "max_shared", (json_int_t)d->facts.max_shared, "modelled", d->modelled);
    if (d->has_ceilings) {
        json_object_set_new(json, "ceilings", ceilings_json(&d->ceilings));
    }
    return json;
}

static void set_text(json_t *json, const char *key, const char *text)
{
    if (text && *text) {
        json_object_set_new(json, key, json_string(text));
    }
}

/* What a space is about, beside its samples: for whoever learns from earlier tunings. */
json_t *tuning_head(const struct tuning *t)
{
    const struct task *task = t->options.task;
    const struct plan *plan = t->options.candidate->plan;
    const struct shape *shape = &task->shapes[0];
    json_t *json = json_pack("{s:i, s:s, s:s}", "format", 1, "task", task->name, "family", task->family);
    json_t *symbols = json_object(), *params = json_object();
    int64_t flops = 0, bytes = 0;
    for (size_t i = 0; i < shape->symbols.n; i++) {
        json_object_set_new(symbols, shape->symbols.at[i].name,
                            json_integer(shape->symbols.at[i].value));
    }
    for (size_t i = 0; i < plan->n_params; i++) {
        if (plan->params[i].range) {
            json_object_set_new(params, plan->params[i].name, choices(plan->params[i].range));
        }
    }
    if (task->flops && expr_eval(task->flops, &shape->symbols, &flops, NULL) == 0) {
        json_object_set_new(json, "flops", json_integer(flops));
    }
    if (task->bytes && expr_eval(task->bytes, &shape->symbols, &bytes, NULL) == 0) {
        json_object_set_new(json, "bytes", json_integer(bytes));
    }
    json_object_set_new(json, "shape", symbols);
    json_object_set_new(json, "params", params);
    json_object_set_new(json, "device", device_head(session_device(t->session)));
    set_text(json, "kernel", t->options.candidate->name);
    set_text(json, "precision", task->precision);
    set_text(json, "direction", plan->direction);
    set_text(json, "strategy", plan->strategy);
    return json;
}

int tuning_store_open(struct tuning *t, struct err *err)
{
    char task[ID_HEX], space[ID_HEX];
    auto_free char *device = device_id(t);
    (void)err;
    id_hex(&t->options.task->id, task);
    space_id(t->options.candidate, space);
    t->prefix = xprintf("%.16s/%.32s/%s/", task, space, device);
    if (t->session->store) {
        auto_free char *key = xprintf("%s-", t->prefix); /* in front of every config */
        keep(t, key, tuning_head(t));
    }
    return 0;
}

void tuning_keep(struct tuning *t, const struct trial *trial)
{
    const struct tuning_sample *s = &trial->sample;
    if (!t->session->store) {
        return;
    }
    auto_free char *key = sample_key(t, s->config);
    json_t *json = json_pack("{s:i, s:s, s:s}", "format", 1, "config", s->config, "status", s->status);
    if (s->time_us > 0) {
        json_object_set_new(json, "us", json_real(s->time_us));
    }
    if (s->n_times) {
        json_t *times = json_array();
        for (size_t i = 0; i < s->n_times; i++) {
            json_array_append_new(times, json_real(s->times_us[i]));
        }
        json_object_set_new(json, "times", times);
    }
    keep(t, key, json);
}

/* Would it be the same again? Then a sample is as good as a measurement. */
static bool lasting(enum verdict_status status, double us)
{
    return status == VERDICT_STATUS_ACCEPTED || status == VERDICT_STATUS_SLOW
        ? us > 0
        : verdict_status_final(status);
}

static bool read_sample(const void *at, size_t len, json_t **ret_json, enum verdict_status *ret_status,
                        double *ret_us)
{
    json_t *json = json_loadb(at, len, 0, NULL);
    const char *name = json_string_value(json_object_get(json, "status"));
    double us = json_number_value(json_object_get(json, "us"));
    if (!name || !verdict_status_parse(name, ret_status) || !lasting(*ret_status, us)) {
        json_decref(json);
        return false;
    }
    bool took = *ret_status == VERDICT_STATUS_ACCEPTED || *ret_status == VERDICT_STATUS_SLOW;
    *ret_us = took ? us : (double)NAN;
    *ret_json = json;
    return true;
}

int tuning_sample_read(const void *at, size_t len, json_t **ret_json, double *ret_us)
{
    enum verdict_status status;
    return read_sample(at, len, ret_json, &status, ret_us) ? 0 : ERR_NOTFOUND;
}

static bool may_know(const struct tuning *t)
{
    return t->session->store && !t->session->options->fresh;
}

bool tuning_known(struct tuning *t, struct trial *trial)
{
    auto_free char *key = sample_key(t, trial->sample.config);
    const void *at;
    size_t len;
    json_t *json;
    enum verdict_status status;
    double us;
    if (!may_know(t)
        || store_get(t->session->store, STORE_DB_TUNINGS, key, t->arena, &at, &len, NULL) < 0
        || !read_sample(at, len, &json, &status, &us)) {
        return false;
    }
    const json_t *times = json_object_get(json, "times");
    double *all = arena_alloc(t->arena, json_array_size(times) + 1, sizeof(*all));
    for (size_t i = 0; i < json_array_size(times); i++) {
        all[i] = json_number_value(json_array_get(times, i));
    }
    trial->sample.status = verdict_status_name(status);
    trial->sample.time_us = us;
    trial->sample.times_us = all;
    trial->sample.n_times = json_array_size(times);
    trial->sample.known = true;
    json_decref(json);
    return true;
}

/* One record of this space: is it accepted, faster than `best_us`, and a config of the space? */
static bool better(const struct tuning *t, const struct store_item *item, double *best_us,
                   uint16_t *ret_config)
{
    json_t *json;
    enum verdict_status status;
    double us;
    if (!read_sample(item->at, item->len, &json, &status, &us)) {
        return false;
    }
    const char *text = json_string_value(json_object_get(json, "config"));
    json_t *config = text ? json_loads(text, 0, NULL) : NULL;
    bool good = status == VERDICT_STATUS_ACCEPTED && us < *best_us && config
        && tune_config_read(t->space, config, NULL, ret_config, NULL) == 0;
    *best_us = good ? us : *best_us;
    json_decref(config);
    json_decref(json);
    return good;
}

bool tuning_store_best(struct tuning *t, uint16_t *ret_config)
{
    double best_us = (double)INFINITY;
    const char *after = NULL;
    struct store_item *items;
    size_t n = 1, seen = 0;
    bool found = false;
    auto_arena struct arena *arena = arena_new();
    while (may_know(t) && n > 0 && seen < SCAN_MOST
           && store_scan(t->session->store, STORE_DB_TUNINGS, t->prefix, after, SCAN_STEP, arena,
                         &items, &n, NULL) == 0) {
        for (size_t i = 0; i < n; i++) {
            found = better(t, &items[i], &best_us, ret_config) || found;
        }
        after = n ? items[n - 1].key : NULL;
        seen += n;
    }
    return found;
}
