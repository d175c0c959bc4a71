/* SPDX-License-Identifier: MIT */
/*
 * A memory of many steps: as many recorded attempts as --runs says (a million, unless told), each
 * durable with what it taught, in contexts of many families, bottlenecks and architectures. Then how
 * long it takes to open it, to choose with it, and whether sums counted anew from the log are the
 * kept ones.
 */
#include "agent/bench.h"
#include "agent/catalog.h"
#include "agent/session.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/util.h"
#include "graph/htg_learn.h"
#include "memory/record.h"
#include "memory/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STEPS = 1000000, BATCH = 1000, CHOICES = 20000, FAMILIES = 40, WALK = 6 };

static const char *const classes[] = { "memory_bound", "compute_bound", "latency_bound", "near_limit" };
static const char *const archs[] = { "sm_90", "sm_100" };

static void draw_context(struct rng *rng, struct context *ret)
{
    char family[24];
    snprintf(family, sizeof(family), "family%02d", (int)rng_below(rng, FAMILIES));
    require(context_init(ret, family, classes[rng_below(rng, ARRAY_LEN(classes))],
                         archs[rng_below(rng, ARRAY_LEN(archs))], false, NULL) == 0);
}

static const char *draw_direction(const struct htg *htg, struct rng *rng)
{
    return htg_direction(htg, rng_below(rng, htg_directions(htg)))->id;
}

/* One step of some task: what it taught, and its record. */
static int put_step(struct htg *htg, struct rng *rng, int64_t seq, struct store_batch *batch,
                    struct err *err)
{
    struct htg_observation o = { .task = "bench" };
    struct htg_increments taught;
    struct learned learned[HTG_INCREMENTS_MAX];
    draw_context(rng, &o.context);
    const struct htg_strategy *strategy = htg_strategy(htg, rng_below(rng, htg_strategies(htg)));
    o.strategy = strategy->id;
    o.direction = strategy->direction;
    o.source = draw_direction(htg, rng);
    o.gain = 0.1 + 0.3 * rng_normal(rng);
    o.failed = rng_unit(rng) < 0.2;
    int r = htg_observe(htg, &o, &taught, err);
    for (size_t i = 0; r == 0 && i < taught.n; i++) {
        learned[i] = (struct learned) { taught.at[i].key, taught.at[i].gain, taught.at[i].failed };
    }
    struct attempt_record record = { .campaign = "bench", .task = "bench", .seq = seq, .parent = "",
                                     .candidate = "", .verdict = "", .direction = o.direction,
                                     .strategy = o.strategy,
                                     .status = o.failed ? "incorrect" : "accepted",
                                     .gain = o.failed ? 0 : o.gain, .n_learned = taught.n,
                                     .learned = learned, .extra = "" };
    return r < 0 ? r : record_put_attempt(batch, &record, err);
}

static int fill(const char *folder, struct htg *htg, int64_t n, struct bench_report *report,
                struct err *err)
{
    struct store *store;
    struct store_options options = { .any_filesystem = true };
    int r = store_open(folder, &options, &store, err);
    if (r < 0) {
        return r;
    }
    struct rng rng;
    rng_init(&rng, 1, 2, 3);
    struct campaign_record campaign = { .id = "bench", .status = "done", .device = "", .llm = "",
                                        .baseline = "", .error = "", .extra = "" };
    uint64_t start = clock_ns();
    for (int64_t i = 0; r == 0 && i < n; i += BATCH) {
        struct store_batch *batch = store_batch_new();
        r = i == 0 ? record_put_campaign(batch, &campaign, err) : 0;
        for (int64_t j = i; r == 0 && j < MIN(n, i + BATCH); j++) {
            r = put_step(htg, &rng, j, batch, err);
        }
        if (r < 0) {
            store_batch_free(batch);
        } else {
            r = store_commit(store, batch, err);
        }
    }
    if (r == 0) {
        double seconds = (double)(clock_ns() - start) * 1e-9;
        bench_figure(report, "steps recorded, with what they taught", (double)n, "", BENCH_BAR_NONE, 0);
        bench_figure(report, "durable steps a second, 1000 a commit", (double)n / seconds, "/s",
                     BENCH_BAR_NONE, 0);
        bench_figure(report, "statistics kept", (double)stats_count(htg_stats(htg)), "",
                     BENCH_BAR_NONE, 0);
    }
    store_close(store);
    return r;
}

