/* SPDX-License-Identifier: MIT */
#include "agent/campaign_internal.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Campaign ids are short and sort by time: "c" + 8 hex digits of the clock + 4 drawn. */
static char *make_id(void)
{
    unsigned char salt[2];
    random_bytes(salt, sizeof(salt));
    return xprintf("c%08llx%02x%02x", (unsigned long long)time(NULL), salt[0], salt[1]);
}

static json_t *options_json(const struct campaign *c)
{
    const struct campaign_options *o = &c->options;
    return json_pack("{s:s*, s:s*, s:s, s:s*, s:s*, s:I, s:f, s:f, s:f, s:f, s:f}", "start",
                     o->start, "baseline", o->baseline, "llm", c->provider->name, "tuner", o->tuner,
                     "ablate", o->ablate, "tune_budget", (json_int_t)o->tune_budget, "deadline_s",
                     o->deadline_s, "wall_s", o->wall_s, "gpu_s", o->gpu_s, "until_sol",
                     o->until_sol, "seconds", campaign_seconds(c));
}

int campaign_save(struct campaign *c, const char *status, struct err *err)
{
    json_t *extra = options_json(c);
    auto_free char *text = json_canonical(extra);
    json_decref(extra);
    const struct device_info *d = evaluator_device(c->session->evaluator);
    bool over = !str_eq(status, "running");
    struct campaign_record record = {
        .id = c->id,
        .status = status,
        .device = d->name,
        .llm = c->provider->name,
        .baseline = c->options.baseline,
        .n_tasks = c->options.n_tasks,
        .tasks = c->options.tasks,
        .seed = (int64_t)c->options.seed,
        .steps = c->options.steps,
        .started_s = c->started_s,
        .ended_s = over ? (int64_t)time(NULL) : 0,
        .error = c->code < 0 && c->code != ERR_CANCELED ? err_text(&c->err) : "",
        .extra = text,
    };
    struct store_batch *batch = store_batch_new();
    int r = record_put_campaign(batch, &record, err);
    if (r < 0) {
        store_batch_free(batch);
        return r;
    }
    return store_commit(c->session->store, batch, err);
}

static void set_defaults(struct campaign *c)
{
    struct campaign_options *o = &c->options;
    if (o->steps < 0) {
        o->steps = CAMPAIGN_STEPS;
    }
    if (o->tune_budget < 0) {
        o->tune_budget = evaluator_device(c->session->evaluator)->modelled ? 5 : 40;
    }
}

/* Everything that can be found wrong before the first step is found here. */
static int prepare(struct campaign *c, const struct provider *provider, struct err *err)
{
    int r = 0;
    c->provider = provider;
    if (!provider) {
        r = provider_find(c->options.llm, &c->provider, err);
    }
    if (r == 0 && c->options.ablate && !select_ablation_parse(c->options.ablate, &c->ablation)) {
        r = err_set(err, ERR_INVALID, "--ablate %s: there are flat, random, no-prefix, no-position, "
                    "no-local, frozen and none", c->options.ablate);
    }
    const char *tuner = c->options.tuner;
    if (r == 0 && tuner && !str_eq(tuner, "none") && !str_eq(tuner, "random")
        && !str_eq(tuner, "exhaustive")) {
        r = err_set(err, ERR_INVALID, "--tuner %s: there are random, exhaustive and none", tuner);
    }
    if (r == 0 && (c->options.n_tasks < 1 || c->options.n_tasks > CAMPAIGN_TASKS_MAX)) {
        r = err_set(err, ERR_INVALID, "a campaign has 1 to %d tasks", CAMPAIGN_TASKS_MAX);
    }
    c->runs = r == 0 ? xcalloc(c->options.n_tasks, sizeof(*c->runs)) : NULL;
    for (size_t i = 0; r == 0 && i < c->options.n_tasks; i++) {
        c->n_runs++;
        r = run_init(&c->runs[i], c, c->options.tasks[i], err);
        for (size_t k = 0; r == 0 && k < i; k++) {
            if (str_eq(c->runs[k].task->name, c->runs[i].task->name)) {
                r = err_set(err, ERR_INVALID, "task %s is named twice", c->runs[i].task->name);
            }
        }
    }
    set_defaults(c);
    return r;
}

