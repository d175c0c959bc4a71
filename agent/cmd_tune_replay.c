/* SPDX-License-Identifier: MIT */
/* tune --replay: searches on a recorded space, with the curve of each. */
#include "agent/cmd_tune.h"
#include "agent/cmd_tune_replay.h"
#include "agent/command.h"
#include "agent/tune/tune_config.h"
#include "agent/tune_earlier.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVALS = 200, SEEDS = 20 };

static size_t given(int64_t value, size_t otherwise)
{
    return value < 0 ? otherwise : (size_t)value;
}

/* --- What the searches found --- */

static const struct tune_replay_run *best_run(const struct replayed *t)
{
    const struct tune_replay_run *best = &t->jobs[0].run;
    for (size_t i = 1; i < t->n; i++) {
        best = t->jobs[i].run.score > best->score ? &t->jobs[i].run : best;
    }
    return best;
}

/* The score after `evals` evaluations; a search that ended earlier keeps what it had. */
static double score_at(const struct tune_replay_run *run, size_t evals)
{
    return run->n == 0 ? 0 : run->curve[MIN(evals, run->n) - 1];
}

static void score_of(const struct replayed *t, size_t evals, double *ret_mean, double *ret_worst)
{
    double sum = 0, worst = INFINITY;
    for (size_t i = 0; i < t->n; i++) {
        double score = score_at(&t->jobs[i].run, evals);
        sum += score;
        worst = MIN(worst, score);
    }
    *ret_mean = sum / (double)t->n;
    *ret_worst = worst;
}

/* --- As JSON --- */

static json_t *space_json(const struct recorded *recorded)
{
    const struct tune_space *space = recorded->space;
    char id[ID_SHORT];
    id_short(&space->id, id);
    json_t *params = json_object();
    for (size_t i = 0; i < space->n; i++) {
        json_object_set_new(params, space->params[i].name, json_integer(space->params[i].n));
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:o}", "id", id, "kernel", recorded->kernel,
                     "device", recorded->device, "configs", (json_int_t)space->n_listed, "failed",
                     (json_int_t)recorded->n_failed, "optimum", recorded->optimum, "params", params);
}

static json_t *best_json(const struct replayed *t)
{
    const struct tune_space *space = t->recorded->space;
    const struct tune_replay_run *best = best_run(t);
    return best->best < 0 ? json_null()
                          : json_pack("{s:o, s:f, s:f}", "config",
                                      tune_config_json(space, space->listed
                                                                  + (size_t)best->best * space->n),
                                      "time", best->time, "score", best->score);
}

static json_t *result_json(const struct replayed *t)
{
    json_t *per_seed = json_array(), *curves = json_array(), *spent = json_array();
    json_t *failed = json_array(), *notes = json_array();
    double mean, worst;
    score_of(t, t->evals, &mean, &worst);
    for (size_t i = 0; i < t->n; i++) {
        const struct tune_replay_run *run = &t->jobs[i].run;
        json_t *curve = json_array();
        for (size_t k = 0; k < run->n; k++) {
            json_array_append_new(curve, json_real(run->curve[k]));
        }
        json_array_append_new(curves, curve);
        json_array_append_new(per_seed, json_real(run->score));
        json_array_append_new(spent, json_integer((json_int_t)run->n));
        json_array_append_new(failed, json_integer((json_int_t)run->n_failed));
        json_array_append_new(notes, json_string(replayed_ask_note(t->ask, i)));
    }
    return json_pack("{s:s, s:I, s:I, s:b, s:o, s:{s:f, s:f, s:o}, s:o, s:o, s:o, s:o, s:o}", "algorithm",
                     t->jobs[0].run.algorithm, "evals", (json_int_t)t->evals, "seeds",
                     (json_int_t)t->n, "noise", t->options->noise, "space", space_json(t->recorded),
                     "score", "mean", mean, "worst", worst, "per_seed", per_seed, "best",
                     best_json(t), "spent", spent, "failed", failed, "notes", notes, "curves", curves);
}

/* --- For people --- */

static void print_curve(const struct replayed *t)
{
    static const size_t marks[] = { 5,   10,  25,   50,   75,   100,   150,   200,   300,
                                    400, 600, 1000, 2000, 5000, 10000, 20000, 50000, 100000 };
    double mean, worst;
    printf("\n   evals    mean   worst\n");
    for (size_t i = 0; i < ARRAY_LEN(marks) && marks[i] < t->evals; i++) {
        score_of(t, marks[i], &mean, &worst);
        printf("%8zu  %.4f  %.4f\n", marks[i], mean, worst);
    }
    score_of(t, t->evals, &mean, &worst);
    printf("%8zu  %.4f  %.4f\n", t->evals, mean, worst);
}

static void print_reach(const struct replayed *t, double score)
{
    size_t reached = 0;
    double sum = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t evals = tune_replay_reach(&t->jobs[i].run, score);
        reached += evals != SIZE_MAX;
        sum += evals == SIZE_MAX ? 0 : (double)evals;
    }
    printf("%.2f of the optimum reached by %zu of %zu", score, reached, t->n);
    if (reached > 0) {
        printf(", after %.0f evaluations on average", sum / (double)reached);
    }
    printf("\n");
}