/* Do both graphs know the same numbers? The store adds in another order: within rounding. */
static double largest_difference(const struct htg *a, const struct htg *b)
{
    double most = 0;
    for (size_t i = 0; i < stats_count(htg_stats(a)); i++) {
        const struct tally *x;
        const char *key = stats_at(htg_stats(a), i, &x);
        const struct tally *y = htg_stat(b, key);
        most = MAX(most, !y || y->n != x->n || y->failures != x->failures ? 1
                                                                          : fabs(x->mean - y->mean));
    }
    return stats_count(htg_stats(a)) == stats_count(htg_stats(b)) ? most : 1;
}

static int open_again(const struct options *o, const char *folder, const struct htg *kept,
                      struct bench_report *report, struct err *err)
{
    struct options with = *o;
    struct session session;
    with.store = folder;
    uint64_t start = clock_ns();
    int r = session_open(&session, &with, SESSION_MEMORY | SESSION_STORE_READ, err);
    if (r < 0) {
        return r;
    }
    bench_figure(report, "opening: store and graph", (double)(clock_ns() - start) * 1e-9, "s",
                 BENCH_BAR_MOST, 1);
    bench_figure(report, "largest difference of a mean, read back", largest_difference(kept, session.htg),
                 "nats", BENCH_BAR_MOST, 1e-9);
    session_close(&session);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of this thread alone: what others do on the machine isn't the graph's. */
static double processor_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static int choose(struct htg *htg, struct rng *rng, uint64_t step, double *ret_us, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct select_step history[WALK];
    struct select_request request = { .seed = 1, .step = step, .task = "bench", .history = history,
                                      .n_history = rng_below(rng, WALK + 1) };
    draw_context(rng, &request.context);
    select_tuning_default(&request.tuning);
    for (size_t i = 0; i < request.n_history; i++) {
        history[i] = (struct select_step) { .direction = draw_direction(htg, rng),
                                            .outcome = (enum select_outcome)rng_below(rng, 3),
                                            .lineage = rng_unit(rng) < 0.5 };
    }
    struct choice *choice;
    double start = processor_us();
    int r = select_direction(htg, &request, arena, &choice, err);
    r = r < 0 ? r : select_strategies(htg, &request, 3, arena, choice, err);
    *ret_us = processor_us() - start;
    return r;
}

static int time_choices(struct htg *htg, struct bench_report *report, struct err *err)
{
    double *us = xcalloc(CHOICES, sizeof(*us));
    struct rng rng;
    int r = 0;
    rng_init(&rng, 4, 5, 6);
    for (int round = 0; r == 0 && round < 2; round++) { /* the first meets every context */
        for (size_t i = 0; r == 0 && i < CHOICES; i++) {
            r = choose(htg, &rng, i, &us[i], err);
        }
    }
    if (r == 0) {
        qsort(us, CHOICES, sizeof(*us), by_value);
        bench_figure(report, "selection and recall, median", us[CHOICES / 2], "us of processor", BENCH_BAR_NONE, 0);
        bench_figure(report, "selection and recall, 99th percentile", us[CHOICES * 99 / 100], "us of processor",
                     BENCH_BAR_MOST, 20);
    }
    free(us);
    return r;
}

static int count_anew(const char *folder, struct bench_report *report, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct store *store;
    struct verify_report verified;
    struct store_options options = { .read_only = true, .any_filesystem = true };
    int r = store_open(folder, &options, &store, err);
    if (r < 0) {
        return r;
    }
    uint64_t start = clock_ns();
    r = store_verify(store, arena, &verified, err);
    if (r == 0) {
        bench_figure(report, "counting all anew from the log", (double)(clock_ns() - start) * 1e-9, "s",
                     BENCH_BAR_NONE, 0);
        bench_figure(report, "sums or references that differ", (double)verified.n_problems, "",
                     BENCH_BAR_MOST, 0);
    }
    store_close(store);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    auto_free char *folder = NULL;
    struct htg *htg;
    int r = bench_folder(&folder, err);
    if (r < 0) {
        return r;
    }
    r = catalog_memory(&htg, err);
    if (r == 0) {
        r = fill(folder, htg, o->runs > 0 ? o->runs : STEPS, report, err);
        r = r < 0 ? r : open_again(o, folder, htg, report, err);
        r = r < 0 ? r : time_choices(htg, report, err);
        r = r < 0 ? r : count_anew(folder, report, err);
        htg_free(htg);
    }
    folder_remove(folder, NULL);
    return r;
}

const struct bench bench_memory = {
    .name = "memory",
    .summary = "a memory of a million steps: opening it, choosing with it, counting it anew",
    .run = run,
};
