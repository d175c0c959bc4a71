/* SPDX-License-Identifier: MIT */
/*
 * What one full judgement costs, from asking to verdict: compile (the source is changed each time,
 * so nothing comes from a cache), trials on every shape, timing beside the family's 01_*; and how near the
 * variant's error comes to what the declared precision allows.
 */
#include "agent/bench.h"
#include "agent/bench_judge.h"
#include "agent/catalog.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { EVALUATE_RUNS = 3, EVALUATE_MOST = 4096 };

struct times {
    double at[EVALUATE_MOST];
    size_t n;
    double error_share; /* the largest */
};

/* The same candidate with a comment that nobody has compiled before. */
static int fresh_copy(const struct candidate *c, struct candidate **ret, struct err *err)
{
    unsigned long long salt;
    random_bytes(&salt, sizeof(salt));
    auto_free char *source = xprintf("// %016llx\n%s", salt, c->source);
    auto_free char *plan = json_canonical(c->plan->json);
    return candidate_parse(plan, strlen(plan), source, strlen(source), ret, err);
}

static int one_variant(struct session *s, const struct task *task,
                       const struct catalog_family *family, size_t index, int64_t runs,
                       struct times *all, struct bench_report *report, struct err *err)
{
    struct times times = { 0 };
    struct judged judged = { 0 };
    int r = 0;
    for (int64_t i = 0; r == 0 && i < runs && times.n < EVALUATE_MOST; i++) {
        struct candidate *copy = NULL;
        r = fresh_copy(family->variants[index], &copy, err);
        struct judge_request request = { .task = task, .candidate = copy,
                                         .baseline = index ? family->variants[0] : NULL,
                                         .depth = JUDGE_DEPTH_FULL };
        r = r < 0 ? r : judge_wait(s, &request, &judged, err);
        if (r == 0 && !str_eq(judged.status, "accepted")) {
            r = err_set(err, ERR_INVALID, "%s/%s is %s in phase %s", task->family,
                        family->variants[index]->name, judged.status, judged.phase);
        }
        if (r == 0) {
            times.at[times.n++] = judged.seconds;
            times.error_share = MAX(times.error_share, judged.error_share);
            all->error_share = MAX(all->error_share, judged.error_share);
            all->at[all->n < EVALUATE_MOST ? all->n++ : 0] = judged.seconds;
        }
        candidate_free(copy);
    }
    if (r == 0) {
        auto_free char *name = xprintf("%s/%s", task->name, family->variants[index]->name);
        bench_figure(report, name, bench_median(times.at, times.n), "s, median", BENCH_BAR_NONE, 0);
        auto_free char *error = xprintf("%s, RMS error", name);
        bench_figure(report, error, times.error_share, "of what its precision allows",
                     BENCH_BAR_NONE, 0);
    }
    return r;
}

static int one_task(struct session *s, const struct options *o, const char *name,
                    struct times *all, struct bench_report *report, struct err *err)
{
    struct task *task = NULL;
    struct catalog_family family = { 0 };
    int r = catalog_task(name, &task, err);
    r = r < 0 ? r : catalog_family(task->family, &family, err);
    for (size_t i = 0; r == 0 && i < family.n; i++) {
        r = one_variant(s, task, &family, i, o->runs > 0 ? o->runs : EVALUATE_RUNS, all, report,
                        err);
    }
    catalog_family_done(&family);
    task_free(task);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    struct session session;
    int r = session_open(&session, o, SESSION_EVALUATOR, err);
    if (r < 0) {
        return r;
    }
    struct times *all = xcalloc(1, sizeof(*all));
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    r = catalog_names(false, names, &n, err);
    for (size_t i = 0; i < n; i++) {
        r = r < 0 ? r : one_task(&session, o, names[i], all, report, err);
        free(names[i]);
    }
    if (r == 0) {
        bool real = !evaluator_device(session.evaluator)->modelled;
        bench_figure(report, "one candidate, median of all", bench_median(all->at, all->n), "s",
                     real ? BENCH_BAR_MOST : BENCH_BAR_NONE, 1);
        bench_figure(report, "RMS error of any, of what its precision allows", all->error_share, "",
                     BENCH_BAR_MOST, 0.34);
        bench_figure(report, "context start", evaluator_device(session.evaluator)->context_ms, "ms",
                     real ? BENCH_BAR_MOST : BENCH_BAR_NONE, 300);
    }
    free(all);
    session_close(&session);
    return r;
}

const struct bench bench_evaluate = {
    .name = "evaluate",
    .summary = "seconds for one full judgement of every shipped variant",
    .run = run,
};