static void print_result(const struct replayed *t)
{
    const struct recorded *recorded = t->recorded;
    const struct tune_space *space = recorded->space;
    const struct tune_replay_run *best = best_run(t);
    size_t most = 0, least = SIZE_MAX;
    for (size_t i = 0; i < t->n; i++) {
        most = MAX(most, t->jobs[i].run.n);
        least = MIN(least, t->jobs[i].run.n);
    }
    printf("%s on %s: %zu configs of %zu parameters, %zu fail; recorded optimum %.5g\n",
           *recorded->kernel ? recorded->kernel : "a kernel",
           *recorded->device ? recorded->device : "a device", space->n_listed, space->n,
           recorded->n_failed, recorded->optimum);
    printf("%s, %zu %s%s; score: optimum / best found\n", t->jobs[0].run.algorithm, t->n,
           t->n == 1 ? "search" : "searches", t->options->noise ? ", single noisy timings" : "");
    print_curve(t);
    printf("\n");
    if (least < t->evals) {
        printf("ended after %zu to %zu evaluations, with nothing more to try\n", least, most);
    }
    print_reach(t, 0.95);
    print_reach(t, 0.99);
    if (best->best >= 0) {
        auto_buf struct buf text;
        buf_init(&text, 1 << 20);
        tune_config_text(space, space->listed + (size_t)best->best * space->n, &text);
        printf("best: %s  %.5g (%.4f)\n", text.len ? text.at : "the only config", best->time,
               best->score);
    }
}

/* Where a proposer was meant to be and wasn't, or was of no use. */
static void print_notes(const struct replayed *t)
{
    const char *algorithm = t->options->algorithm;
    bool proposed = algorithm && (str_eq(algorithm, "llm") || str_eq(algorithm, "hybrid"));
    if (proposed && !t->ask) {
        printf("no model was asked (--llm): the search went on without proposals\n");
    }
    if (algorithm && str_eq(algorithm, "prior") && !t->prior) {
        printf("nothing was tuned before: --earlier FOLDER names recorded spaces of other devices\n");
    }
    for (size_t i = 0; i < t->n && t->ask; i++) {
        if (*replayed_ask_note(t->ask, i)) {
            printf("search %zu: %s\n", i + 1, replayed_ask_note(t->ask, i));
        }
    }
}

/* --- The run --- */

/* A guide a search, as each keeps state of its own. */
static int guide(struct replayed *t, struct err *err)
{
    const struct options *o = t->options;
    struct tune_earlier_space here = { 0 };
    int r = tune_earlier_prior(o->earlier, o->replay, &t->prior, &here, err);
    t->guides = xcalloc(t->n, sizeof(struct prior_guide *));
    for (size_t i = 0; i < t->n && r == 0; i++) {
        t->guides[i] = prior_guide_new(t->prior, &here.place, t->recorded->space,
                                       (uint64_t)o->seed + i);
        if (!t->guides[i]) {
            r = err_set(err, ERR_NOTFOUND, "%s: no parameter of its spaces is one of %s", o->earlier,
                        o->replay);
        }
    }
    tune_earlier_done(&here);
    return r;
}

static int search(struct replayed *t, struct err *err)
{
    const struct options *o = t->options;
    t->jobs = xcalloc(t->n, sizeof(*t->jobs));
    for (size_t i = 0; i < t->n; i++) {
        t->jobs[i].recorded = t->recorded;
        t->jobs[i].options = (struct tune_replay_options) {
            .tuner = { .algorithm = o->algorithm, .budget = t->evals,
                       .seed = (uint64_t)o->seed + i, .flags = o->flags, .n_pinned = t->n_pins,
                       .pinned = t->pins, .guide = t->guides ? t->guides[i] : NULL },
            .batch = given(o->batch, 1), .noise = o->noise, .unlisted = o->unlisted,
        };
    }
    if (replayed_asks(t)) {
        int r = replayed_ask_open(t, err);
        return r < 0 ? r : replayed_ask_run(t, err);
    }
    tune_replay_many(t->jobs, t->n, (unsigned)given(o->threads, 0));
    for (size_t i = 0; i < t->n; i++) {
        if (t->jobs[i].code < 0) {
            *err = t->jobs[i].err;
            return err->code;
        }
    }
    return 0;
}

int tune_replayed(const struct options *options)
{
    struct err err = { 0 };
    struct replayed t = { .options = options, .evals = given(options->evals, EVALS),
                          .n = given(options->seeds, SEEDS) };
    int r = recorded_read(options->replay, &t.recorded, &err);
    if (r == 0 && options->pin) {
        r = tune_pins(options, t.recorded->space, &t.pins, &t.n_pins, &err);
    }
    if (r == 0 && options->earlier) {
        r = guide(&t, &err);
    }
    r = r < 0 ? r : search(&t, &err);
    if (r == 0 && !str_eq(options->json, "-")) {
        print_result(&t);
        print_notes(&t);
    }
    if (r == 0 && options->out) {
        r = replayed_page(&t, options->out, &err);
    }
    if (r == 0 && options->json) {
        r = output_json(options->json, result_json(&t), &err);
    }
    for (size_t i = 0; t.jobs && i < t.n; i++) {
        tune_replay_done(&t.jobs[i].run);
    }
    bool waiting = r == ERR_BUSY && t.ask;
    if (waiting) {
        fprintf(stderr, "%s; give the command again when they're there\n", err_text(&err));
    }
    replayed_ask_close(t.ask);
    free(t.jobs);
    free(t.pins);
    for (size_t i = 0; t.guides && i < t.n; i++) {
        prior_guide_free(t.guides[i]);
    }
    free(t.guides);
    prior_free(t.prior);
    recorded_free(t.recorded);
    return waiting ? EXIT_DONE : r < 0 ? options_fail(&err) : EXIT_DONE;
}
