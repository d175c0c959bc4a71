/* SPDX-License-Identifier: MIT */
/* optimize and resume: a campaign with progress, Ctrl-C, best/, report.html and JSON. */
#include "agent/best.h"
#include "agent/catalog.h"
#include "agent/command.h"
#include "agent/ledger.h"
#include "agent/progress.h"
#include "agent/report.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct interrupt {
    uv_signal_t handles[2];
    struct campaign *campaign;
    int times;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct interrupt *i = handle->data;
    if (++i->times > 1) {
        _exit(128 + number);
    }
    campaign_stop(i->campaign);
}

static void interrupt_start(struct interrupt *i, uv_loop_t *loop, struct campaign *campaign)
{
    const int numbers[] = { SIGINT, SIGTERM };
    i->campaign = campaign;
    i->times = 0;
    for (size_t k = 0; k < ARRAY_LEN(i->handles); k++) {
        uv_signal_init(loop, &i->handles[k]);
        i->handles[k].data = i;
        uv_signal_start(&i->handles[k], on_signal, numbers[k]);
        uv_unref((uv_handle_t *)&i->handles[k]);
    }
}

static void interrupt_stop(struct interrupt *i)
{
    for (size_t k = 0; k < ARRAY_LEN(i->handles); k++) {
        uv_close((uv_handle_t *)&i->handles[k], NULL);
    }
    uv_run(i->handles[0].loop, UV_RUN_NOWAIT);
}

static json_t *cost_json(const struct ledger_line *line, double device_s, double wall_s)
{
    return json_pack("{s:f, s:I, s:f, s:f, s:I, s:I, s:I, s:I}", "usd", line->usd + line->usd_unsure,
                     "tokens", (json_int_t)(line->tokens_in + line->tokens_out), "gpu_s", device_s,
                     "wall_s", wall_s, "calls", (json_int_t)line->calls, "corrections",
                     (json_int_t)line->corrections, "repairs", (json_int_t)line->repairs,
                     "awaited", (json_int_t)line->open);
}

static json_t *result_json(const struct campaign *c, const struct campaign_result *r,
                           const struct ledger_line *line, bool modelled)
{
    const char *model;
    const char *llm = campaign_llm(c, &model);
    json_t *best = json_null();
    if (r->best) {
        char hex[ID_HEX];
        id_hex(&r->best->id, hex);
        best = json_pack("{s:s, s:f, s:f, s:f, s:s, s:s}", "id", hex, "speedup", r->speedup,
                         "median_us", r->verdict->time.median_us, "sol", r->verdict->sol,
                         "direction", r->direction, "strategy", r->strategy);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:o, s:o}", "campaign",
                     campaign_id(c), "task", r->task, "status", r->status, "why", r->why, "llm", llm,
                     "model", model, "attempts", (json_int_t)r->attempts, "accepted",
                     (json_int_t)r->accepted, "modelled", modelled, "best", best, "cost",
                     cost_json(line, r->device_s, campaign_seconds(c)));
}

static const struct ledger_line *line_of(const struct ledger_line *lines, size_t n,
                                         const char *task)
{
    static const struct ledger_line none;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(lines[i].task, task)) {
            return &lines[i];
        }
    }
    return &none;
}

/* One object for one task; for several, {"campaign", "tasks": [...], "cost"}. */
static json_t *campaign_json(const struct campaign *c, const struct ledger_line *lines, size_t n,
                             const struct ledger_line *total, bool modelled)
{
    json_t *tasks = json_array();
    for (size_t i = 0; i < campaign_runs(c); i++) {
        struct campaign_result r;
        campaign_result(c, i, &r);
        json_array_append_new(tasks, result_json(c, &r, line_of(lines, n, r.task), modelled));
    }
    if (json_array_size(tasks) == 1) {
        json_t *one = json_incref(json_array_get(tasks, 0));
        json_decref(tasks);
        return one;
    }
    return json_pack("{s:s, s:o, s:o}", "campaign", campaign_id(c), "tasks", tasks, "cost",
                     cost_json(total, total->device_s, campaign_seconds(c)));
}

static void print_cost(FILE *out, const struct campaign *c, const struct ledger_line *total)
{
    const char *model;
    const char *llm = campaign_llm(c, &model);
    if (total->calls == 0) {
        return;
    }
    fprintf(out, "  %s%s%s: %lld calls (%lld corrections, %lld repairs)", llm, *model ? " " : "",
            model, (long long)total->calls, (long long)total->corrections,
            (long long)total->repairs);
    if (total->unknown < total->answered) {
        fprintf(out, ", %lld tokens in (%lld cached), %lld out", (long long)total->tokens_in,
                (long long)total->tokens_cached, (long long)total->tokens_out);
    }
    if (total->unknown) {
        fprintf(out, ", %lld replies without a count of tokens", (long long)total->unknown);
    }
    if (total->usd > 0) {
        fprintf(out, ", $%.4f", total->usd);
    }
    if (total->usd_unsure > 0) {
        fprintf(out, " and at most $%.4f for calls that were cut off", total->usd_unsure);
    }
    fprintf(out, "\n");
}

