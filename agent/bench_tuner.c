/* SPDX-License-Identifier: MIT */
/*
 * bench tuner FOLDER|FILE...: every algorithm on every recorded space, 20 seeds, at 200 and at 400
 * evaluations, each budget a run of its own. A config counts once, and one that failed counts, too.
 * --full: the default also where it doesn't see the list of configs, as in a space too large to list.
 */
#include "agent/bench.h"
#include "agent/tune/tune_replay.h"
#include "base/util.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SEEDS = 20, BUDGETS = 2, SPACES_MAX = 256 };

static const size_t budgets[BUDGETS] = { 200, 400 };

enum { RANDOM, GENETIC, LFBO_PATTERN, LFBO_TREE, RANK, AUTO, AUTO_UNLISTED, ENTRIES };

static const struct entry {
    const char *label, *algorithm, *flags;
    bool unlisted;
} entries[ENTRIES] = {
    [RANDOM] = { "random", "random", NULL, false },
    [GENETIC] = { "genetic", "genetic", NULL, false },
    [LFBO_PATTERN] = { "lfbo, pattern", "lfbo", "form=pattern", false },
    [LFBO_TREE] = { "lfbo, tree", "lfbo", "form=tree", false },
    [RANK] = { "rank", "rank", NULL, false },
    [AUTO] = { "auto", "auto", NULL, false },
    [AUTO_UNLISTED] = { "auto, unlisted", "auto", NULL, true },
};

/* Of one algorithm on one space. */
struct result {
    double mean[BUDGETS], worst[BUDGETS], reach; /* reach: evaluations to .95, of the larger budget */
    double ms;                                   /* of search an evaluation */
};

struct tuner_bench {
    const struct options *options;
    struct bench_report *report;
    size_t seeds, n; /* n: spaces done */
    size_t n_entries;
    struct result results[SPACES_MAX][ENTRIES];
};

/* --- One space --- */

static struct tune_replay_options replay_options(const struct tuner_bench *b, size_t entry,
                                                 size_t budget, size_t seed)
{
    const struct entry *e = &entries[entry];
    return (struct tune_replay_options) {
        .tuner = { .algorithm = e->algorithm, .flags = e->flags, .budget = budgets[budget],
                   .seed = (uint64_t)b->options->seed + seed },
        .batch = b->options->batch > 0 ? (size_t)b->options->batch : 1,
        .noise = b->options->noise, .unlisted = e->unlisted,
    };
}

static void take_result(const struct tune_replay_job *jobs, size_t seeds, size_t budget,
                        struct result *ret)
{
    double n = (double)seeds, evals = 0, seconds = 0, reach = 0;
    ret->mean[budget] = 0;
    ret->worst[budget] = INFINITY;
    for (size_t i = 0; i < seeds; i++) {
        const struct tune_replay_run *run = &jobs[i].run;
        size_t at = tune_replay_reach(run, 0.95);
        ret->mean[budget] += run->score / n;
        ret->worst[budget] = MIN(ret->worst[budget], run->score);
        reach += (double)MIN(at, budgets[budget]) / n;
        evals += (double)run->n;
        seconds += run->search_s;
    }
    ret->reach = reach;
    ret->ms = 1e3 * seconds / evals;
}

static int run_space(struct tuner_bench *b, const struct recorded *recorded, struct result *ret,
                     struct err *err)
{
    size_t blocks = b->n_entries * BUDGETS, n = blocks * b->seeds;
    auto_free struct tune_replay_job *jobs = xcalloc(n, sizeof(*jobs));
    /* The last entries take longest, so they come first and no core waits for them in the end. */
    for (size_t i = 0; i < n; i++) {
        size_t block = blocks - 1 - i / b->seeds;
        jobs[i].recorded = recorded;
        jobs[i].options = replay_options(b, block / BUDGETS, block % BUDGETS, i % b->seeds);
    }
    tune_replay_many(jobs, n, b->options->threads > 0 ? (unsigned)b->options->threads : 0);
    int r = 0;
    for (size_t block = 0; block < blocks; block++) {
        struct tune_replay_job *of = jobs + (blocks - 1 - block) * b->seeds;
        for (size_t k = 0; r == 0 && k < b->seeds; k++) {
            r = of[k].code;
            *err = r < 0 ? of[k].err : *err;
        }
        if (r == 0) {
            take_result(of, b->seeds, block % BUDGETS, &ret[block / BUDGETS]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        tune_replay_done(&jobs[i].run);
    }
    return r;
}

static void keep_figure(struct tuner_bench *b, const char *space, const char *entry, size_t budget,
                        const char *what, double value)
{
    auto_free char *name = xprintf("%s, %s @%zu %s", space, entry, budgets[budget], what);
    json_object_set_new(b->report->figures, name,
                        json_pack("{s:f, s:s, s:b}", "value", value, "unit", "of the optimum", "ok", 1));
}

static void print_space(struct tuner_bench *b, const char *name, const struct recorded *recorded,
                        const struct result *results)
{
    FILE *out = b->report->out;
    if (out) {
        fprintf(out, "%s: %zu configs, %zu fail\n%-16s%10s%8s%10s%8s%10s%9s\n", name,
                recorded->space->n_listed, recorded->n_failed, "", "@200", "worst", "@400", "worst",
                "to .95", "ms/eval");
    }
    for (size_t e = 0; e < b->n_entries; e++) {
        const struct result *r = &results[e];
        if (out) {
            fprintf(out, "%-16s%10.4f%8.4f%10.4f%8.4f%10.0f%9.2f\n", entries[e].label, r->mean[0],
                    r->worst[0], r->mean[1], r->worst[1], r->reach, r->ms);
        }
        for (size_t k = 0; k < BUDGETS; k++) {
            keep_figure(b, name, entries[e].label, k, "mean", r->mean[k]);
            keep_figure(b, name, entries[e].label, k, "worst", r->worst[k]);
        }
    }
    if (out) {
        fprintf(out, "\n");
        fflush(out);
    }
}

static int bench_file(struct tuner_bench *b, const char *path, struct err *err)
{
    struct recorded *recorded = NULL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (b->n == SPACES_MAX) {
        return err_set(err, ERR_TOOBIG, "more than %d spaces", SPACES_MAX);
    }
    int r = recorded_read(path, &recorded, err);
    r = r < 0 ? r : run_space(b, recorded, b->results[b->n], err);
    if (r == 0) {
        print_space(b, name, recorded, b->results[b->n++]);
    }
    recorded_free(recorded);
    return r;
}

static int bench_folder_of_spaces(struct tuner_bench *b, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        return bench_file(b, path, err);
    }
    auto_free char *plain = xprintf("%s/*.json", path), *packed = xprintf("%s/*.json.gz", path);
    glob_t found = { 0 };
    int r = 0;
    glob(plain, 0, NULL, &found);
    glob(packed, GLOB_APPEND, NULL, &found);
    if (found.gl_pathc == 0) {
        r = err_set(err, ERR_NOTFOUND, "%s: no *.json and no *.json.gz there", path);
    }
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
        r = bench_file(b, found.gl_pathv[i], err);
    }
    globfree(&found);
    return r;
}

