/* SPDX-License-Identifier: MIT */
/*
 * The gate of the tasks themselves: which trivial candidates (zeros, a constant, a copy of an input,
 * the answer to other inputs, half of the work) pass the comparison of each shipped task. None
 * should. One that passes at a shape that isn't timed is told, and does no harm.
 */
#include "agent/bench.h"
#include "agent/bench_judge.h"
#include "agent/catalog.h"
#include "base/util.h"

#include <stdlib.h>

struct wait {
    bool done;
    int code;
    bool degenerate;
    const char *task;
    struct bench_report *report;
    struct err *err;
};

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct wait *w = ud;
    w->done = true;
    w->code = code;
    if (code < 0) {
        err_set(w->err, code, "task %s: %s", w->task, error);
        return;
    }
    bool looked = v->status == VERDICT_STATUS_ACCEPTED || v->status == VERDICT_STATUS_SUSPECT;
    w->degenerate = *v->degenerate;
    if (!looked) {
        w->code = err_set(w->err, ERR_INVALID, "task %s: %s: %s", w->task,
                          verdict_status_name(v->status), v->detail);
    } else if (w->report->out) {
        fprintf(w->report->out, "%-14s %s\n", w->task, v->detail);
    }
}

static int one_task(struct session *s, const char *name, struct bench_report *report,
                    bool *ret_degenerate, struct err *err)
{
    struct task *task = NULL;
    struct wait wait = { .task = name, .report = report, .err = err };
    int r = catalog_task(name, &task, err);
    if (r < 0) {
        return r;
    }
    struct judge_request request = { .task = task, .depth = JUDGE_DEPTH_TASK };
    evaluator_judge(s->evaluator, &request, on_judged, &wait);
    while (!wait.done && uv_run(&s->loop, UV_RUN_ONCE)) {
    }
    task_free(task);
    *ret_degenerate = wait.degenerate;
    return wait.code;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    struct session session;
    int r = session_open(&session, o, SESSION_EVALUATOR, err);
    if (r < 0) {
        return r;
    }
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0, degenerate = 0;
    r = catalog_names(false, names, &n, err);
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        r = r < 0 ? r : one_task(&session, names[i], report, &found, err);
        degenerate += found;
        free(names[i]);
    }
    if (r == 0) {
        bench_figure(report, "shipped tasks", (double)n, "", BENCH_BAR_NONE, 0);
        bench_figure(report, "that a trivial candidate passes", (double)degenerate, "",
                     BENCH_BAR_MOST, 0);
    }
    session_close(&session);
    return r;
}

const struct bench bench_degenerate = {
    .name = "degenerate",
    .summary = "do trivial candidates pass the shipped tasks",
    .run = run,
};
