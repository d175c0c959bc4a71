/* SPDX-License-Identifier: MIT */
#include "agent/campaign_internal.h"
#include "agent/provider_model.h"
#include "agent/tune/tuner.h"
#include "agent/tune_desk.h"
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

int campaign_save(struct campaign *c, const char *status, struct err *err)
{
    auto_free char *text = campaign_options_text(c);
    const struct device_info *d = session_device(c->session);
    bool over = !str_eq(status, "running");
    struct campaign_record record = {
        .id = c->id,
        .status = status,
        .device = d->name,
        .llm = c->options.llm ? c->options.llm : c->provider->name,
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
        o->tune_budget = session_device(c->session)->modelled ? CAMPAIGN_TUNE_MODELLED : CAMPAIGN_TUNE;
    }
    o->samples = o->samples < 1 ? 1 : o->samples;
    o->repairs = o->repairs < 0 ? CAMPAIGN_REPAIRS : o->repairs;
    c->budget.usd_most = o->usd;
    c->budget.tokens_most = o->tokens;
}

/* NULL and "none" are fine. */
static int check_tuner(const char *name, struct err *err)
{
    auto_buf struct buf known;
    buf_init(&known, 4096);
    bool found = !name || str_eq(name, "none");
    for (const char *const *a = tuner_algorithms(); *a && !found; a++) {
        found = str_eq(name, *a);
        buf_printf(&known, "%s, ", *a);
    }
    return found ? 0 : err_set(err, ERR_INVALID, "--tuner %s: there are %sand none", name, known.at);
}

/* What makes no sense is said before anything is opened or kept. */
static int check_options(struct campaign *c, struct err *err)
{
    const struct campaign_options *o = &c->options;
    if (o->ablate && !select_ablation_parse(o->ablate, &c->ablation)) {
        return err_set(err, ERR_INVALID, "--ablate %s: there are flat, random, no-prefix, "
                       "no-position, no-local, frozen and none", o->ablate);
    }
    int r = check_tuner(o->tuner, err);
    if (r < 0) {
        return r;
    }
    if (o->n_tasks < 1 || o->n_tasks > CAMPAIGN_TASKS_MAX) {
        return err_set(err, ERR_INVALID, "a campaign has 1 to %d tasks", CAMPAIGN_TASKS_MAX);
    }
    if (o->samples > CAMPAIGN_SAMPLES_MAX) {
        return err_set(err, ERR_INVALID, "--samples %lld: at most %d", (long long)o->samples,
                       CAMPAIGN_SAMPLES_MAX);
    }
    return 0;
}

static int open_provider(struct campaign *c, const struct provider *given, struct err *err)
{
    const char *llm = c->options.llm;
    if (given || !llm || str_eq(llm, "offline")) {
        c->provider = given ? given : provider_offline();
        return 0;
    }
    int r = provider_model_new(c, &c->own_provider, err);
    c->provider = c->own_provider;
    return r;
}

