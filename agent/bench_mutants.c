/* SPDX-License-Identifier: MIT */
/*
 * What the gate misses: faults planted (mutate.h) in every shipped variant and in the honest kernels
 * of tests/honest, each judged by all checks and no timing. A mutant counts when it compiles and is
 * another program than its original: an accepted one whose images and launches are the same at
 * every shape, or that tests/mutants/equivalent.txt argues to be equivalent, doesn't. Every other
 * accepted one is a miss.
 *
 * Words after the bench's name choose: "2/20" is the second twentieth, others are beginnings of
 * subjects' names ("softmax/"). --runs N: about how many mutants in all. --out DIR keeps the misses:
 * misses.txt with a line each, and their folders.
 */
#include "agent/bench.h"
#include "agent/bench_many.h"
#include "agent/bench_plant.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/rng.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MUTANTS_DEFAULT = 1150, MUTANTS_AT_ONCE = 48, MUTANTS_DEADLINE_MS = 6000,
       MUTANTS_DEADLINE_MODELLED_MS = 30000, MUTANTS_PROGRESS = 100 };

static bool in_part(const struct plant *p, size_t index)
{
    return p->parts == 0 || index % p->parts == p->part;
}

/* The next mutant of the next subject that is in this part; the original comes first. */
static bool next(void *ud, struct judge_request *ret, void **ret_item)
{
    struct plant *p = ud;
    while (p->at < p->n_subjects) {
        struct subject *s = &p->subjects[p->at];
        struct planted *item = NULL;
        if (!s->begun) {
            s->begun = true;
            item = in_part(p, p->at) ? plant_original(s) : NULL;
        } else if (s->next < s->n_picked) {
            size_t index = s->next++;
            item = in_part(p, p->index++) ? plant_one(p, s, index) : NULL;
        } else {
            p->at++;
        }
        if (item) {
            *ret = (struct judge_request) { .task = s->task, .candidate = item->candidate,
                                            .depth = JUDGE_DEPTH_CHECK,
                                            .deadline_ms = item->mutant ? p->deadline_ms : 0 };
            *ret_item = item;
            return true;
        }
    }
    return false;
}

static void judge_original(struct plant *p, struct planted *item, const struct verdict *v)
{
    p->honest++;
    if (v->status != VERDICT_STATUS_ACCEPTED) {
        p->honest_rejected++;
        if (p->report->out) {
            fprintf(p->report->out, "HONEST %s: %s in phase %s: %s\n", item->subject->name,
                    verdict_status_name(v->status), v->phase, v->detail);
        }
    }
}

static void show_progress(struct plant *p, const struct verdict *v)
{
    p->judged++;
    p->accepted += v->status == VERDICT_STATUS_ACCEPTED;
    if (p->report->out && p->judged % MUTANTS_PROGRESS == 0) {
        double seconds = (double)(clock_ns() - p->began) * 1e-9;
        fprintf(p->report->out, "  %zu judged in %.0f s, %zu accepted (not yet compared)\n", p->judged,
                seconds, p->accepted);
        fflush(p->report->out);
    }
}

static void done(void *ud, void *ptr, const struct verdict *v)
{
    struct plant *p = ud;
    struct planted *item = ptr;
    show_progress(p, v);
    if (!item->mutant) {
        judge_original(p, item, v);
        plant_free(item);
        return;
    }
    struct plant_count *count = plant_count_of(p, item);
    if (str_eq(v->phase, "compile") && v->status != VERDICT_STATUS_UNSUPPORTED) {
        p->broken++; /* the compiler itself dies of some */
        plant_free(item);
        return;
    }
    switch (v->status) {
    case VERDICT_STATUS_ACCEPTED:
        item->next = p->survivors;
        p->survivors = item;
        return;
    case VERDICT_STATUS_PLAN_ERROR:
        p->broken++;
        break;
    case VERDICT_STATUS_UNSUPPORTED:
        p->unsupported++;
        break;
    default:
        count->differ++;
        count->killed++;
        p->by_status[v->status]++;
        if (v->status == VERDICT_STATUS_CRASH) { /* killed, but the worker shouldn't die of it */
            plant_report(p, item, "CRASH");
        }
    }
    plant_free(item);
}

/* After all is judged: which of those accepted were other programs at all? */
static int sort_survivors(struct plant *p, struct err *err)
{
    int r = 0;
    for (struct planted *s = p->survivors, *after; s; s = after) {
        bool same = false;
        after = s->next;
        r = r < 0 ? r : plant_is_same(p, s, &same, err);
        if (r == 0 && same) {
            p->same++;
        } else if (r == 0 && plant_is_argued(p, s)) {
            p->argued++;
        } else if (r == 0) {
            plant_count_of(p, s)->differ++;
            plant_report(p, s, "MISS");
        }
        plant_free(s);
    }
    p->survivors = NULL;
    return r;
}

