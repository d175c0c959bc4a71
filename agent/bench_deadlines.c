/* SPDX-License-Identifier: MIT */
/*
 * Hostile candidates (tests/hostile): each must be judged, and never accepted, within its deadline
 * plus one second; the honest candidate after it must start within three and be judged as if nothing
 * had happened.
 */
#include "agent/bench.h"
#include "agent/bench_judge.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <stdlib.h>

#define DEADLINE_S 2.0

static int one(struct session *s, const struct task *task, const char *folder, const char *name,
               double deadline_s, struct bench_report *report, struct err *err)
{
    auto_free char *path = xprintf("%s/%s", folder, name);
    struct candidate *candidate = NULL, *honest = NULL;
    int r = candidate_load(path, &candidate, err);
    r = r < 0 ? r : catalog_candidate("02_block_per_row", task->family, &honest, err);
    struct judge_request request = { .task = task, .candidate = candidate,
                                     .depth = JUDGE_DEPTH_FULL,
                                     .deadline_ms = (uint64_t)(deadline_s * 1000) };
    struct judged hostile, after;
    r = r < 0 ? r : judge_wait(s, &request, &hostile, err);
    request.candidate = honest;
    request.depth = JUDGE_DEPTH_QUICK;
    request.deadline_ms = 0;
    r = r < 0 ? r : judge_wait(s, &request, &after, err);
    if (r == 0) {
        auto_free char *seconds = xprintf("%s: %s after", name, hostile.status);
        auto_free char *refused = xprintf("%s: refused", name);
        auto_free char *next = xprintf("%s: next candidate is right", name);
        bench_figure(report, seconds, hostile.seconds, "s", BENCH_BAR_MOST, deadline_s + 1);
        bench_figure(report, refused, !str_eq(hostile.status, "accepted"), "yes", BENCH_BAR_LEAST, 1);
        auto_free char *start = xprintf("%s: next candidate starts after", name);
        bench_figure(report, next, str_eq(after.status, "accepted"), "yes", BENCH_BAR_LEAST, 1);
        bench_figure(report, start, after.seconds - after.compile_s - after.device_s, "s",
                     BENCH_BAR_MOST, 3);
    }
    candidate_free(candidate);
    candidate_free(honest);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    auto_free char *folder = NULL;
    int r = file_find_shipped("tests/hostile", &folder, err);
    if (r < 0) {
        return r;
    }
    struct session session;
    r = session_open(&session, o, SESSION_EVALUATOR, err);
    if (r < 0) {
        return r;
    }
    struct task *task = NULL;
    r = catalog_task("softmax", &task, err);
    struct dirent **found = NULL;
    int n = scandir(folder, &found, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (r == 0 && found[i]->d_name[0] != '.') {
            r = one(&session, task, folder, found[i]->d_name,
                    o->deadline_s > 0 ? o->deadline_s : DEADLINE_S, report, err);
        }
        free(found[i]);
    }
    free(found);
    task_free(task);
    session_close(&session);
    return r;
}

const struct bench bench_deadlines = {
    .name = "deadlines",
    .summary = "hostile candidates end within their deadline plus one second",
    .run = run,
};
