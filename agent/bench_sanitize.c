/* SPDX-License-Identifier: MIT */
/*
 * What --sanitize finds. tests/sanitize holds kernels that give right results and do one thing that
 * they mustn't; the tool that must find it is in each folder's name. Shipped kernels must be clean. On
 * the simulator its own diagnoses stand in, and they refuse the kernel as it runs.
 */
#include "agent/bench.h"
#include "agent/bench_judge.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *task, *variant;
} clean[] = { { "softmax", "02_block_per_row" }, { "softmax", "04_async_ring" },
              { "matmul", "05_pipeline" }, { "column_sum", "05_split_atomic" } };

static int judge(struct session *s, const struct task *task, const struct candidate *candidate,
                 struct judged *ret, struct err *err)
{
    struct judge_request request = { .task = task, .candidate = candidate, .sanitize = true,
                                     .depth = JUDGE_DEPTH_CHECK };
    int r = judge_wait(s, &request, ret, err);
    if (r == 0 && str_eq(ret->sanitizer, "not available")) {
        r = err_set(err, ERR_ENVIRONMENT, "%s", ret->found);
    }
    return r;
}

static void tell(struct bench_report *report, const struct judged *j)
{
    if (report->out) {
        fprintf(report->out, "  %s (%s) %s\n", j->status, j->phase, j->found);
    }
}

static int planted(struct session *s, const struct task *task, const char *folder,
                   const char *name, struct bench_report *report, struct err *err)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    const char *tool = strchr(name, '_') ? strchr(name, '_') + 1 : name;
    struct candidate *candidate = NULL;
    struct judged j = { 0 };
    int r = candidate_load(path, &candidate, err);
    r = r < 0 ? r : judge(s, task, candidate, &j, err);
    if (r == 0) {
        auto_free char *mark = xprintf("%s: ", tool);
        auto_free char *figure = xprintf("%s: found", name);
        bool modelled = evaluator_device(s->evaluator)->modelled;
        bool found = str_eq(j.phase, "sanitize") && (modelled || strstr(j.found, mark));
        bool diagnosed = modelled && str_eq(j.status, "launch_error");
        tell(report, &j);
        bench_figure(report, figure, found || diagnosed, "yes", BENCH_BAR_LEAST, 1);
    }
    candidate_free(candidate);
    return r;
}

static int shipped(struct session *s, const char *task_name, const char *variant,
                   struct bench_report *report, struct err *err)
{
    struct task *task = NULL;
    struct candidate *candidate = NULL;
    struct judged j = { 0 };
    int r = catalog_task(task_name, &task, err);
    r = r < 0 ? r : catalog_candidate(variant, task->family, &candidate, err);
    r = r < 0 ? r : judge(s, task, candidate, &j, err);
    if (r == 0) {
        auto_free char *figure = xprintf("%s %s: clean", task_name, variant);
        auto_free char *seconds = xprintf("%s %s: seconds", task_name, variant);
        tell(report, &j);
        bench_figure(report, figure, str_eq(j.status, "accepted"), "yes", BENCH_BAR_LEAST, 1);
        bench_figure(report, seconds, j.seconds, "s", BENCH_BAR_NONE, 0);
    }
    candidate_free(candidate);
    task_free(task);
    return r;
}

static int all(struct session *s, const char *folder, struct bench_report *report, struct err *err)
{
    struct task *task = NULL;
    int r = catalog_task("softmax", &task, err);
    struct dirent **found = NULL;
    int n = scandir(folder, &found, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (r == 0 && found[i]->d_name[0] != '.') {
            r = planted(s, task, folder, found[i]->d_name, report, err);
        }
        free(found[i]);
    }
    free(found);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(clean); i++) {
        r = shipped(s, clean[i].task, clean[i].variant, report, err);
    }
    task_free(task);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    auto_free char *folder = NULL;
    int r = file_find_shipped("tests/sanitize", &folder, err);
    if (r < 0) {
        return r;
    }
    struct session session;
    r = session_open(&session, o, SESSION_EVALUATOR, err);
    if (r < 0) {
        return r;
    }
    r = all(&session, folder, report, err);
    session_close(&session);
    return r;
}

const struct bench bench_sanitize = {
    .name = "sanitize",
    .summary = "planted faults that compute-sanitizer finds, and shipped kernels that are clean",
    .run = run,
};
