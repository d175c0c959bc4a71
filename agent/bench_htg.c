/* SPDX-License-Identifier: MIT */
/*
 * What the graph's memory is worth, and what it costs when it is wrong: every ablation on synthetic
 * landscapes (landscape.h), each trained on tasks of its own making and then measured on others of the
 * same world, six steps a task; all with the same luck, so that differences are paired by landscape.
 * Then memories that are poisoned: shuffled among nodes, turned round, or of another world.
 *
 * --runs N: so many landscapes of a world. A word after the name is a landscape's file, and only that
 * world is walked; --out DIR keeps the landscapes that were drawn.
 */
#include "agent/bench.h"
#include "agent/walk.h"
#include "base/file.h"
#include "base/util.h"
#include "graph/htg_learn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN = 150, TEST = 50, RUNS = 40, POISON_HALF = 50, POISON_RUNS_EACH = 5 };

static const char *const worlds[] = { "order", "unary", "none" };

/* One life: tasks one after the other, the mean gain a step over the later ones. */
static int live(const struct walk *walk, uint64_t first, uint64_t n, double *ret_gain,
                struct err *err)
{
    double sum = 0;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < n; i++) {
        double gain = 0;
        r = walk_task(walk, first + i, &gain, err);
        sum += gain;
    }
    *ret_gain = sum / (double)n;
    return r;
}

static void walk_init(const struct landscape *landscape, enum select_ablation ablation,
                      struct walk *ret)
{
    *ret = (struct walk) { .landscape = landscape, .htg = walk_graph(), .ablation = ablation,
                           .seed = landscape->seed };
    select_tuning_default(&ret->tuning);
}

/* Frozen is a memory that was trained and then learns no more. */
static int train_and_test(const struct landscape *landscape, enum select_ablation ablation,
                          double *ret, struct err *err)
{
    struct walk walk;
    double unused;
    walk_init(landscape, ablation == SELECT_ABLATION_FROZEN ? SELECT_ABLATION_OFF : ablation, &walk);
    int r = live(&walk, 0, TRAIN, &unused, err);
    walk.ablation = ablation;
    r = r < 0 ? r : live(&walk, TRAIN, TEST, ret, err);
    htg_free(walk.htg);
    return r;
}

/* Mean and half the width of its 95 % interval; the quantile of t by 1.96 + 2.4/(n-1), within one
 * per cent from n = 10 on. */
struct mean {
    double value, half;
};

static struct mean mean_of(const double *x, size_t n)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++) {
        square += (x[i] - sum / (double)n) * (x[i] - sum / (double)n);
    }
    double t = n > 1 ? 1.96 + 2.4 / (double)(n - 1) : 0;
    double error = n > 1 ? sqrt(square / (double)(n - 1) / (double)n) : 0;
    return (struct mean) { sum / (double)n, t * error };
}

static struct mean mean_difference(const double *a, const double *b, size_t n)
{
    double *d = xcalloc(n, sizeof(*d));
    for (size_t i = 0; i < n; i++) {
        d[i] = a[i] - b[i];
    }
    struct mean made = mean_of(d, n);
    free(d);
    return made;
}

static void say(struct bench_report *report, const char *world, const char *what, double value,
                const char *unit, enum bench_bar kind, double bar)
{
    auto_free char *name = xprintf("%s: %s", world, what);
    bench_figure(report, name, value, unit, kind, bar);
}

/* The lower end of the interval has to lie above zero. */
static void say_difference(struct bench_report *report, const char *world, enum select_ablation better,
                           enum select_ablation worse, double *const *gains, size_t n)
{
    struct mean d = mean_difference(gains[better], gains[worse], n);
    auto_free char *what = xprintf("%s above %s, at least", select_ablation_name(better),
                                   select_ablation_name(worse));
    say(report, world, what, d.value - d.half, "nats a step (95 %)", BENCH_BAR_LEAST, 0);
}

static void say_world(struct bench_report *report, const char *world, double *const *gains, size_t n)
{
    for (int a = 0; a <= SELECT_ABLATION_NONE; a++) {
        struct mean m = mean_of(gains[a], n);
        auto_free char *unit = xprintf("nats a step +- %.4f", m.half);
        say(report, world, select_ablation_name((enum select_ablation)a), m.value, unit,
            BENCH_BAR_NONE, 0);
    }
    if (str_eq(world, "order")) {
        say_difference(report, world, SELECT_ABLATION_OFF, SELECT_ABLATION_FLAT, gains, n);
        say_difference(report, world, SELECT_ABLATION_FLAT, SELECT_ABLATION_RANDOM, gains, n);
        say_difference(report, world, SELECT_ABLATION_OFF, SELECT_ABLATION_NO_PREFIX, gains, n);
        say_difference(report, world, SELECT_ABLATION_OFF, SELECT_ABLATION_NO_POSITION, gains, n);
    } else {
        double full = mean_of(gains[SELECT_ABLATION_OFF], n).value;
        double flat = mean_of(gains[SELECT_ABLATION_FLAT], n).value;
        say(report, world, "full over flat", full / flat, "", BENCH_BAR_LEAST, 0.97);
    }
}

