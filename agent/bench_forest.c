/* SPDX-License-Identifier: MIT */
/*
 * bench forest [FOLDER]: what one decision of a tuner costs (a refit of 500 samples with 40 features,
 * 100 trees, and ranking 20,000 configs, on one core), and how well it ranks: on that data, and on
 * every recorded space of a folder. tests/forest_sklearn.py gives scikit-learn's figures.
 */
#include "agent/bench.h"
#include "agent/forest_trial.h"
#include "agent/tune/forest.h"
#include "base/util.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRAIN = 500, CONFIGS = 20000, TREES = 100, RUNS = 51, SEEDS = 5 };

/* Of this thread: the same as by the clock on a machine that does nothing else. */
static double processor_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void time_it(const struct forest_trial *trial, struct bench_report *report)
{
    double fit[RUNS], rank[RUNS], both[RUNS];
    auto_free float *p = xcalloc(trial->n_test, sizeof(*p));
    for (unsigned i = 0; i < RUNS; i++) {
        double began = processor_ms();
        struct forest *forest = forest_fit(trial->x, trial->n_train, trial->d, trial->label,
                                           trial->weight, &(struct forest_options) {
                                               .trees = TREES, .seed = i });
        double fitted = processor_ms();
        forest_predict(forest, trial->x + trial->n_train * trial->d, trial->n_test, 1, p);
        double ended = processor_ms();
        fit[i] = fitted - began;
        rank[i] = ended - fitted;
        both[i] = fit[i] + rank[i];
        forest_free(forest);
    }
    bench_figure(report, "refit and rank, processor time", bench_median(both, RUNS), "ms",
                 BENCH_BAR_MOST, 20);
    bench_figure(report, "refit: 500 samples, 40 features, 100 trees", bench_median(fit, RUNS), "ms",
                 BENCH_BAR_NONE, 0);
    bench_figure(report, "rank: 20,000 configs", bench_median(rank, RUNS), "ms", BENCH_BAR_NONE, 0);
}

static void judge_it(const struct forest_trial *trial, const char *what, struct bench_report *report)
{
    struct forest_score mean = { 0 };
    auto_free float *p = xcalloc(trial->n_test, sizeof(*p));
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct forest *forest = forest_fit(trial->x, trial->n_train, trial->d, trial->label,
                                           trial->weight, &(struct forest_options) {
                                               .trees = TREES, .seed = seed });
        forest_predict(forest, trial->x + trial->n_train * trial->d, trial->n_test, 1, p);
        struct forest_score score;
        forest_trial_score(trial, p, TREES, &score);
        mean.auc += score.auc / SEEDS;
        mean.precision += score.precision / SEEDS;
        forest_free(forest);
    }
    char *auc = xprintf("%s: AUC", what), *precision = xprintf("%s: precision", what);
    bench_figure(report, auc, mean.auc, "", BENCH_BAR_NONE, 0);
    bench_figure(report, precision, mean.precision, "of the first tenth", BENCH_BAR_NONE, 0);
    free(auc);
    free(precision);
}

static int judge_space(const char *path, struct bench_report *report, struct err *err)
{
    struct recorded *recorded = NULL;
    int r = recorded_read(path, &recorded, err);
    if (r < 0) {
        return err_wrap(err, "%s", path);
    }
    struct forest_trial *trial = forest_trial_recorded(recorded, TRAIN, 1);
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char *what = xstrdup(name);
    char *end = strstr(what, ".json");
    if (end) {
        *end = '\0';
    }
    judge_it(trial, what, report);
    free(what);
    forest_trial_free(trial);
    recorded_free(recorded);
    return 0;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    struct forest_trial *trial = forest_trial_synthetic(TRAIN, CONFIGS, 1);
    time_it(trial, report);
    judge_it(trial, "synthetic", report);
    forest_trial_free(trial);
    int r = 0;
    for (size_t i = 1; i < o->n_args && r == 0; i++) {
        char *pattern = xprintf("%s/*.json.gz", o->args[i]);
        glob_t found = { 0 };
        if (glob(pattern, 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc && r == 0; k++) {
                r = judge_space(found.gl_pathv[k], report, err);
            }
            globfree(&found);
        } else {
            r = err_set(err, ERR_NOTFOUND, "%s: no recorded spaces (*.json.gz) there", o->args[i]);
        }
        free(pattern);
    }
    return r;
}

const struct bench bench_forest = { .name = "forest",
                                    .summary = "the tuner's forest: time of a refit with ranking, quality "
                                               "on the recorded spaces of a FOLDER", .run = run,
                                    .takes_names = true };
