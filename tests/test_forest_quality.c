/* SPDX-License-Identifier: MIT */
/*
 * The forest ranks as well as scikit-learn's, on the same trials: synthetic ones, and recorded spaces
 * if WARPSMITH_SPACES names a folder with them. Where python3-sklearn is installed it is run;
 * what version 1.2.1 reached on the synthetic trials stands here and is held against everywhere.
 */
#include "agent/forest_trial.h"
#include "agent/tune/forest.h"
#include "base/util.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { TRIALS = 3, SEEDS = 5, TRAIN = 500, TEST = 4000, TREES = 100, SKIPPED = 77 };

/* Mean and standard deviation over seeds of AUC, precision and log loss. */
struct quality {
    double mean[3], sd[3];
};

/* python3 tests/forest_sklearn.py 20 FILE... on the trials of seed 1, 2, 3. */
static const struct quality recorded[TRIALS] = {
    { { 0.8639, 0.5108, 0.3052 }, { 0.0064, 0.0141, 0.0029 } },
    { { 0.9269, 0.5864, 0.2279 }, { 0.0050, 0.0129, 0.0029 } },
    { { 0.8995, 0.5370, 0.2361 }, { 0.0061, 0.0162, 0.0022 } },
};

static void add(struct quality *q, size_t k, const double value[3])
{
    for (size_t m = 0; m < 3; m++) { /* Welford */
        double step = value[m] - q->mean[m];
        q->mean[m] += step / (double)(k + 1);
        q->sd[m] += step * (value[m] - q->mean[m]);
    }
}

static void finish(struct quality *q, size_t n)
{
    for (size_t m = 0; m < 3; m++) {
        q->sd[m] = sqrt(q->sd[m] / (double)(n - 1));
    }
}

static struct quality ours(const struct forest_trial *trial, unsigned min_leaf)
{
    struct quality q = { 0 };
    auto_free float *p = xcalloc(trial->n_test, sizeof(*p));
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct forest_options options = { .seed = seed, .trees = TREES, .min_leaf = min_leaf };
        struct forest *forest = forest_fit(trial->x, trial->n_train, trial->d, trial->label,
                                           trial->weight, &options);
        forest_predict(forest, trial->x + trial->n_train * trial->d, trial->n_test, 1, p);
        struct forest_score score;
        forest_trial_score(trial, p, TREES, &score);
        add(&q, seed, (double[]) { score.auc, score.precision, score.log_loss });
        forest_free(forest);
    }
    finish(&q, SEEDS);
    return q;
}

/* Within the noise of so many seeds: four standard errors of the difference, and half a percent. */
static bool near(const struct quality *a, size_t n_a, const struct quality *b, size_t n_b,
                 const char *what)
{
    static const char *const names[] = { "AUC", "precision", "log loss" };
    bool ok = true;
    for (size_t m = 0; m < 3; m++) {
        double slack = 4 * sqrt(a->sd[m] * a->sd[m] / (double)n_a + b->sd[m] * b->sd[m] / (double)n_b);
        bool here = fabs(a->mean[m] - b->mean[m]) <= slack + 0.005;
        print_message("%-40s %-9s %.4f, scikit-learn %.4f%s\n", what, names[m], a->mean[m],
                      b->mean[m], here ? "" : "  APART");
        ok = ok && here;
    }
    return ok;
}

static void test_recorded_expectations(void **state)
{
    (void)state;
    bool ok = true;
    for (size_t i = 0; i < TRIALS; i++) {
        struct forest_trial *trial = forest_trial_synthetic(TRAIN, TEST, i + 1);
        struct quality q = ours(trial, 1);
        ok = near(&q, SEEDS, &recorded[i], 20, "synthetic, as recorded") && ok;
        forest_trial_free(trial);
    }
    assert_true(ok);
}

/* The bar bites: a forest that is grown wrongly (leaves far too large) is told apart. */
static void test_a_worse_forest_is_seen(void **state)
{
    (void)state;
    struct forest_trial *trial = forest_trial_synthetic(TRAIN, TEST, 1);
    struct quality q = ours(trial, 60);
    assert_false(near(&q, SEEDS, &recorded[0], 20, "synthetic, leaves too large"));
    forest_trial_free(trial);
}

