/* SPDX-License-Identifier: MIT */
/*
 * An offline campaign on every shipped task, in a store of its own: how far the best accepted
 * variant is ahead of the family's 01_*, and how long the campaign takes.
 */
#include "agent/bench.h"
#include "agent/campaign.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>

static int one(struct session *s, const struct options *o, const char *name,
               struct bench_report *report, struct err *err)
{
    struct campaign_options options = { .tasks = &name, .n_tasks = 1, .llm = "offline",
                                        .seed = (uint64_t)o->seed, .steps = o->steps,
                                        .tune_budget = -1, .deadline_s = o->deadline_s };
    struct campaign *campaign = NULL;
    int r = campaign_new(s, &options, NULL, &campaign, err);
    r = r < 0 ? r : campaign_run(campaign, err);
    if (r == 0) {
        struct campaign_result result;
        campaign_result(campaign, 0, &result);
        const char *how = evaluator_device(s->evaluator)->modelled ? "x, modelled" : "x, measured";
        auto_free char *speedup = xprintf("%s: best over 01", name);
        auto_free char *time = xprintf("%s: best", name);
        auto_free char *share = xprintf("%s: share of SOL", name);
        auto_free char *seconds = xprintf("%s: campaign", name);
        bench_figure(report, speedup, result.speedup, how, BENCH_BAR_LEAST,
                     str_eq(result.family, "elementwise") ? 1.2 : 3);
        bench_figure(report, time, result.verdict ? result.verdict->time.median_us : 0,
                     evaluator_device(s->evaluator)->modelled ? "us, modelled" : "us, measured",
                     BENCH_BAR_NONE, 0);
        bench_figure(report, share, result.verdict ? result.verdict->sol : 0, "share",
                     BENCH_BAR_NONE, 0);
        bench_figure(report, seconds, campaign_seconds(campaign), "s", BENCH_BAR_NONE, 0);
    }
    campaign_free(campaign);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    char *folder = NULL;
    int r = bench_folder(&folder, err);
    if (r < 0) {
        return r;
    }
    auto_free char *store = xprintf("%s/store", folder);
    struct options copy = *o;
    copy.store = store;
    struct session session;
    r = session_open(&session, &copy, SESSION_STORE | SESSION_MEMORY | SESSION_EVALUATOR, err);
    if (r == 0) {
        char *names[CATALOG_NAMES_MAX];
        size_t n = 0;
        r = catalog_names(false, names, &n, err);
        for (size_t i = 0; i < n; i++) {
            r = r < 0 ? r : one(&session, o, names[i], report, err);
            free(names[i]);
        }
        session_close(&session);
    }
    folder_remove(folder, NULL);
    free(folder);
    return r;
}

const struct bench bench_families = {
    .name = "families",
    .summary = "an offline campaign on every shipped task: best over the family's 01_*",
    .run = run,
};