static void figure(struct bench_report *report, const char *what, const struct plant_count *c,
                   double bar)
{
    double share = c->differ ? 100.0 * (double)c->killed / (double)c->differ : 100;
    auto_free char *name = xprintf("killed: %s (%zu of %zu)", what, c->killed, c->differ);
    bench_figure(report, name, share, "%", bar > 0 ? BENCH_BAR_LEAST : BENCH_BAR_NONE, bar);
}

static void figure_honest(struct plant *p)
{
    auto_free char *name = xprintf("honest kernels rejected, of %zu", p->honest);
    bench_figure(p->report, name, (double)p->honest_rejected, "kernels", BENCH_BAR_MOST, 0);
}

static void figures(struct plant *p)
{
    struct bench_report *report = p->report;
    struct plant_count all = { 0 }, held_out = { 0 }, precision = { 0 };
    for (int k = 0; k < MUTATE_CLASSES; k++) {
        struct plant_count c = { 0 };
        for (size_t f = 0; f < p->n_families; f++) {
            const struct plant_count *one = &p->count[f][k];
            plant_add(&c, one);
            plant_add(&all, one);
            plant_add(plant_held_out(p->families[f]) ? &held_out : NULL, one);
            plant_add(k == MUTATE_CLASS_PRECISION ? &precision : NULL, one);
        }
        if (c.differ) {
            figure(report, mutate_class_name((enum mutate_class)k), &c, 0);
        }
    }
    for (size_t f = 0; f < p->n_families; f++) {
        struct plant_count c = { 0 };
        for (int k = 0; k < MUTATE_CLASSES; k++) {
            plant_add(&c, &p->count[f][k]);
        }
        figure(report, p->families[f], &c, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(p->by_status); i++) {
        if (p->by_status[i]) {
            auto_free char *name
                = xprintf("killed as %s", verdict_status_name((enum verdict_status)i));
            bench_figure(report, name, (double)p->by_status[i], "mutants", BENCH_BAR_NONE, 0);
        }
    }
    bench_figure(report, "don't compile or bind", (double)p->broken, "mutants", BENCH_BAR_NONE, 0);
    bench_figure(report, "unsupported here", (double)p->unsupported, "mutants", BENCH_BAR_NONE, 0);
    bench_figure(report, "the same program", (double)p->same, "mutants", BENCH_BAR_NONE, 0);
    bench_figure(report, "argued equivalent", (double)p->argued, "mutants", BENCH_BAR_NONE, 0);
    bench_figure(report, "really differ", (double)all.differ, "mutants",
                 p->whole ? BENCH_BAR_LEAST : BENCH_BAR_NONE, 1000);
    figure(report, "held-out families", &held_out, 97);
    figure(report, "precision", &precision, 95);
    figure(report, "all", &all, 99);
    figure_honest(p);
}

static int judge_all(struct plant *p, size_t mutants, struct err *err)
{
    struct session session;
    const struct options *o = p->options;
    int r = session_open(&session, o, SESSION_EVALUATOR, err);
    if (r < 0) {
        return r;
    }
    const struct many many = { next, done, p };
    p->session = &session;
    p->deadline_ms = o->deadline_s > 0 ? (uint64_t)(o->deadline_s * 1000)
        : evaluator_device(session.evaluator)->modelled ? MUTANTS_DEADLINE_MODELLED_MS
                                                        : MUTANTS_DEADLINE_MS;
    plant_pick(p, (uint64_t)o->seed, mutants);
    r = many_run(&session, &many, MUTANTS_AT_ONCE, err);
    r = r < 0 ? r : sort_survivors(p, err);
    session_close(&session);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    struct plant *p = plant_new(o, report);
    int r = plant_read(p, err);
    r = r < 0 ? r : judge_all(p, o->runs > 0 ? (size_t)o->runs : MUTANTS_DEFAULT, err);
    if (r == 0) {
        figures(p);
        bench_figure(report, "time", (double)(clock_ns() - p->began) * 1e-9, "s", BENCH_BAR_NONE, 0);
    }
    plant_done(p);
    return r;
}

const struct bench bench_mutants = {
    .name = "mutants",
    .summary = "faults planted in right kernels, and how many the gate sees",
    .run = run,
    .takes_names = true,
};

static int run_honest(const struct options *o, struct bench_report *report, struct err *err)
{
    struct plant *p = plant_new(o, report);
    int r = plant_read(p, err);
    r = r < 0 ? r : judge_all(p, 0, err);
    if (r == 0) {
        figure_honest(p);
    }
    plant_done(p);
    return r;
}

const struct bench bench_honest = {
    .name = "honest",
    .summary = "right kernels of many kinds, and how many the gate rejects",
    .run = run_honest,
    .takes_names = true,
};
