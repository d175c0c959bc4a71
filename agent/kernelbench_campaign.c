/* SPDX-License-Identifier: MIT */
/*
 * Candidates that a provider proposes: every problem becomes a task's folder, OUT/tasks/levelL/NAME, and all
 * of them one campaign, whose id is kept in OUT/campaign.json. Started again, the run takes it up where it
 * stopped. A problem that a shipped family computes begins with the variant that its mapping names.
 */
#include "agent/kernelbench_run.h"
#include "agent/campaign.h"
#include "agent/ledger.h"
#include "agent/progress.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record.h"

#include <stdlib.h>
#include <string.h>

struct proposing {
    struct running *run;
    struct campaign *campaign;
    struct progress progress;
};

/* The folder's start/ is this one alone, whatever an earlier run began with. */
static int write_start(struct running *run, struct item *item, struct err *err)
{
    struct candidate *start = NULL;
    auto_free char *all = xprintf("%s/start", item->folder);
    int r = kernelbench_map_start(run->maps, item->problem, &start, err);
    if (r < 0) {
        return r;
    }
    auto_free char *own = xprintf("%s/%s", all, start->name);
    r = file_exists(all) ? folder_remove(all, err) : 0;
    r = r < 0 ? r : folder_make(own, err);
    r = r < 0 ? r : candidate_save(start, own, err);
    item->start = arena_printf(run->arena, "%s/%s", item->task->family, start->name);
    candidate_free(start);
    return r;
}

/* The oracles needn't find out again what the copy of the problem's file is. */
static void tell_oracles(struct running *run, const struct item *item)
{
    auto_free char *path = xprintf("%s/%s", item->folder, strrchr(item->problem->path, '/') + 1);
    for (size_t i = 0; i < session_devices(&run->session); i++) {
        pytorch_ask(evaluator_oracle(session_nth(&run->session, i)->evaluator),
                    json_pack("{s:s,s:s,s:O}", "kind", "know", "problem", path, "described", item->described), 0,
                    NULL, NULL);
    }
}

/* Those that can be judged, as folders; a start that fails is that problem's result. */
static int write_tasks(struct running *run, const char **names, size_t *ret_n, struct err *err)
{
    int r = 0;
    *ret_n = 0;
    for (size_t i = 0; r == 0 && i < run->n; i++) {
        struct item *item = &run->items[i];
        const struct problem *p = item->problem;
        struct err why = { 0 };
        if (!item->task) {
            continue;
        }
        item->folder = arena_printf(run->arena, "%s/tasks/level%d/%s", run->options.out, p->level, p->name);
        r = kernelbench_write_task(item->folder, p, item->document, err);
        int started = r < 0 || !item->mapped ? r : write_start(run, item, &why);
        if (r == 0 && started < 0) {
            item->code = started;
            item->why = arena_strdup(run->arena, err_text(&why));
            item->folder = NULL;
        } else if (r == 0) {
            tell_oracles(run, item);
            names[(*ret_n)++] = item->folder;
        }
    }
    return r;
}

static json_t *asked_for(const struct running *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->n; i++) {
        const struct problem *p = run->items[i].problem;
        auto_free char *name = xprintf("%d/%s", p->level, p->name);
        json_array_append_new(list, json_string(name));
    }
    return list;
}

static char *file_of(const struct running *run)
{
    return xprintf("%s/campaign.json", run->options.out);
}

static int keep_id(const struct running *run, struct err *err)
{
    auto_free char *file = file_of(run);
    json_t *doc = json_pack("{s:i,s:s,s:o}", "format", 1, "campaign", run->campaign, "problems", asked_for(run));
    auto_free char *text = json_pretty(doc);
    json_decref(doc);
    return file_write(file, text, strlen(text), err);
}

