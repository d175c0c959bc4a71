/* SPDX-License-Identifier: MIT */
/* Searches on a recorded space made by a formula. */
#include "agent/tune/tune_replay.h"
#include "base/util.h"
#include "tests/tune_made.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* The curve is the best by the recorded means so far, whatever the algorithm and the batch. */
static void check_run(const struct tune_made *f, const struct tune_replay_run *run)
{
    const struct tune_space *space = f->recorded->space;
    double best = INFINITY;
    size_t failed = 0;
    assert_true(run->n <= TUNE_MADE_EVALS);
    for (size_t i = 0; i < run->n; i++) {
        int64_t row = tune_space_find(space, run->configs + i * space->n);
        assert_true(row >= 0);
        double time = f->recorded->times[row];
        assert_true(run->times[i] == time || (isnan(run->times[i]) && isnan(time)));
        failed += isnan(time);
        best = time < best ? time : best;
        assert_true(run->curve[i] == (isinf(best) ? 0 : f->recorded->optimum / best));
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(run->configs + i * space->n, run->configs + k * space->n,
                                    space->n * sizeof(*run->configs));
        }
    }
    assert_int_equal(run->n_failed, failed);
    assert_true(run->score == run->curve[run->n - 1] && run->time == best);
}

static void test_runs(void **state)
{
    const struct tune_made *f = *state;
    for (const char *const *name = tuner_algorithms(); *name; name++) {
        for (size_t batch = 1; batch <= 16; batch += 5) {
            struct tune_replay_run run = tune_made_run(
                f, (struct tune_replay_options) {
                       .tuner = { .algorithm = *name, .budget = TUNE_MADE_EVALS, .seed = batch },
                       .batch = batch, .unlisted = batch == 6 && !str_eq(*name, "exhaustive") });
            if (run.n > 0) { /* `prior` has nothing to propose */
                check_run(f, &run);
            }
            assert_true(run.n == TUNE_MADE_EVALS || str_eq(*name, "prior"));
            assert_string_equal(run.algorithm, *name);
            tune_replay_done(&run);
        }
    }
}

/* What was told is a recorded share of the mean, and the best told is what is judged. */
static void test_noise(void **state)
{
    const struct tune_made *f = *state;
    struct tune_replay_run run = tune_made_run(
        f, (struct tune_replay_options) { .tuner = { .algorithm = "random", .budget = TUNE_MADE_EVALS, .seed = 1 },
                                          .noise = true });
    double best = INFINITY;
    size_t off = 0, row = 0;
    for (size_t i = 0; i < run.n; i++) {
        size_t at = (size_t)tune_space_find(f->recorded->space, run.configs + i * f->recorded->space->n);
        double share = run.times[i] / f->recorded->times[at];
        assert_true(isnan(share) || fabs(share - 0.9) < 1e-9 || fabs(share - 1) < 1e-9
                    || fabs(share - 1.1) < 1e-9);
        off += !isnan(share) && fabs(share - 1) > 1e-9;
        row = run.times[i] < best ? at : row;
        best = run.times[i] < best ? run.times[i] : best;
        assert_true(isinf(best) || run.curve[i] == f->recorded->optimum / f->recorded->times[row]);
    }
    assert_true(off > TUNE_MADE_EVALS / 3);
    assert_int_equal(run.best, row);
    tune_replay_done(&run);
}

static void test_reach(void **state)
{
    (void)state;
    double curve[] = { 0, 0.5, 0.5, 0.96 };
    const struct tune_replay_run run = { .n = 4, .curve = curve };
    assert_int_equal(tune_replay_reach(&run, 0.4), 2);
    assert_int_equal(tune_replay_reach(&run, 0.96), 4);
    assert_int_equal(tune_replay_reach(&run, 0.97), SIZE_MAX);
}

/* Threads change nothing; a job that fails says so and leaves the others alone. */
static void test_many(void **state)
{
    const struct tune_made *f = *state;
    struct tune_replay_job jobs[2][9];
    memset(jobs, 0, sizeof(jobs));
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < 9; i++) {
            jobs[t][i].recorded = f->recorded;
            jobs[t][i].options.tuner = (struct tuner_options) {
                .algorithm = i == 4 ? "none such" : i % 2 ? "genetic" : "rank", .budget = TUNE_MADE_EVALS, .seed = i };
        }
        tune_replay_many(jobs[t], 9, t ? 4 : 1);
    }
    for (size_t i = 0; i < 9; i++) {
        const struct tune_replay_run *a = &jobs[0][i].run, *b = &jobs[1][i].run;
        assert_int_equal(jobs[0][i].code, i == 4 ? ERR_INVALID : 0);
        assert_int_equal(jobs[1][i].code, jobs[0][i].code);
        if (i == 4) {
            assert_non_null(strstr(err_text(&jobs[1][i].err), "none such"));
            continue;
        }
        assert_int_equal(a->n, b->n);
        assert_memory_equal(a->configs, b->configs,
                            a->n * f->recorded->space->n * sizeof(*a->configs));
        tune_replay_done(&jobs[0][i].run);
        tune_replay_done(&jobs[1][i].run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, tune_made_setup, tune_made_teardown);
}