static void print_result(FILE *out, const struct campaign_result *r, bool modelled,
                         const char *folder)
{
    if (!r->best) {
        fprintf(out, "\n%s: no candidate was accepted (%s)\n", r->task, r->why);
        return;
    }
    fprintf(out, "\n%s: best %.4g us%s", r->task, r->verdict->time.median_us,
            modelled ? " (modelled, not measured)" : "");
    if (r->speedup > 0) {
        fprintf(out, ", %.2fx the baseline", r->speedup);
    }
    if (r->verdict->sol > 0) {
        fprintf(out, ", %.0f %% of the speed of light", 100 * r->verdict->sol);
    }
    if (*r->strategy) {
        fprintf(out, ", by %s", r->strategy);
    }
    fprintf(out, "\n  %s/best/kernel.cu and plan.json, with verdict and compiled image\n", folder);
}

/* best/ of each task: OUT/best for one, OUT/TASK/best for several. */
static int write_results(struct session *s, struct campaign *c, const char *out, FILE *say,
                         bool *ret_all, struct err *err)
{
    bool modelled = evaluator_device(s->evaluator)->modelled;
    int r = folder_make(out, err);
    *ret_all = true;
    for (size_t i = 0; r == 0 && i < campaign_runs(c); i++) {
        struct campaign_result result;
        campaign_result(c, i, &result);
        auto_free char *folder = campaign_runs(c) == 1 ? xstrdup(out)
                                                       : xprintf("%s/%s", out, result.task);
        *ret_all = *ret_all && result.best;
        if (result.best) {
            auto_free char *best = xprintf("%s/best", folder);
            r = best_write(s, campaign_task(c, i), result.best, result.verdict, best, err);
        }
        print_result(say, &result, modelled, folder);
        if (r == 0 && result.best && s->options->sanitize && s->evaluator) {
            auto_free char *best = xprintf("%s/best", folder);
            bool clean = false;
            r = best_sanitize(s, campaign_task(c, i), result.best, best, say, &clean, err);
            *ret_all = *ret_all && clean;
        }
    }
    auto_free char *report = xprintf("%s/report.html", out);
    r = r < 0 ? r : report_write(s->store, campaign_id(c), report, err);
    if (r == 0) {
        fprintf(say, "  %s\n", report);
    }
    return r;
}

static void say_awaited(FILE *say, const struct session *s, const struct campaign *c, size_t n,
                        const char *where)
{
    const struct options *o = s->options;
    bool own = o->store == o->owned_store;
    fprintf(say, "\n%zu %s awaited in %s, as KEY.json or KEY.txt for each KEY.json beside it in out/; "
            "then: warpsmith resume %s --no-wait%s%s\n", n, n == 1 ? "reply is" : "replies are", where,
            campaign_id(c), own ? "" : " --store ", own ? "" : o->store);
}

/* What there is to show: the best of each task, report, JSON. */
static int show(struct session *s, struct campaign *c, const char *out, FILE *say, int *ret_code,
                struct err *err)
{
    bool modelled = evaluator_device(s->evaluator)->modelled, all = false;
    auto_arena struct arena *arena = arena_new();
    struct ledger_line *lines = NULL, total;
    size_t n = 0;
    const char *where;
    size_t awaited = campaign_awaited(c, &where);
    int r = write_results(s, c, out, say, &all, err);
    r = r < 0 ? r : ledger_read(s->store, campaign_id(c), arena, &lines, &n, &total, err);
    if (r == 0) {
        print_cost(say, c, &total);
        if (s->options->json) {
            r = output_json(s->options->json, campaign_json(c, lines, n, &total, modelled), err);
        }
    }
    if (awaited) {
        say_awaited(say, s, c, awaited, where);
    }
    *ret_code = all || awaited ? EXIT_DONE : EXIT_NEGATIVE;
    return r;
}

int command_run_campaign(struct session *s, struct campaign *c)
{
    const struct options *o = s->options;
    FILE *say = str_eq(o->json, "-") ? stderr : stdout;
    bool modelled = evaluator_device(s->evaluator)->modelled, own = o->store == o->owned_store;
    auto_free char *out = o->out ? xstrdup(o->out) : xprintf("runs/%s", campaign_id(c));
    struct progress progress;
    progress_init(&progress, say, modelled);
    if (!o->quiet) {
        const char *model;
        const char *llm = campaign_llm(c, &model);
        campaign_on_event(c, progress_event, &progress);
        fprintf(say, "campaign %s on %s, results in %s\n", campaign_id(c),
                evaluator_device(s->evaluator)->name, out);
        if (!str_eq(llm, "offline")) {
            fprintf(say, "asking %s%s%s\n", llm, *model ? " " : "", model);
        }
    }
    struct interrupt interrupt;
    interrupt_start(&interrupt, &s->loop, c);
    struct err err = { 0 };
    int r = campaign_run(c, &err);
    interrupt_stop(&interrupt);
    int code = EXIT_DONE;
    if (r == ERR_CANCELED) {
        fprintf(say, "\nstopped; nothing verified is lost. Go on with: warpsmith resume %s%s%s\n",
                campaign_id(c), own ? "" : " --store ", own ? "" : o->store);
        code = EXIT_NEGATIVE;
    } else if (r < 0) {
        code = options_fail(&err);
        fprintf(stderr, "warpsmith: what was verified is kept; go on with: warpsmith resume %s%s%s\n",
                campaign_id(c), own ? "" : " --store ", own ? "" : o->store);
    } else if (show(s, c, out, say, &code, &err) < 0) {
        code = options_fail(&err);
    }
    campaign_free(c);
    return code;
}

