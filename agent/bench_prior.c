/* SPDX-License-Identifier: MIT */
/*
 * bench prior FOLDER...: what earlier tunings are worth on a device that is new. Every recorded space
 * (KERNEL.DEVICE.json.gz) is left out in turn, and the prior knows the same kernel on all the other
 * devices alone. Speeds are shares of the optimum. The baseline is the five configs with the best mean
 * of relative speed on the other devices.
 */
#include "agent/bench.h"
#include "agent/tune/prior.h"
#include "agent/tune/tune_replay.h"
#include "agent/tune_earlier.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 5, SHORT = 40, BUDGET = 200, SEEDS = 20 };
#define GOOD 0.95 /* whose evaluations are counted */

static double speed_of(const struct recorded *recorded, const uint16_t *config)
{
    int64_t row = tune_space_find(recorded->space, config);
    double time = row >= 0 ? recorded->times[row] : NAN;
    return isnan(time) ? 0 : recorded->optimum / time;
}

static double best_of(const struct recorded *recorded, const uint16_t *configs, size_t n)
{
    double best = 0;
    for (size_t i = 0; i < n; i++) {
        best = fmax(best, speed_of(recorded, configs + i * recorded->space->n));
    }
    return best;
}

/* By value texts, as another space may number its values otherwise. -1: it has no such config. */
static int64_t same_row(const struct tune_space *space, const struct tune_space *other,
                        const uint16_t *config)
{
    uint16_t mapped[TUNE_PARAMS_MAX];
    for (size_t i = 0; i < other->n; i++) {
        bool found = false;
        for (size_t q = 0; q < space->n && !found; q++) {
            const struct tune_param *a = &space->params[q], *b = &other->params[i];
            for (uint32_t k = 0; k < b->n && str_eq(a->name, b->name) && !found; k++) {
                found = str_eq(a->texts[config[q]], b->texts[k]);
                mapped[i] = (uint16_t)k;
            }
        }
        if (!found) {
            return -1;
        }
    }
    return tune_space_find(other, mapped);
}

/* The five with the best mean of relative speed on the other devices. */
static double baseline(const struct tune_earlier_space *spaces, size_t n, size_t target)
{
    const struct recorded *here = spaces[target].recorded;
    size_t rows = here->space->n_listed;
    auto_free double *mean = xcalloc(rows, sizeof(*mean));
    for (size_t row = 0; row < rows; row++) {
        for (size_t e = 0; e < n; e++) {
            if (e == target || !str_eq(spaces[e].kernel, spaces[target].kernel)) {
                continue;
            }
            const struct recorded *other = spaces[e].recorded;
            int64_t at = same_row(here->space, other->space,
                                  here->space->listed + row * here->space->n);
            mean[row] += at < 0 || isnan(other->times[at]) ? 0 : other->optimum / other->times[at];
        }
    }
    double best = 0;
    for (int k = 0; k < FIRST; k++) {
        size_t top = 0;
        for (size_t row = 1; row < rows; row++) {
            top = mean[row] > mean[top] ? row : top;
        }
        mean[top] = -1;
        best = fmax(best, speed_of(here, here->space->listed + top * here->space->n));
    }
    return best;
}

enum { BASELINE, AT_ONCE, ONE_BY_ONE, THEN_DEFAULT, GUIDED, SPEEDS, REACH = SPEEDS, REACH_LFBO, KINDS };

/* One search: its score after SHORT evaluations, and evaluations until GOOD (BUDGET: never). */
static int search(const struct recorded *recorded, struct tuner_options tuner, double *ret_score,
                  double *ret_reach, struct err *err)
{
    tuner.budget = ret_reach ? BUDGET : SHORT;
    struct tune_replay_run run = { 0 };
    int r = tune_replay(recorded, &(struct tune_replay_options) { .tuner = tuner }, &run, err);
    if (r == 0 && run.n > 0 && ret_score) {
        *ret_score += run.curve[MIN(run.n, (size_t)SHORT) - 1] / SEEDS;
    }
    if (r == 0 && ret_reach) {
        *ret_reach += (double)MIN(tune_replay_reach(&run, GOOD), (size_t)BUDGET) / SEEDS;
    }
    tune_replay_done(&run);
    return r;
}

/* Five, every next one after the one before was measured. */
static double one_by_one(struct prior_guide *guide, const struct recorded *recorded)
{
    struct prior_sample own[FIRST];
    uint16_t configs[FIRST][TUNE_PARAMS_MAX];
    double best = 0;
    for (size_t k = 0; k < FIRST; k++) {
        if (prior_guide_next(guide, own, k, 1, configs[k]) == 0) {
            break;
        }
        double speed = speed_of(recorded, configs[k]);
        own[k] = (struct prior_sample) { configs[k], speed > 0 ? 1 / speed : (double)NAN };
        best = fmax(best, speed);
    }
    return best;
}