/* Runs scikit-learn on trials; false where it isn't installed. */
static bool ask_sklearn(const char *python, char *const *paths, size_t n, struct quality *ret)
{
    char *command = xprintf("%s %s/tests/forest_sklearn.py %d", python, WS_SOURCE_DIR, SEEDS);
    for (size_t i = 0; i < n; i++) {
        char *longer = xprintf("%s '%s'", command, paths[i]);
        free(command);
        command = longer;
    }
    FILE *in = popen(command, "r");
    free(command);
    assert_non_null(in);
    double value[3];
    size_t lines = 0;
    while (lines < n * SEEDS && fscanf(in, "%lf %lf %lf", &value[0], &value[1], &value[2]) == 3) {
        add(&ret[lines / SEEDS], lines % SEEDS, value);
        lines++;
    }
    int status = pclose(in);
    if (lines == 0 && WIFEXITED(status)
        && (WEXITSTATUS(status) == SKIPPED || WEXITSTATUS(status) == 127)) {
        return false;
    }
    assert_int_equal(status, 0);
    assert_int_equal(lines, n * SEEDS);
    for (size_t i = 0; i < n; i++) {
        finish(&ret[i], SEEDS);
    }
    return true;
}

static size_t make_trials(struct forest_trial **trials, char **names, size_t most)
{
    size_t n = 0;
    for (; n < TRIALS; n++) {
        trials[n] = forest_trial_synthetic(TRAIN, TEST, n + 1);
        names[n] = xprintf("synthetic %zu", n + 1);
    }
    const char *folder = getenv("WARPSMITH_SPACES");
    char *pattern = folder ? xprintf("%s/*.json.gz", folder) : NULL;
    glob_t found = { 0 };
    if (pattern && glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && n < most; i++) {
            struct recorded *space = NULL;
            struct err err = { 0 };
            if (recorded_read(found.gl_pathv[i], &space, &err) < 0) {
                fail_msg("%s", err_text(&err));
            }
            trials[n] = forest_trial_recorded(space, TRAIN, 1);
            names[n++] = xstrdup(strrchr(found.gl_pathv[i], '/') + 1);
            recorded_free(space);
        }
        globfree(&found);
    }
    free(pattern);
    return n;
}

static void test_side_by_side(void **state)
{
    (void)state;
    enum { MOST = 64 };
    struct forest_trial *trials[MOST];
    char *names[MOST], *paths[MOST], folder[] = "/tmp/warpsmith-forest-XXXXXX";
    struct quality theirs[MOST] = { 0 };
    assert_non_null(mkdtemp(folder));
    size_t n = make_trials(trials, names, MOST);
    for (size_t i = 0; i < n; i++) {
        paths[i] = xprintf("%s/%zu", folder, i);
        FILE *out = fopen(paths[i], "w");
        assert_non_null(out);
        assert_int_equal(forest_trial_write(trials[i], out), 0);
        fclose(out);
    }
    bool there = ask_sklearn("/usr/bin/python3", paths, n, theirs), ok = true;
    there = there || ask_sklearn("python3", paths, n, theirs);
    for (size_t i = 0; i < n; i++) {
        struct quality q = { 0 };
        if (there) {
            q = ours(trials[i], 1);
            ok = near(&q, SEEDS, &theirs[i], SEEDS, names[i]) && ok;
        }
        unlink(paths[i]);
        free(paths[i]);
        free(names[i]);
        forest_trial_free(trials[i]);
    }
    rmdir(folder);
    if (!there) {
        print_message("scikit-learn isn't installed: held against recorded figures only\n");
    }
    assert_true(ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_expectations),
        cmocka_unit_test(test_a_worse_forest_is_seen),
        cmocka_unit_test(test_side_by_side),
    };
    return cmocka_run_group_tests_name("forest_quality", tests, NULL, NULL);
}
