/* SPDX-License-Identifier: MIT */
/*
 * The figures of a real GPU: how soon a device worker is there, the best softmax against the
 * device's own copy of the same bytes, the best matrix product and attention in TFLOP/s. The best is
 * what an offline campaign finds, in a store of its own.
 */
#include "agent/bench.h"
#include "agent/campaign.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>

enum { DEVICE_STARTS = 5 };

struct copied {
    bool done;
    int code;
    double us;
    struct err *err;
};

static void on_copied(void *ud, int code, double us, const char *error)
{
    struct copied *c = ud;
    c->done = true;
    c->us = us;
    c->code = code < 0 ? err_set(c->err, code, "%s", error) : 0;
}

static int copy_us(struct session *s, int64_t bytes, double *ret_us, struct err *err)
{
    struct copied copied = { .err = err };
    evaluator_copy(s->evaluator, bytes, on_copied, &copied);
    while (!copied.done && uv_run(&s->loop, UV_RUN_ONCE)) {
    }
    *ret_us = copied.us;
    return copied.code;
}

/* The median of several starts; the first of them may have to wake the card up. */
static int starts(const struct options *o, struct bench_report *report, struct err *err)
{
    double ms[DEVICE_STARTS], first = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < DEVICE_STARTS; i++) {
        struct session s;
        r = session_open(&s, o, SESSION_EVALUATOR, err);
        if (r == 0) {
            ms[i] = evaluator_device(s.evaluator)->context_ms;
            first = i == 0 ? ms[i] : first;
            session_close(&s);
        }
    }
    if (r == 0) {
        bench_figure(report, "context start, first", first, "ms", BENCH_BAR_NONE, 0);
        bench_figure(report, "context start, median of 5", bench_median(ms, DEVICE_STARTS), "ms",
                     BENCH_BAR_MOST, 300);
    }
    return r;
}

/* What a campaign on one task reaches, with the task's own counts of bytes and operations. */
static int best_of(struct session *s, const struct options *o, const char *name, double *ret_us,
                   int64_t *ret_bytes, int64_t *ret_flops, struct err *err)
{
    struct campaign_options options = { .tasks = &name, .n_tasks = 1, .llm = "offline",
                                        .seed = (uint64_t)o->seed, .steps = -1,
                                        .tune_budget = -1 };
    struct campaign *campaign = NULL;
    int r = campaign_new(s, &options, NULL, &campaign, err);
    r = r < 0 ? r : campaign_run(campaign, err);
    if (r == 0) {
        struct campaign_result result;
        campaign_result(campaign, 0, &result);
        const struct task *task = campaign_task(campaign, 0);
        *ret_us = result.verdict ? result.verdict->time.median_us : 0;
        r = result.verdict ? 0 : err_set(err, ERR_INVALID, "%s: nothing was accepted", name);
        r = r < 0 ? r : expr_eval(task->bytes, &task->shapes[0].symbols, ret_bytes, err);
        r = r < 0 ? r : expr_eval(task->flops, &task->shapes[0].symbols, ret_flops, err);
    }
    campaign_free(campaign);
    return r;
}

static int figures(struct session *s, const struct options *o, struct bench_report *report,
                   struct err *err)
{
    double us, copy;
    int64_t bytes, flops;
    int r = best_of(s, o, "softmax", &us, &bytes, &flops, err);
    r = r < 0 ? r : copy_us(s, bytes, &copy, err);
    if (r == 0) {
        bench_figure(report, "softmax: best", us, "us", BENCH_BAR_NONE, 0);
        bench_figure(report, "softmax: copy of the same bytes", copy, "us", BENCH_BAR_NONE, 0);
        bench_figure(report, "softmax: best against copy", copy / us, "of copy speed",
                     BENCH_BAR_LEAST, 0.9);
    }
    static const struct {
        const char *task;
        enum bench_bar kind;
        double bar;
    } products[] = { { "matmul", BENCH_BAR_LEAST, 350 }, { "attention", BENCH_BAR_NONE, 0 } };
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(products); i++) {
        r = best_of(s, o, products[i].task, &us, &bytes, &flops, err);
        if (r == 0) {
            auto_free char *name = xprintf("%s: best", products[i].task);
            bench_figure(report, name, (double)flops / us * 1e-6, "TFLOP/s", products[i].kind,
                         products[i].bar);
        }
    }
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
        bool real = !evaluator_device(session.evaluator)->modelled;
        r = real ? figures(&session, o, report, err)
                 : err_set(err, ERR_ENVIRONMENT, "this bench needs a GPU: it measures one");
        session_close(&session);
        r = r < 0 ? r : starts(&copy, report, err);
    }
    folder_remove(folder, NULL);
    free(folder);
    return r;
}

const struct bench bench_device = {
    .name = "device",
    .summary = "a GPU's figures: start, softmax against copy, matmul (needs a GPU)",
    .run = run,
};