int kernelbench_campaign_find(struct running *run, struct err *err)
{
    auto_free char *file = file_of(run);
    const char *id = NULL;
    json_t *doc = NULL;
    if (run->options.fresh || !file_exists(file)) {
        return 0;
    }
    json_t *asked = asked_for(run);
    int r = jread_file(file, &doc, err);
    r = r < 0 ? r : jread_string(doc, "campaign", true, NULL, &id, err);
    if (r == 0 && !json_equal(asked, json_object_get(doc, "problems"))) {
        r = err_set(err, ERR_INVALID, "it is of a campaign over other problems: ask for the same ones, or choose "
                                      "another --out");
    }
    if (r < 0) {
        err_wrap(err, "%s", file);
    } else {
        run->campaign = arena_strdup(run->arena, id);
    }
    json_decref(doc);
    json_decref(asked);
    return r;
}

static struct item *item_of(struct running *run, const char *task)
{
    for (size_t i = 0; i < run->n; i++) {
        if (run->items[i].folder && str_eq(run->items[i].task->name, task)) {
            return &run->items[i];
        }
    }
    return NULL;
}

static int open_campaign(struct proposing *p, const char *const *names, size_t n, struct err *err)
{
    struct running *run = p->run;
    const struct options *o = &run->options;
    struct llm_options model;
    session_model_options(o, &model);
    struct campaign_options options = {
        .tasks = names, .n_tasks = n, .llm = o->llm, .tuner = o->tuner, .ablate = o->ablate,
        .seed = (uint64_t)o->seed, .steps = o->steps, .tune_budget = o->tune_budget,
        .deadline_s = o->deadline_s, .wall_s = o->wall_s, .gpu_s = o->gpu_s, .until_sol = o->until_sol,
        .samples = o->samples, .repairs = o->repairs, .usd = o->usd, .tokens = o->tokens, .no_wait = o->no_wait,
        .profile = o->profile, .model = &model,
    };
    int r;
    if (run->campaign) {
        options.llm = str_eq(o->llm, "offline") ? NULL : o->llm;
        r = campaign_resume(&run->session, run->campaign, &options, NULL, &p->campaign, err);
    } else {
        r = campaign_new(&run->session, &options, NULL, &p->campaign, err);
        run->campaign = r < 0 ? NULL : arena_strdup(run->arena, campaign_id(p->campaign));
        r = r < 0 ? r : keep_id(run, err);
    }
    for (size_t i = 0; r == 0 && i < campaign_runs(p->campaign); i++) { /* what an earlier run came to */
        struct campaign_result result;
        campaign_result(p->campaign, i, &result);
        struct item *item = item_of(run, result.task);
        if (item) {
            item->before = (size_t)result.attempts;
        }
    }
    return r;
}

static json_t *verdict_of(struct running *run, const char *key)
{
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    json_t *json = NULL;
    return *key && store_get(run->session.store, STORE_DB_VERDICTS, key, arena, &at, &len, NULL) == 0
            && jread_parse(at, len, &json, NULL) == 0 ? json : NULL;
}

static void add_attempt(struct running *run, struct item *item, const struct attempt_record *a)
{
    auto_arena struct arena *arena = arena_new();
    struct candidate_record record;
    struct err err = { 0 };
    struct entry *e = kernelbench_item_entry(item);
    e->name = arena_printf(run->arena, "%lld", (long long)a->seq);
    e->direction = arena_strdup(run->arena, a->direction);
    e->strategy = arena_strdup(run->arena, a->strategy);
    e->verdict = verdict_of(run, a->verdict);
    if (!*a->candidate) {
        e->error = xstrdup(a->status); /* a model that said nothing usable */
    } else if (record_get_candidate(run->session.store, a->candidate, arena, &record, &err) < 0
               || candidate_parse(record.plan, strlen(record.plan), record.source, strlen(record.source),
                                  &e->candidate, &err) < 0) {
        e->error = xstrdup(err_text(&err));
    }
}

/* All that was tried on a problem, from the store. */
static void collect(struct running *run, struct item *item)
{
    auto_arena struct arena *arena = arena_new();
    struct attempt_record *attempts;
    size_t n = 0;
    struct err err = { 0 };
    kernelbench_item_clear(item);
    if (record_list_attempts(run->session.store, run->campaign, item->task->name, arena, &attempts, &n, &err) < 0) {
        item->why = arena_strdup(run->arena, err_text(&err));
        item->code = err.code;
    }
    for (size_t i = 0; i < n; i++) {
        add_attempt(run, item, &attempts[i]);
    }
}