static int try_space(const struct tune_earlier_space *spaces, size_t n, size_t target, double ret[KINDS],
                     double *ret_ms, struct err *err)
{
    const struct recorded *here = spaces[target].recorded;
    struct prior *prior = prior_new();
    for (size_t e = 0; e < n; e++) {
        const struct recorded *r = spaces[e].recorded;
        if (e != target && str_eq(spaces[e].kernel, spaces[target].kernel)) {
            prior_add(prior, &spaces[e].place, r->space->params, r->space->n, r->space->listed,
                      r->times, r->space->n_listed);
        }
    }
    uint16_t first[FIRST * TUNE_PARAMS_MAX];
    int r = 0;
    memset(ret, 0, KINDS * sizeof(*ret));
    ret[BASELINE] = baseline(spaces, n, target);
    for (uint64_t seed = 0; seed < SEEDS && r == 0; seed++) {
        uint64_t began = clock_ns();
        struct prior_guide *guide = prior_guide_new(prior, &spaces[target].place, here->space, seed);
        require(guide != NULL);
        size_t got = prior_guide_next(guide, NULL, 0, FIRST, first);
        *ret_ms += (double)(clock_ns() - began) * 1e-6 / SEEDS;
        ret[AT_ONCE] += best_of(here, first, got) / SEEDS;
        ret[ONE_BY_ONE] += one_by_one(guide, here) / SEEDS;
        struct tuner_options five = { .seed = seed, .n_proposed = got, .proposed = first };
        struct tuner_options with = { .seed = seed, .guide = guide };
        struct tuner_options lfbo = { .seed = seed, .algorithm = "lfbo" };
        r = search(here, five, &ret[THEN_DEFAULT], NULL, err);
        r = r < 0 ? r : search(here, with, &ret[GUIDED], &ret[REACH], err);
        r = r < 0 ? r : search(here, lfbo, NULL, &ret[REACH_LFBO], err);
        prior_guide_free(guide);
    }
    prior_free(prior);
    return r;
}

static void figures(const double *mean, const double *worst, double spaces, double ms,
                    struct bench_report *report)
{
    static const struct {
        const char *name;
        enum bench_bar bar;
        double value;
    } of[SPEEDS] = { { "five best means (baseline)", BENCH_BAR_NONE, 0 },
                     { "five at once", BENCH_BAR_LEAST, 0.93 },
                     { "five, one by one", BENCH_BAR_NONE, 0 },
                     { "five, then the default unguided: 40", BENCH_BAR_NONE, 0 },
                     { "the default with the prior: 40", BENCH_BAR_LEAST, 0.95 } };
    for (int k = 0; k < SPEEDS; k++) {
        char *name = xprintf("%s, mean", of[k].name), *low = xprintf("%s, worst", of[k].name);
        bench_figure(report, name, mean[k], "of the optimum", of[k].bar, of[k].value);
        bench_figure(report, low, worst[k], "of the optimum", BENCH_BAR_NONE, 0);
        free(name);
        free(low);
    }
    bench_figure(report, "with the prior: evaluations to 0.95", mean[REACH], "of 200", BENCH_BAR_NONE, 0);
    bench_figure(report, "lfbo: evaluations to 0.95", mean[REACH_LFBO], "of 200", BENCH_BAR_NONE, 0);
    bench_figure(report, "lfbo's over the prior's", mean[REACH_LFBO] / mean[REACH], "x",
                 BENCH_BAR_LEAST, 3);
    bench_figure(report, "spaces", spaces, "", BENCH_BAR_NONE, 0);
    bench_figure(report, "time for five", ms, "ms", BENCH_BAR_NONE, 0);
}

static void show_space(const struct tune_earlier_space *space, const double *got, struct bench_report *report)
{
    char *name = xprintf("%s.%s: five at once", space->kernel, space->device);
    bench_figure(report, name, got[AT_ONCE], "of the optimum", BENCH_BAR_NONE, 0);
    free(name);
    if (report->out) {
        fprintf(report->out,
                "    best means %.3f, one by one %.3f; 40 evaluations: then the default %.3f, guided %.3f; "
                "to 0.95: %.0f, lfbo %.0f\n",
                got[BASELINE], got[ONE_BY_ONE], got[THEN_DEFAULT], got[GUIDED], got[REACH],
                got[REACH_LFBO]);
    }
}

static int measure(const struct tune_earlier_space *spaces, size_t n, struct bench_report *report, struct err *err)
{
    double sum[KINDS] = { 0 }, worst[KINDS], ms = 0, tried = 0;
    for (int k = 0; k < KINDS; k++) {
        worst[k] = 1;
    }
    for (size_t i = 0; i < n; i++) {
        bool others = false;
        for (size_t e = 0; e < n; e++) {
            others = others || (e != i && str_eq(spaces[e].kernel, spaces[i].kernel));
        }
        double got[KINDS];
        if (!others) {
            continue;
        }
        int r = try_space(spaces, n, i, got, &ms, err);
        if (r < 0) {
            return err_wrap(err, "%s.%s", spaces[i].kernel, spaces[i].device);
        }
        for (int k = 0; k < KINDS; k++) {
            sum[k] += got[k];
            worst[k] = fmin(worst[k], got[k]);
        }
        tried++;
        show_space(&spaces[i], got, report);
    }
    if (tried <= 0) {
        return err_set(err, ERR_NOTFOUND, "no kernel was recorded on two devices");
    }
    for (int k = 0; k < KINDS; k++) {
        sum[k] /= tried;
    }
    figures(sum, worst, tried, ms / tried, report);
    return 0;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    struct tune_earlier_space spaces[TUNE_EARLIER_MAX];
    size_t n = 0;
    if (o->n_args < 2) {
        return err_set(err, ERR_INVALID, "name folders with recorded spaces: bench prior FOLDER...");
    }
    int r = 0;
    for (size_t i = 1; i < o->n_args && r == 0; i++) {
        r = tune_earlier_folder(o->args[i], NULL, NULL, spaces, &n, err);
    }
    r = r < 0 ? r : measure(spaces, n, report, err);
    for (size_t i = 0; i < n; i++) {
        tune_earlier_done(&spaces[i]);
    }
    return r;
}

const struct bench bench_prior = { .name = "prior",
                                   .summary = "the tuner's prior on a device left out: the recorded "
                                              "spaces of FOLDER...", .run = run,
                                   .takes_names = true };