/* --- All spaces --- */

static double mean_of(const struct tuner_bench *b, size_t entry, size_t budget)
{
    double sum = 0;
    for (size_t i = 0; i < b->n; i++) {
        sum += b->results[i][entry].mean[budget] / (double)b->n;
    }
    return sum;
}

static double worst_of(const struct tuner_bench *b, size_t entry, size_t budget)
{
    double worst = INFINITY;
    for (size_t i = 0; i < b->n; i++) {
        worst = MIN(worst, b->results[i][entry].worst[budget]);
    }
    return worst;
}

static double reach_of(const struct tuner_bench *b, size_t entry)
{
    double sum = 0;
    for (size_t i = 0; i < b->n; i++) {
        sum += b->results[i][entry].reach / (double)b->n;
    }
    return sum;
}

/* By how much `auto` is below the best of the others, on the space where that is most. */
static double shortfall(const struct tuner_bench *b, size_t budget)
{
    static const size_t others[] = { GENETIC, LFBO_PATTERN, LFBO_TREE, RANK };
    double most = -INFINITY;
    for (size_t i = 0; i < b->n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(others); k++) {
            double other = b->results[i][others[k]].mean[budget];
            most = MAX(most, 1 - b->results[i][AUTO].mean[budget] / other);
        }
    }
    return most;
}

static void figure(struct tuner_bench *b, const char *label, size_t budget, const char *what,
                   double value, enum bench_bar kind, double bar)
{
    auto_free char *name = xprintf("%s @%zu, %s", label, budgets[budget], what);
    bench_figure(b->report, name, value, "of the optimum", kind, bar);
}

static void report_all(struct tuner_bench *b)
{
    static const double bars[BUDGETS] = { 0.980, 0.995 };
    size_t best_lfbo = mean_of(b, LFBO_TREE, 0) > mean_of(b, LFBO_PATTERN, 0) ? LFBO_TREE
                                                                             : LFBO_PATTERN;
    for (size_t e = 0; e < b->n_entries; e++) {
        for (size_t k = 0; k < BUDGETS; k++) {
            double bar = e == AUTO ? bars[k] : 0.960;
            bool held = e == AUTO || (e == best_lfbo && k == 0);
            figure(b, entries[e].label, k, "mean", mean_of(b, e, k),
                   held ? BENCH_BAR_LEAST : BENCH_BAR_NONE, bar);
            figure(b, entries[e].label, k, "worst seed", worst_of(b, e, k), BENCH_BAR_NONE, 0);
        }
    }
    for (size_t k = 0; k < BUDGETS; k++) {
        figure(b, "auto", k, "most below another on a space", shortfall(b, k), BENCH_BAR_MOST, 0.005);
    }
    bench_figure(b->report, "auto: evaluations to .95 (of 400)", reach_of(b, AUTO), "evaluations",
                 BENCH_BAR_NONE, 0);
    bench_figure(b->report, "lfbo's better form: the same", reach_of(b, best_lfbo), "evaluations",
                 BENCH_BAR_NONE, 0);
    bench_figure(b->report, "lfbo / auto: evaluations to .95", reach_of(b, best_lfbo) / reach_of(b, AUTO),
                 "times", BENCH_BAR_LEAST, 3);
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    auto_free struct tuner_bench *b = xcalloc(1, sizeof(*b));
    b->options = o;
    b->report = report;
    b->seeds = o->seeds > 0 ? (size_t)o->seeds : SEEDS;
    b->n_entries = o->full ? ENTRIES : AUTO_UNLISTED;
    if (o->n_args < 2) {
        return err_set(err, ERR_INVALID, "name folders of recorded spaces (*.json, *.json.gz), or files");
    }
    int r = 0;
    for (size_t i = 1; r == 0 && i < o->n_args; i++) {
        r = bench_folder_of_spaces(b, o->args[i], err);
    }
    if (r == 0) {
        report_all(b);
    }
    return r;
}

const struct bench bench_tuner = {
    .name = "tuner",
    .summary = "the tuner's algorithms on recorded spaces (name folders of them): share of the optimum found",
    .takes_names = true,
    .run = run,
};