static struct campaign *new_campaign(struct session *session)
{
    struct campaign *c = xcalloc(1, sizeof(*c));
    c->session = session;
    c->arena = arena_new();
    c->began_ns = clock_ns();
    return c;
}

static const char *keep(struct campaign *c, const char *s)
{
    return s && *s ? arena_strdup(c->arena, s) : NULL;
}

static void copy_options(struct campaign *c, const struct campaign_options *o)
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
}

int campaign_new(struct session *session, const struct campaign_options *options,
                 const struct provider *provider, struct campaign **ret, struct err *err)
{
    struct campaign *c = new_campaign(session);
    c->id = make_id();
    c->started_s = (int64_t)time(NULL);
    copy_options(c, options);
    int r = prepare(c, provider, err);
    r = r < 0 ? r : campaign_lock_take(store_path(session->store), c->id, &c->lock, err);
    r = r < 0 ? r : campaign_save(c, "running", err);
    if (r < 0) {
        campaign_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static int read_options(struct campaign *c, const struct campaign_record *record, struct err *err)
{
    json_t *json = NULL;
    int r = jread_parse(record->extra, strlen(record->extra), &json, err);
    if (r < 0) {
        return r;
    }
    struct campaign_options o = {
        .tasks = record->tasks,
        .n_tasks = record->n_tasks,
        .start = json_string_value(json_object_get(json, "start")),
        .baseline = json_string_value(json_object_get(json, "baseline")),
        .llm = record->llm,
        .tuner = json_string_value(json_object_get(json, "tuner")),
        .ablate = json_string_value(json_object_get(json, "ablate")),
        .seed = (uint64_t)record->seed,
        .steps = record->steps,
        .tune_budget = json_integer_value(json_object_get(json, "tune_budget")),
        .deadline_s = json_number_value(json_object_get(json, "deadline_s")),
        .wall_s = json_number_value(json_object_get(json, "wall_s")),
        .gpu_s = json_number_value(json_object_get(json, "gpu_s")),
        .until_sol = json_number_value(json_object_get(json, "until_sol")),
    };
    c->earlier_s = json_number_value(json_object_get(json, "seconds"));
    copy_options(c, &o);
    json_decref(json);
    return 0;
}

static int check_device(struct campaign *c, const struct campaign_record *record, struct err *err)
{
    const struct device_info *d = evaluator_device(c->session->evaluator);
    if (str_eq(record->device, d->name)) {
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "campaign %s ran on \"%s\", this is \"%s\": times of two devices can't be compared; "
                   "choose the first with --gpu, or start a new campaign",
                   c->id, record->device, d->name);
}

int campaign_resume(struct session *session, const char *id, const struct provider *provider,
                    struct campaign **ret, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct campaign_record record;
    int r = record_get_campaign(session->store, id, arena, &record, err);
    if (r < 0) {
        return r == ERR_NOTFOUND
            ? err_set(err, r, "no campaign \"%s\" in %s; warpsmith report lists them", id,
                      store_path(session->store))
            : r;
    }
    struct campaign *c = new_campaign(session);
    c->id = xstrdup(record.id);
    c->started_s = record.started_s;
    r = campaign_lock_take(store_path(session->store), c->id, &c->lock, err);
    r = r < 0 ? r : check_device(c, &record, err);
    r = r < 0 ? r : read_options(c, &record, err);
    r = r < 0 ? r : prepare(c, provider, err);
    for (size_t i = 0; r == 0 && i < c->n_runs; i++) {
        bool pending = false;
        r = run_load(&c->runs[i], &pending, err);
        c->runs[i].phase = pending ? RUN_PHASE_TUNE : RUN_PHASE_NEXT;
    }
    r = r < 0 ? r : campaign_save(c, "running", err);
    if (r < 0) {
        campaign_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void campaign_on_event(struct campaign *c, campaign_event_fn fn, void *ud)
{
    c->on_event = fn;
    c->event_ud = ud;
}

void campaign_run_ended(struct campaign *c)
{
    c->n_done++;
}

static void stop_runs(struct campaign *c)
{
    c->stopping = true;
    for (size_t i = 0; i < c->n_runs; i++) {
        run_stop(&c->runs[i]);
    }
}

void campaign_fail(struct campaign *c, int code, const char *text)
{
    if (c->stopping) {
        return;
    }
    c->code = code;
    err_set(&c->err, code, "%s", text ? text : err_name(code));
    stop_runs(c);
}

void campaign_stop(struct campaign *c)
{
    campaign_fail(c, ERR_CANCELED, "stopped");
}

bool campaign_over_budget(const struct campaign *c, const char **ret_why)
{
    double device_s = 0;
    for (size_t i = 0; i < c->n_runs; i++) {
        device_s += c->runs[i].device_s;
    }
    if (c->options.wall_s > 0 && campaign_seconds(c) >= c->options.wall_s) {
        *ret_why = "the wall-clock budget is used up";
        return true;
    }
    if (c->options.gpu_s > 0 && device_s >= c->options.gpu_s) {
        *ret_why = "the budget of device seconds is used up";
        return true;
    }
    return false;
}

static bool waiting(const struct campaign *c)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        if (c->runs[i].committing) {
            return true; /* a commit under way can't be taken back: it is waited for */
        }
    }
    return !c->stopping && c->n_done < c->n_runs;
}

int campaign_run(struct campaign *c, struct err *err)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        c->runs[i].ready = true;
        run_step(&c->runs[i]);
    }
    while (waiting(c) && uv_run(&c->session->loop, UV_RUN_ONCE)) {
    }
    const char *status = c->code == 0 ? "done" : c->code == ERR_CANCELED ? "canceled" : "failed";
    struct err save = { 0 };
    int r = campaign_save(c, status, &save);
    if (c->code < 0) {
        return err_set(err, c->code, "campaign %s: %s", c->id, err_text(&c->err));
    }
    return r < 0 ? err_set(err, r, "campaign %s: %s", c->id, err_text(&save)) : 0;
}

