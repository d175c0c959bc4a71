/* SPDX-License-Identifier: MIT */
/*
 * Live tuning of shipped kernels from nothing: no sample and no compiled image is known. How long two
 * hundred configs take, and in how much of that the device has a job (timed runs and the checks of
 * what is timed) instead of waiting for a compiler.
 */
#include "agent/bench.h"
#include "agent/catalog.h"
#include "agent/tune_show.h"
#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { TUNE_CONFIGS = 200 };
static const double seconds_most = 30, busy_least = 0.8;

struct waiting {
    struct session *session;
    struct bench_report *report;
    const char *name;
    bool done;
    int code;
    struct err *err;
};

static void figure(struct waiting *w, const char *what, double value, const char *unit,
                   enum bench_bar kind, double bar)
{
    auto_free char *name = xprintf("%s: %s", w->name, what);
    bench_figure(w->report, name, value, unit, kind, bar);
}

static void on_tuned(void *ud, const struct tuning_result *r)
{
    struct waiting *w = ud;
    bool real = !session_device(w->session)->modelled;
    w->done = true;
    if (r->code < 0 || r->best_sample < 0) {
        w->code = r->code < 0 ? err_set(w->err, r->code, "%s", r->error)
                              : err_set(w->err, ERR_INVALID, "%s: no config passed", w->name);
        return;
    }
    size_t failed = 0, slow = 0;
    for (size_t i = 0; i < r->n; i++) {
        failed += !(r->samples[i].time_us > 0);
        slow += str_eq(r->samples[i].status, "slow");
    }
    figure(w, "configs", (double)r->n, "", BENCH_BAR_NONE, 0);
    figure(w, "failed", (double)failed, "", BENCH_BAR_NONE, 0);
    figure(w, "cut short", (double)slow, "", BENCH_BAR_NONE, 0);
    figure(w, "timed again beside the best", (double)(r->retimed + r->n_finals), "", BENCH_BAR_NONE, 0);
    figure(w, "wall time", r->wall_s, "s", real ? BENCH_BAR_MOST : BENCH_BAR_NONE, seconds_most);
    figure(w, "device busy with timing and checks", tune_show_busy(r), "of wall time",
           real ? BENCH_BAR_LEAST : BENCH_BAR_NONE, busy_least);
    figure(w, "compiling, summed over workers", r->compile_s, "s", BENCH_BAR_NONE, 0);
    figure(w, "best", r->samples[r->best_sample].time_us, real ? "us" : "us modelled", BENCH_BAR_NONE,
           0);
    candidate_free(r->best);
}

static int one(struct session *s, const struct options *o, const char *name,
               struct bench_report *report, struct err *err)
{
    const char *slash = strchr(name, '/');
    struct task *task = NULL;
    struct candidate *candidate = NULL;
    struct tuning *tuning;
    if (!slash) {
        return err_set(err, ERR_INVALID, "\"%s\": expected TASK/VARIANT, matmul/05_pipeline say", name);
    }
    auto_free char *task_name = strndup(name, (size_t)(slash - name));
    int r = catalog_task(task_name, &task, err);
    r = r < 0 ? r : catalog_candidate(slash + 1, task->family, &candidate, err);
    if (r == 0) {
        struct waiting w = { .session = s, .report = report, .name = name, .err = err };
        struct tuning_options options = {
            .task = task, .candidate = candidate, .seed = (uint64_t)o->seed, .verify = true,
            .budget = o->evals > 0 ? (size_t)o->evals : TUNE_CONFIGS,
            .deadline_ms = (uint64_t)(o->deadline_s * 1000) };
        r = tuning_start(s, &options, on_tuned, &w, &tuning, err);
        while (r == 0 && !w.done && uv_run(&s->loop, UV_RUN_ONCE)) {
        }
        r = r < 0 ? r : w.code;
    }
    candidate_free(candidate);
    task_free(task);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    static const char *const shipped[] = { "gelu/03_rows_in_flight", "matmul/05_pipeline" };
    bool named = o->n_args > 1;
    size_t n = named ? o->n_args - 1 : ARRAY_LEN(shipped);
    char *folder = NULL;
    int r = bench_folder(&folder, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        auto_free char *store = xprintf("%s/store%zu", folder, i);
        struct options copy = *o;
        struct session session;
        copy.store = store;
        r = session_open(&session, &copy, SESSION_STORE | SESSION_EVALUATOR, err);
        if (r == 0) {
            r = one(&session, o, named ? o->args[i + 1] : shipped[i], report, err);
            session_close(&session);
        }
    }
    if (folder) {
        folder_remove(folder, NULL);
    }
    free(folder);
    return r;
}

const struct bench bench_tune = {
    .name = "tune",
    .summary = "live tuning with 200 configs (--evals): seconds, and how busy the device is",
    .run = run,
    .takes_names = true,
};
