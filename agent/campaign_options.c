/* SPDX-License-Identifier: MIT */
/* A campaign's options: copied, kept as JSON with its record, and read back for a resume. */
#include "agent/campaign_internal.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <string.h>


static const char *keep(struct campaign *c, const char *s)
{
    return s && *s ? arena_strdup(c->arena, s) : NULL;
}

static void copy_model(struct campaign *c, const struct llm_options *from)
{
    struct llm_options *to = arena_alloc(c->arena, 1, sizeof(*to));
    llm_options_init(to);
    if (from) {
        *to = *from;
    }
    to->spec = c->options.llm;
    to->model = keep(c, to->model);
    to->base_url = keep(c, to->base_url);
    to->key_file = keep(c, to->key_file);
    to->ca_file = keep(c, to->ca_file);
    to->proxy = keep(c, to->proxy);
    to->prices = keep(c, to->prices);
    c->options.model = to;
}

void campaign_options_copy(struct campaign *c, const struct campaign_options *o)
{
    c->options = *o;
    const char **tasks = arena_alloc(c->arena, o->n_tasks + 1, sizeof(*tasks));
    for (size_t i = 0; i < o->n_tasks; i++) {
        tasks[i] = arena_strdup(c->arena, o->tasks[i]);
    }
    c->options.tasks = tasks;
    c->options.start = keep(c, o->start);
    c->options.baseline = keep(c, o->baseline);
    c->options.llm = keep(c, o->llm);
    c->options.tuner = keep(c, o->tuner);
    c->options.ablate = keep(c, o->ablate);
    copy_model(c, o->model);
}

static json_t *model_json(const struct llm_options *m)
{
    json_t *json = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:I, s:f}", "model", m->model,
                             "base_url", m->base_url, "key_file", m->key_file, "ca", m->ca_file,
                             "proxy", m->proxy, "prices", m->prices, "max_tokens",
                             (json_int_t)m->max_tokens, "timeout_s", m->timeout_s);
    if (isfinite(m->temperature)) {
        json_object_set_new(json, "temperature", json_real(m->temperature));
    }
    return json;
}

char *campaign_options_text(const struct campaign *c)
{
    const struct campaign_options *o = &c->options;
    json_t *json = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, "
                             "s:f, s:I, s:f, s:o, s:b, s:f}",
                             "start", o->start, "baseline", o->baseline, "llm", o->llm, "tuner",
                             o->tuner, "ablate", o->ablate, "tune_budget",
                             (json_int_t)o->tune_budget, "samples", (json_int_t)o->samples,
                             "repairs", (json_int_t)o->repairs, "plateau", (json_int_t)o->plateau,
                             "deadline_s", o->deadline_s, "wall_s", o->wall_s, "gpu_s", o->gpu_s,
                             "until_sol", o->until_sol, "usd", o->usd, "tokens",
                             (json_int_t)o->tokens, "seconds", campaign_seconds(c), "model",
                             model_json(o->model), "profile", o->profile,
                             "device_s", c->device_s);
    json_t *names = json_array(); /* what the tasks' records stand under */
    for (size_t i = 0; i < c->n_runs; i++) {
        json_array_append_new(names, json_string(c->runs[i].task->name));
    }
    json_object_set_new(json, "names", names);
    char *text = json_canonical(json);
    json_decref(json);
    return text;
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void read_model(const json_t *json, struct llm_options *ret)
{
    const json_t *temperature = json_object_get(json, "temperature");
    llm_options_init(ret);
    ret->model = text_of(json, "model");
    ret->base_url = text_of(json, "base_url");
    ret->key_file = text_of(json, "key_file");
    ret->ca_file = text_of(json, "ca");
    ret->proxy = text_of(json, "proxy");
    ret->prices = text_of(json, "prices");
    ret->max_tokens = json_integer_value(json_object_get(json, "max_tokens"));
    ret->timeout_s = json_number_value(json_object_get(json, "timeout_s"));
    if (temperature) {
        ret->temperature = json_number_value(temperature);
    }
}

static void change_model(struct llm_options *m, const struct llm_options *changes)
{
    m->model = changes->model ? changes->model : m->model;
    m->base_url = changes->base_url ? changes->base_url : m->base_url;
    m->key_file = changes->key_file ? changes->key_file : m->key_file;
    m->ca_file = changes->ca_file ? changes->ca_file : m->ca_file;
    m->proxy = changes->proxy ? changes->proxy : m->proxy;
    m->prices = changes->prices ? changes->prices : m->prices;
    m->max_tokens = changes->max_tokens ? changes->max_tokens : m->max_tokens;
    m->timeout_s = changes->timeout_s > 0 ? changes->timeout_s : m->timeout_s;
    m->temperature = isfinite(changes->temperature) ? changes->temperature : m->temperature;
    m->log = changes->log;
}

static void change(struct campaign_options *o, struct llm_options *model,
                   const struct campaign_options *changes)
{
    o->llm = changes->llm ? changes->llm : o->llm;
    o->usd = changes->usd > 0 ? changes->usd : o->usd;
    o->tokens = changes->tokens > 0 ? changes->tokens : o->tokens;
    o->wall_s = changes->wall_s > 0 ? changes->wall_s : o->wall_s;
    o->gpu_s = changes->gpu_s > 0 ? changes->gpu_s : o->gpu_s;
    o->steps = changes->steps >= 0 ? changes->steps : o->steps;
    o->profile = changes->profile || o->profile;
    o->no_wait = changes->no_wait;
    if (changes->model) {
        change_model(model, changes->model);
    }
}

int campaign_options_read(struct campaign *c, const struct campaign_record *record,
                          const struct campaign_options *changes, struct err *err)
{
    json_t *json = NULL;
    int r = jread_parse(record->extra, strlen(record->extra), &json, err);
    if (r < 0) {
        return r;
    }
    const json_t *repairs = json_object_get(json, "repairs");
    struct llm_options model;
    read_model(json_object_get(json, "model"), &model);
    struct campaign_options o = {
        .tasks = record->tasks,
        .n_tasks = record->n_tasks,
        .start = text_of(json, "start"),
        .baseline = text_of(json, "baseline"),
        .llm = record->llm,
        .tuner = text_of(json, "tuner"),
        .ablate = text_of(json, "ablate"),
        .seed = (uint64_t)record->seed,
        .steps = record->steps,
        .tune_budget = json_integer_value(json_object_get(json, "tune_budget")),
        .samples = json_integer_value(json_object_get(json, "samples")),
        .repairs = repairs ? json_integer_value(repairs) : -1,
        .plateau = json_integer_value(json_object_get(json, "plateau")),
        .deadline_s = json_number_value(json_object_get(json, "deadline_s")),
        .wall_s = json_number_value(json_object_get(json, "wall_s")),
        .gpu_s = json_number_value(json_object_get(json, "gpu_s")),
        .until_sol = json_number_value(json_object_get(json, "until_sol")),
        .usd = json_number_value(json_object_get(json, "usd")),
        .tokens = json_integer_value(json_object_get(json, "tokens")),
        .profile = json_is_true(json_object_get(json, "profile")),
        .model = &model,
    };
    c->earlier_s = json_number_value(json_object_get(json, "seconds"));
    c->earlier_device_s = json_number_value(json_object_get(json, "device_s"));
    if (changes) {
        change(&o, &model, changes);
    }
    campaign_options_copy(c, &o);
    json_decref(json);
    return 0;
}
