/* SPDX-License-Identifier: MIT */
/* tune --replay --out: the page of searches on a recorded space. Files have milliseconds. */
#include "agent/cmd_tune_replay.h"
#include "agent/tune_page.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>

static const double us = 1000;

/* The search in the middle of all, by its score. */
static size_t middle(const struct replayed *t)
{
    size_t best = 0, nearest = SIZE_MAX;
    for (size_t i = 0; i < t->n; i++) {
        size_t below = 0, above = 0;
        for (size_t k = 0; k < t->n; k++) {
            below += t->jobs[k].run.score < t->jobs[i].run.score;
            above += t->jobs[k].run.score > t->jobs[i].run.score;
        }
        size_t off = below > above ? below - above : above - below;
        best = off < nearest ? i : best;
        nearest = MIN(nearest, off);
    }
    return best;
}

/* Scores back to times; 0 is "nothing ran yet". */
static double *curve_of(const struct replayed *t, const struct tune_replay_run *run,
                        struct arena *arena)
{
    double *curve = arena_alloc(arena, run->n + 1, sizeof(*curve));
    for (size_t k = 0; k < run->n; k++) {
        curve[k] = run->curve[k] > 0 ? us * t->recorded->optimum / run->curve[k] : (double)NAN;
    }
    return curve;
}

static void count_scores(const struct replayed *t, double *ret_mean, double *ret_worst)
{
    *ret_mean = 0;
    *ret_worst = INFINITY;
    for (size_t i = 0; i < t->n; i++) {
        *ret_mean += t->jobs[i].run.score / (double)t->n;
        *ret_worst = fmin(*ret_worst, t->jobs[i].run.score);
    }
}

int replayed_page(const struct replayed *t, const char *folder, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    const struct recorded *rec = t->recorded;
    size_t shown = middle(t);
    const struct tune_replay_run *run = &t->jobs[shown].run;
    const double **curves = arena_alloc(arena, t->n, sizeof(*curves));
    size_t *lengths = arena_alloc(arena, t->n, sizeof(*lengths));
    double *times = arena_alloc(arena, run->n + 1, sizeof(*times)), mean, worst;
    for (size_t i = 0; i < t->n; i++) {
        curves[i] = curve_of(t, &t->jobs[i].run, arena);
        lengths[i] = t->jobs[i].run.n;
    }
    for (size_t k = 0; k < run->n; k++) {
        times[k] = us * run->times[k];
    }
    count_scores(t, &mean, &worst);
    const struct tune_page_fact facts[] = {
        { "algorithm", run->algorithm },
        { "space", arena_printf(arena, "%zu configs of %zu parameters, %zu fail; recorded, not measured "
                                "now%s", rec->space->n_listed, rec->space->n, rec->n_failed,
                                t->options->noise ? "; single noisy timings" : "") },
        { "searches", arena_printf(arena, "%zu of up to %zu configs", t->n, t->evals) },
        { "score", arena_printf(arena, "optimum over the best found: %.4f on average, %.4f at worst", mean,
                                worst) },
        { "shown below", arena_printf(arena, "search %zu, score %.4f", shown + 1, run->score) },
    };
    const struct tune_page page = {
        .title = *rec->kernel ? rec->kernel : "a recorded space", .device = rec->device,
        .note = replayed_ask_note(t->ask, shown), .facts = facts, .n_facts = ARRAY_LEN(facts),
        .shown = { rec->space, run->configs, times, run->n }, .curves = curves, .lengths = lengths,
        .n_curves = t->n, .optimum_us = us * rec->optimum,
    };
    auto_free char *path = xprintf("%s/report.html", folder);
    int r = folder_make(folder, err);
    return r < 0 ? r : tune_page_write(path, &page, err);
}