/* Whoever is killed on the way has the problems that were done, if without PyTorch's times. */
static void on_event(void *ud, const struct campaign_event *event)
{
    struct proposing *p = ud;
    struct item *item = item_of(p->run, event->task);
    struct err err = { 0 };
    if (event->kind != CAMPAIGN_EVENT_ENDED && !p->run->options.quiet && !kernelbench_run_quiet(p->run)) {
        progress_event(&p->progress, event);
    }
    if (!item) {
        return;
    }
    item->began_ns = item->began_ns ? item->began_ns : clock_ns();
    item->ended_ns = clock_ns();
    if (event->kind == CAMPAIGN_EVENT_ENDED) {
        item->ended = arena_strdup(p->run->arena, event->text);
        collect(p->run, item);
        if (kernelbench_item_keep(item, &err) < 0) {
            log_line(p->run->session.log, LOG_LEVEL_WARN, "kernelbench", "not kept: %s", err_text(&err));
        }
    }
}

static json_t *cost_json(const struct item *item, const struct ledger_line *line)
{
    double wall = (double)(item->ended_ns - item->began_ns) * 1e-9;
    return json_pack("{s:f,s:I,s:f,s:f}", "usd", line ? line->usd + line->usd_unsure : 0.0, "tokens",
                     line ? (json_int_t)(line->tokens_in + line->tokens_out) : (json_int_t)0, "gpu_s",
                     line ? line->device_s : 0.0, "wall_s", wall);
}

static void take_results(struct proposing *p)
{
    struct running *run = p->run;
    auto_arena struct arena *arena = arena_new();
    struct ledger_line *lines = NULL, total;
    size_t n = 0;
    ledger_read(run->session.store, run->campaign, arena, &lines, &n, &total, NULL);
    for (size_t i = 0; i < campaign_runs(p->campaign); i++) {
        struct campaign_result result;
        const struct ledger_line *line = NULL;
        campaign_result(p->campaign, i, &result);
        struct item *item = item_of(run, result.task);
        for (size_t k = 0; k < n; k++) {
            line = str_eq(lines[k].task, result.task) ? &lines[k] : line;
        }
        if (item) {
            collect(run, item);
            item->cost = cost_json(item, line);
            item->ended = arena_strdup(run->arena, result.why);
            for (size_t k = 0; k < MIN(item->before, item->n); k++) {
                item->entries[k].known = true;
            }
            if (!item->n) {
                bool waits = str_eq(result.status, "waiting");
                item->code = waits ? ERR_CANCELED : ERR_DEVICE;
                item->why = waits ? "a reply is awaited" : item->ended;
            }
        }
    }
}

int kernelbench_campaign(struct running *run, struct err *err)
{
    struct proposing p = { .run = run };
    const char **names = arena_alloc(run->arena, run->n + 1, sizeof(*names));
    size_t n = 0;
    int r = write_tasks(run, names, &n, err);
    if (r < 0 || n == 0) {
        return r; /* nothing to propose for; the results say why */
    }
    r = open_campaign(&p, names, n, err);
    if (r < 0) {
        campaign_free(p.campaign);
        return r;
    }
    progress_init(&p.progress, stdout, session_device(&run->session)->modelled);
    campaign_on_event(p.campaign, on_event, &p);
    if (!kernelbench_run_quiet(run)) {
        printf("campaign %s: %zu problems on %zu x %s\n", run->campaign, n, session_devices(&run->session),
               session_device(&run->session)->name);
    }
    r = campaign_run(p.campaign, err);
    if (r == 0) {
        const char *where;
        size_t awaited = campaign_awaited(p.campaign, &where);
        take_results(&p);
        if (awaited && !kernelbench_run_quiet(run)) {
            printf("%zu replies are awaited in %s; the same command goes on then\n", awaited, where);
        }
    }
    campaign_free(p.campaign);
    return r;
}
