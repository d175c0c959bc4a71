/* SPDX-License-Identifier: MIT */
/*
 * What the agent itself costs: many tasks at once, with a provider and workers that answer at once.
 * Everything else is real: selection, binding, frames over sockets, durable records.
 */
#include "agent/bench_tasks.h"
#include "agent/campaign.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OVERHEAD_TASKS = 100, OVERHEAD_STEPS = 40 };

/* A new candidate for every ask: the parent with another comment. */
static void ask_instant(const struct provider *provider, const struct ask *ask, struct talk **talk,
                        const struct verdict *failed, proposal_cb done, void *ud)
{
    (void)provider;
    (void)talk;
    (void)failed;
    auto_free char *plan = json_canonical(ask->parent->plan->json);
    auto_free char *source = xprintf("// step %llu\n%s", (unsigned long long)ask->step,
                                     ask->family->variants[0]->source);
    struct err err = { 0 };
    struct proposal p = { .strategy = "", .title = "instant", .summary = "", .status = "" };
    p.code = candidate_parse(plan, strlen(plan), source, strlen(source), &p.candidate, &err);
    p.error = err.text;
    if (p.code == 0 && ask->choice->n_strategies) {
        p.strategy = ask->choice->strategies[0].id;
    }
    done(ud, &p);
}

static const struct provider instant = { .name = "instant", .ask = ask_instant };

/* Of this process alone, all its threads: the workers aren't the agent's cost. */
static double cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3
        + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-3;
}

struct peak {
    double mib;
    size_t events;
};

static void on_event(void *ud, const struct campaign_event *e)
{
    struct peak *peak = ud;
    if (e->kind == CAMPAIGN_EVENT_SCORED && ++peak->events % 256 == 0) {
        peak->mib = MAX(peak->mib, bench_resident_mib(0));
    }
}

static int run_campaign(const struct options *o, const char *folder, char **paths, size_t n,
                        struct bench_report *report, struct err *err)
{
    auto_free char *store = xprintf("%s/store", folder);
    auto_free char *worker = NULL;
    int r = file_find_program("fake_worker", &worker, err);
    if (r < 0) {
        return err_wrap(err, "this bench needs the tests' instant worker");
    }
    struct options copy = *o;
    copy.store = store;
    struct session session;
    r = session_open(&session, &copy, SESSION_STORE | SESSION_MEMORY, err);
    if (r < 0) {
        return r;
    }
    struct evaluator_options evaluator = { .gpu = "0", .compile_workers = 2, .worker = worker };
    r = evaluator_open(&session.loop, &evaluator, &session.evaluator, err);
    struct campaign_options options = { .tasks = (const char *const *)paths, .n_tasks = n,
                                        .tuner = "none", .seed = (uint64_t)o->seed,
                                        .steps = o->steps > 0 ? o->steps : OVERHEAD_STEPS,
                                        .plateau = INT64_MAX };
    struct campaign *campaign = NULL;
    double before = bench_resident_mib(0);
    r = r < 0 ? r : campaign_new(&session, &options, &instant, &campaign, err);
    if (r == 0) {
        struct peak peak = { 0 };
        campaign_on_event(campaign, on_event, &peak);
        double cpu_before = cpu_ms();
        uint64_t began = clock_ns();
        r = campaign_run(campaign, err);
        double seconds = (double)(clock_ns() - began) * 1e-9;
        double cpu = cpu_ms() - cpu_before;
        if (r == 0) {
            bench_figure(report, "durable steps", (double)peak.events / seconds, "steps/s",
                         BENCH_BAR_LEAST, 1000);
            bench_figure(report, "processor time of the agent", cpu / (double)MAX(1, peak.events),
                         "ms/step", BENCH_BAR_NONE, 0);
            bench_figure(report, "memory of a running task", (peak.mib - before) / (double)n,
                         "MiB", BENCH_BAR_MOST, 1);
            bench_figure(report, "tasks at once", (double)n, "tasks", BENCH_BAR_NONE, 0);
            bench_figure(report, "steps in all", (double)peak.events, "steps", BENCH_BAR_NONE, 0);
        }
    }
    campaign_free(campaign);
    session_close(&session);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    char *folder = NULL;
    int r = bench_folder(&folder, err);
    if (r < 0) {
        return r;
    }
    char *paths[OVERHEAD_TASKS] = { NULL };
    r = bench_write_tasks(folder, paths, OVERHEAD_TASKS, err);
    r = r < 0 ? r : run_campaign(o, folder, paths, OVERHEAD_TASKS, report, err);
    for (size_t i = 0; i < OVERHEAD_TASKS; i++) {
        free(paths[i]);
    }
    folder_remove(folder, NULL);
    free(folder);
    return r;
}

const struct bench bench_overhead = {
    .name = "overhead",
    .summary = "the agent alone: 100 tasks, instant provider and workers",
    .run = run,
};