static int run_optimize(const struct options *o)
{
    struct session session;
    struct err err = { 0 };
    int oracle = catalog_asks_oracle(o->args, o->n_args) ? SESSION_ORACLE : 0;
    if (session_open(&session, o, SESSION_STORE | SESSION_MEMORY | SESSION_EVALUATOR | oracle, &err) < 0) {
        return options_fail(&err);
    }
    struct llm_options model;
    session_model_options(o, &model);
    struct campaign_options options = {
        .tasks = o->args, .n_tasks = o->n_args, .start = o->start, .baseline = o->baseline,
        .llm = o->llm, .tuner = o->tuner, .ablate = o->ablate, .seed = (uint64_t)o->seed,
        .steps = o->steps, .tune_budget = o->tune_budget, .deadline_s = o->deadline_s,
        .wall_s = o->wall_s, .gpu_s = o->gpu_s, .until_sol = o->until_sol, .samples = o->samples,
        .repairs = o->repairs, .usd = o->usd, .tokens = o->tokens, .no_wait = o->no_wait,
        .profile = o->profile, .model = &model,
    };
    struct campaign *campaign;
    int code = campaign_new(&session, &options, NULL, &campaign, &err) < 0
        ? options_fail(&err)
        : command_run_campaign(&session, campaign);
    session_close(&session);
    return code;
}

/* A campaign that isn't there is campaign_resume's to report. */
static bool resumes_with_oracle(const struct session *s, const char *id)
{
    auto_arena struct arena *arena = arena_new();
    struct campaign_record record;
    return record_get_campaign(s->store, id, arena, &record, NULL) == 0
        && catalog_asks_oracle(record.tasks, record.n_tasks);
}

static int run_resume(const struct options *o)
{
    struct session session;
    struct err err = { 0 };
    int opened = session_open(&session, o, SESSION_STORE | SESSION_MEMORY, &err);
    if (opened == 0) {
        opened = session_evaluator(&session, resumes_with_oracle(&session, o->args[0]), &err);
        if (opened < 0) {
            session_close(&session);
        }
    }
    if (opened < 0) {
        return options_fail(&err);
    }
    struct llm_options model;
    session_model_options(o, &model);
    struct campaign_options changes = {
        .llm = str_eq(o->llm, "offline") ? NULL : o->llm, .steps = o->steps, .wall_s = o->wall_s,
        .gpu_s = o->gpu_s, .usd = o->usd, .tokens = o->tokens, .no_wait = o->no_wait,
        .profile = o->profile, .model = &model,
    };
    struct campaign *campaign;
    int code = campaign_resume(&session, o->args[0], &changes, NULL, &campaign, &err) < 0
        ? options_fail(&err)
        : command_run_campaign(&session, campaign);
    session_close(&session);
    return code;
}

const struct command command_optimize = {
    .name = "optimize",
    .summary = "improve a task's kernel, step by step, each step verified",
    .usage = "optimize TASK... [options]",
    .help = "Runs a campaign over one or more tasks: picks a direction from the memory, gets a candidate,\n"
            "tunes and judges it, learns, goes on. Ctrl-C stops it cleanly; resume goes on.\n\n"
            "  warpsmith optimize softmax\n"
            "  warpsmith optimize softmax --llm anthropic:MODEL --samples 3 --usd 5\n"
            "  warpsmith optimize softmax --llm spool:requests --no-wait\n"
            "  warpsmith optimize softmax matmul --gpu 0 --steps 20 --out runs/mine",
    .takes = "gpu store out json profile sanitize llm model base-url key-file ca proxy prices max-tokens "
             "temperature "
             "llm-timeout samples repairs usd tokens wall gpu-seconds until-sol no-wait start baseline "
             "ablate tuner tune seed steps jobs deadline fresh quiet verbose",
    .args_min = 1,
    .args_max = CAMPAIGN_TASKS_MAX,
    .run = run_optimize,
};

const struct command command_resume = {
    .name = "resume",
    .summary = "go on with a campaign that was stopped or killed",
    .usage = "resume CAMPAIGN [options]",
    .help = "Goes on where the campaign stopped, with the options it was started with; those given here "
            "count\ninstead.\n\n"
            "  warpsmith resume c6a1f3b2d4e5f",
    .takes = "gpu store out json profile sanitize llm model base-url key-file ca proxy prices max-tokens "
             "temperature "
             "llm-timeout usd tokens wall gpu-seconds steps no-wait jobs quiet verbose",
    .args_min = 1,
    .args_max = 1,
    .run = run_resume,
};