static int open_runs(struct campaign *c, struct err *err)
{
    c->runs = xcalloc(c->options.n_tasks, sizeof(*c->runs));
    for (size_t i = 0; i < c->options.n_tasks; i++) {
        c->n_runs++;
        int r = run_init(&c->runs[i], c, c->options.tasks[i], err);
        for (size_t k = 0; r == 0 && k < i; k++) {
            if (str_eq(c->runs[k].task->name, c->runs[i].task->name)) {
                r = err_set(err, ERR_INVALID, "task %s is named twice", c->runs[i].task->name);
            }
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Everything that can be found wrong before the first step is found here. */
static int prepare(struct campaign *c, const struct provider *provider, struct err *err)
{
    int r = check_options(c, err);
    if (r == 0) {
        set_defaults(c);
    }
    r = r < 0 ? r : open_provider(c, provider, err);
    return r < 0 ? r : open_runs(c, err);
}

int campaign_family(struct campaign *c, const char *name, const struct catalog_family **ret,
                    struct err *err)
{
    for (struct family_entry *e = c->families; e; e = e->next) {
        if (str_eq(e->name, name)) {
            *ret = &e->family;
            return 0;
        }
    }
    struct family_entry *e = xcalloc(1, sizeof(*e));
    int r = catalog_family(name, &e->family, err);
    if (r < 0) {
        free(e);
        return r;
    }
    e->name = xstrdup(name);
    e->next = c->families;
    c->families = e;
    *ret = &e->family;
    return 0;
}

static struct campaign *new_campaign(struct session *session)
{
    struct campaign *c = xcalloc(1, sizeof(*c));
    c->session = session;
    c->arena = arena_new();
    c->turns = turns_new(&session->loop);
    c->began_ns = clock_ns();
    return c;
}

int campaign_new(struct session *session, const struct campaign_options *options,
                 const struct provider *provider, struct campaign **ret, struct err *err)
{
    struct campaign *c = new_campaign(session);
    c->id = make_id();
    c->started_s = (int64_t)time(NULL);
    campaign_options_copy(c, options);
    int r = prepare(c, provider, err);
    r = r < 0 ? r : campaign_lock_take(store_path(session->store), c->id, &c->lock, err);
    r = r < 0 ? r : campaign_save(c, "running", err);
    r = r < 0 ? r : replay_keep(c, err);
    if (r < 0) {
        campaign_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

int campaign_replay(struct session *session, const struct recording *recording,
                    struct campaign **ret, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct campaign_record record;
    struct campaign *c = new_campaign(session);
    c->id = xstrdup(recording->campaign);
    int r = record_get_campaign(session->store, c->id, arena, &record, err);
    r = r < 0 ? r : replay_new(session, recording, &c->replay, err);
    if (r == 0) {
        const char **tasks = arena_alloc(arena, record.n_tasks + 1, sizeof(*tasks));
        for (size_t i = 0; i < record.n_tasks; i++) { /* by name: the record brings their folders */
            const char *name = json_string_value(json_array_get(recording->tasks, i));
            tasks[i] = name ? name : "";
        }
        record.tasks = tasks;
        r = campaign_options_read(c, &record, NULL, err);
    }
    if (r == 0) {
        c->options.start = recording->start ? arena_printf(c->arena, "%s/start", recording->home) : NULL;
        c->options.baseline
            = recording->baseline ? arena_printf(c->arena, "%s/baseline", recording->home) : NULL;
    }
    r = r < 0 ? r : prepare(c, NULL, err);
    if (r < 0) {
        err_wrap(err, "record of campaign %s", recording->campaign);
        campaign_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static int check_device(struct campaign *c, const struct campaign_record *record, struct err *err)
{
    const struct device_info *d = session_device(c->session);
    if (str_eq(record->device, d->name)) {
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   "campaign %s ran on \"%s\", this is \"%s\": times of two devices can't be compared; "
                   "choose the first with --gpu, or start a new campaign",
                   c->id, record->device, d->name);
}

int campaign_resume(struct session *session, const char *id, const struct campaign_options *changes,
                    const struct provider *provider, struct campaign **ret, struct err *err)
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
    if (str_eq(record.extra, TUNE_DESK_EXTRA)) {
        return err_set(err, ERR_INVALID, "%s is a tuning: give its command again, and it goes on from what "
                       "the store knows", id);
    }
    struct campaign *c = new_campaign(session);
    c->id = xstrdup(record.id);
    c->started_s = record.started_s;
    r = campaign_lock_take(store_path(session->store), c->id, &c->lock, err);
    r = r < 0 ? r : check_device(c, &record, err);
    r = r < 0 ? r : campaign_options_read(c, &record, changes, err);
    r = r < 0 ? r : prepare(c, provider, err);
    for (size_t i = 0; r == 0 && i < c->n_runs; i++) {
        bool pending = false;
        r = run_load(&c->runs[i], &pending, err);
        c->runs[i].phase = pending ? RUN_PHASE_SAMPLES : RUN_PHASE_NEXT;
    }
    /* A step that the budget ended has no attempt: its seconds are spent all the same. */
    c->device_s = MAX(c->device_s, c->earlier_device_s);
    r = r < 0 ? r : ledger_budget(session->store, c->id, &c->budget, err);
    r = r < 0 ? r : campaign_save(c, "running", err);
    r = r < 0 ? r : replay_keep(c, err);
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

void campaign_stop_runs(struct campaign *c)
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
    campaign_stop_runs(c);
}

void campaign_stop(struct campaign *c)
{
    campaign_fail(c, ERR_CANCELED, "stopped");
}

bool campaign_over_budget(const struct campaign *c, const char **ret_why)
{
    if (c->replay) {
        return false; /* where it ended stands in the record */
    }
    if (c->options.wall_s > 0 && campaign_seconds(c) >= c->options.wall_s) {
        *ret_why = "the wall-clock budget is used up";
        return true;
    }
    if (c->options.gpu_s > 0 && c->device_s >= c->options.gpu_s) {
        *ret_why = "the budget of device seconds is used up";
        return true;
    }
    return false;
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
    provider_model_free(c->own_provider);
    turns_free(c->turns);
    if (c->replay) {
        c->session->recorded = NULL;
        replay_free(c->replay);
    }
    while (c->families) {
        struct family_entry *e = c->families;
        c->families = e->next;
        catalog_family_done(&e->family);
        free(e->name);
        free(e);
    }
    campaign_lock_drop(c->lock);
    arena_free(c->arena);
    free(c->id);
    free(c);
}

const char *campaign_id(const struct campaign *c)
{
    return c->id;
}

size_t campaign_awaited(const struct campaign *c, const char **ret_where)
{
    struct provider_facts facts = { .where = "" };
    if (c->provider->facts) {
        c->provider->facts(c->provider, &facts);
    }
    *ret_where = facts.where;
    return c->awaited;
}

const char *campaign_llm(const struct campaign *c, const char **ret_model)
{
    struct provider_facts facts = { .model = "" };
    if (c->provider->facts) {
        c->provider->facts(c->provider, &facts);
    }
    *ret_model = facts.model;
    return c->provider->name;
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
        .status = run->phase == RUN_PHASE_DONE ? (run->failed ? "failed" : "done")
            : c->awaited                       ? "waiting"
                                               : "failed",
        .why = run->why,
        .attempts = (int64_t)run->n_attempts,
        .device_s = run->device_s,
    };
    for (size_t i = 0; i < run->n_attempts; i++) {
        const struct attempt *a = &run->attempts[i];
        ret->accepted += a->judged && a->verdict.status == VERDICT_STATUS_ACCEPTED;
    }
    if (best) {
        ret->best = best->candidate;
        ret->verdict = &best->verdict;
        ret->direction = best->direction;
        ret->strategy = best->strategy;
        ret->speedup = run_speedup(run, best);
    }
}