static int keep_landscape(const struct landscape *landscape, const char *out, struct err *err)
{
    auto_buf struct buf text;
    buf_init(&text, 1 << 20);
    landscape_write(landscape, &text);
    auto_free char *path = xprintf("%s/%s-%llu.json", out, landscape->world,
                                   (unsigned long long)landscape->seed);
    int r = folder_make(out, err);
    return r < 0 ? r : file_write(path, text.at, text.len, err);
}

static int bench_world(const struct options *o, const char *world, const struct landscape *given,
                       size_t n, struct bench_report *report, struct err *err)
{
    double *gains[SELECT_ABLATION_NONE + 1];
    int r = 0;
    for (size_t a = 0; a < ARRAY_LEN(gains); a++) {
        gains[a] = xcalloc(n, sizeof(**gains));
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct landscape landscape;
        if (given) {
            landscape = *given;
        } else {
            r = landscape_draw(world, (uint64_t)o->seed + i, &landscape, err);
        }
        r = r < 0 || given || !o->out ? r : keep_landscape(&landscape, o->out, err);
        landscape.seed += given ? i : 0; /* the same world, other luck */
        for (size_t a = 0; r == 0 && a < ARRAY_LEN(gains); a++) {
            r = train_and_test(&landscape, (enum select_ablation)a, &gains[a][i], err);
        }
    }
    if (r == 0) {
        say_world(report, world, gains, n);
    }
    for (size_t a = 0; a < ARRAY_LEN(gains); a++) {
        free(gains[a]);
    }
    return r;
}

static const char *const poisons[] = { "shuffled", "turned round", "of another world" };

/* One life that began with a poisoned memory, and the same without any: tasks 1 to 50, 51 to 100. */
struct lives {
    double poisoned[2], none[2];
};

static int poisoned_life(uint64_t seed, int poison, struct lives *ret, struct err *err)
{
    struct landscape own, other;
    struct walk teacher, pupil, none;
    double unused;
    int r = landscape_draw("order", seed, &own, err);
    r = r < 0 ? r : landscape_draw("order", seed + (1u << 20), &other, err);
    if (r < 0) {
        return r;
    }
    walk_init(poison == WALK_POISON_FOREIGN ? &other : &own, SELECT_ABLATION_OFF, &teacher);
    walk_init(&own, SELECT_ABLATION_OFF, &pupil);
    walk_init(&own, SELECT_ABLATION_NONE, &none);
    r = live(&teacher, 1000, TRAIN, &unused, err);
    walk_poison(teacher.htg, (enum walk_poison)poison, seed, pupil.htg);
    for (uint64_t half = 0; r == 0 && half < 2; half++) {
        r = live(&pupil, half * POISON_HALF, POISON_HALF, &ret->poisoned[half], err);
        r = r < 0 ? r : live(&none, half * POISON_HALF, POISON_HALF, &ret->none[half], err);
    }
    htg_free(teacher.htg);
    htg_free(pupil.htg);
    htg_free(none.htg);
    return r;
}

static void say_poison(struct bench_report *report, const char *poison, const struct lives *lives,
                       size_t n)
{
    static const char *const halves[] = { "tasks 1 to 50", "tasks 51 to 100" };
    double *poisoned = xcalloc(n, sizeof(*poisoned)), *none = xcalloc(n, sizeof(*none));
    for (int half = 0; half < 2; half++) {
        for (size_t i = 0; i < n; i++) {
            poisoned[i] = lives[i].poisoned[half];
            none[i] = lives[i].none[half];
        }
        struct mean d = mean_difference(poisoned, none, n);
        double base = mean_of(none, n).value;
        auto_free char *unit = xprintf("of no memory's +- %.3f", d.half / base);
        auto_free char *what = xprintf("%s, %s", poison, halves[half]);
        say(report, "poison", what, 1 + d.value / base, unit,
            half == 0 ? BENCH_BAR_NONE : BENCH_BAR_LEAST, 0.97);
    }
    free(poisoned);
    free(none);
}

static int bench_poison(const struct options *o, size_t n, struct bench_report *report,
                        struct err *err)
{
    struct lives *lives = xcalloc(n, sizeof(*lives));
    int r = 0;
    for (int p = 0; r == 0 && p < (int)ARRAY_LEN(poisons); p++) {
        for (size_t i = 0; r == 0 && i < n; i++) {
            r = poisoned_life((uint64_t)o->seed + i, p, &lives[i], err);
        }
        if (r == 0) {
            say_poison(report, poisons[p], lives, n);
        }
    }
    free(lives);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    size_t n = o->runs > 0 ? (size_t)MIN(o->runs, 10000) : RUNS;
    if (o->n_args > 1) {
        struct landscape given;
        int r = landscape_read(o->args[1], &given, err);
        return r < 0 ? r : bench_world(o, given.world, &given, n, report, err);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(worlds); i++) {
        r = bench_world(o, worlds[i], NULL, n, report, err);
    }
    return r < 0 ? r : bench_poison(o, POISON_RUNS_EACH * n, report, err);
}

const struct bench bench_htg = {
    .name = "htg",
    .summary = "what memory is worth on synthetic landscapes, by ablation, and when it is poisoned",
    .run = run,
    .takes_names = true,
};