void campaign_free(struct campaign *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->n_runs; i++) {
        run_stop(&c->runs[i]);
        run_done(&c->runs[i]);
    }
    free(c->runs);
    campaign_lock_drop(c->lock);
    arena_free(c->arena);
    free(c->id);
    free(c);
}

const char *campaign_id(const struct campaign *c)
{
    return c->id;
}

size_t campaign_runs(const struct campaign *c)
{
    return c->n_runs;
}

const struct task *campaign_task(const struct campaign *c, size_t index)
{
    return c->runs[index].task;
}

double campaign_seconds(const struct campaign *c)
{
    return c->earlier_s + (double)(clock_ns() - c->began_ns) * 1e-9;
}

void campaign_result(const struct campaign *c, size_t index, struct campaign_result *ret)
{
    const struct run *run = &c->runs[index];
    const struct attempt *best = run_best(run);
    *ret = (struct campaign_result) {
        .task = run->task->name,
        .family = run->task->family,
        .status = run->phase == RUN_PHASE_DONE && !run->failed ? "done" : "failed",
        .why = run->why,
        .attempts = (int64_t)run->n_attempts,
        .device_s = run->device_s,
    };
    for (size_t i = 0; i < run->n_attempts; i++) {
        ret->accepted += run->attempts[i].verdict.status == VERDICT_STATUS_ACCEPTED;
    }
    if (best) {
        ret->best = best->candidate;
        ret->verdict = &best->verdict;
        ret->direction = best->direction;
        ret->strategy = best->strategy;
        ret->speedup = run_speedup(run, best);
    }
}
