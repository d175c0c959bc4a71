/* SPDX-License-Identifier: MIT */
/*
 * Is the simulator's ranking of kernels right? Every shipped variant on every shape of its task,
 * timed on the GPU and modelled for the same kind of GPU; Spearman's rank correlation over all of
 * them, and over the variants of each task at its default shape. --out DIR keeps the pairs.
 */
#include "agent/bench.h"
#include "agent/bench_judge.h"
#include "agent/catalog.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CORRELATION_PAIRS_MAX = 4096 };

struct pair {
    double measured, modelled;
    bool is_default;
    char task[64], shape[64], variant[64];
};

struct pairs {
    struct pair at[CORRELATION_PAIRS_MAX];
    size_t n;
};

static double value(const struct pair *p, bool modelled)
{
    return modelled ? p->modelled : p->measured;
}

/* Average ranks, so that ties count evenly. */
static double rank_of(const struct pair *const *pairs, size_t n, size_t i, bool modelled)
{
    double below = 0, same = 0;
    for (size_t k = 0; k < n; k++) {
        below += value(pairs[k], modelled) < value(pairs[i], modelled);
        same += value(pairs[k], modelled) == value(pairs[i], modelled);
    }
    return below + (same + 1) / 2;
}

static double spearman(const struct pair *const *pairs, size_t n)
{
    double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    for (size_t i = 0; i < n; i++) {
        double x = rank_of(pairs, n, i, false), y = rank_of(pairs, n, i, true);
        sx += x;
        sy += y;
        sxx += x * x;
        syy += y * y;
        sxy += x * y;
    }
    double d = (double)n, vx = sxx - sx * sx / d, vy = syy - sy * sy / d;
    return vx > 0 && vy > 0 ? (sxy - sx * sy / d) / sqrt(vx * vy) : 0;
}

static int time_one(struct session *s, const struct task *task, const struct candidate *c,
                    const struct shape *shape, double *ret_us, struct err *err)
{
    struct judge_request request = { .task = task, .candidate = c, .timed = shape,
                                     .depth = JUDGE_DEPTH_QUICK };
    struct judged judged = { 0 };
    int r = judge_wait(s, &request, &judged, err);
    if (r == 0 && !str_eq(judged.status, "accepted")) {
        r = err_set(err, ERR_INVALID, "%s/%s at %s is %s in phase %s", task->family, c->name,
                    shape->name, judged.status, judged.phase);
    }
    if (r == 0) {
        *ret_us = judged.us;
    }
    return r;
}

static int one_task(struct session *gpu, struct session *sim, const char *name,
                    struct pairs *pairs, struct err *err)
{
    struct task *task = NULL;
    struct catalog_family family = { 0 };
    int r = catalog_task(name, &task, err);
    r = r < 0 ? r : catalog_family(task->family, &family, err);
    for (size_t v = 0; r == 0 && v < family.n; v++) {
        for (size_t k = 0; r == 0 && k < task->n_shapes && pairs->n < CORRELATION_PAIRS_MAX; k++) {
            struct pair *p = &pairs->at[pairs->n];
            const struct shape *shape = &task->shapes[k];
            r = time_one(gpu, task, family.variants[v], shape, &p->measured, err);
            r = r < 0 ? r : time_one(sim, task, family.variants[v], shape, &p->modelled, err);
            p->is_default = shape->use == SHAPE_USE_DEFAULT;
            snprintf(p->task, sizeof(p->task), "%s", name);
            snprintf(p->shape, sizeof(p->shape), "%s", shape->name);
            snprintf(p->variant, sizeof(p->variant), "%s", family.variants[v]->name);
            pairs->n += r == 0;
        }
    }
    catalog_family_done(&family);
    task_free(task);
    return r;
}

/* Those of one task (NULL: all) at the default shape or at any. */
static void figure(struct bench_report *report, const struct pairs *pairs, const char *task,
                   bool default_only, const char *name, enum bench_bar kind)
{
    const struct pair **some = xcalloc(pairs->n + 1, sizeof(*some));
    size_t n = 0;
    for (size_t i = 0; i < pairs->n; i++) {
        const struct pair *p = &pairs->at[i];
        if ((!task || str_eq(p->task, task)) && (!default_only || p->is_default)) {
            some[n++] = p;
        }
    }
    bench_figure(report, name, spearman(some, n), "Spearman", kind, 0.7);
    free(some);
}

static int keep(const struct options *o, const struct pairs *pairs, struct err *err)
{
    if (!o->out) {
        return 0;
    }
    auto_buf struct buf out;
    buf_init(&out, 4 << 20);
    buf_puts(&out, "task,shape,variant,measured_us,modelled_us\n");
    for (size_t i = 0; i < pairs->n; i++) {
        const struct pair *p = &pairs->at[i];
        buf_printf(&out, "%s,%s,%s,%.4f,%.4f\n", p->task, p->shape, p->variant, p->measured,
                   p->modelled);
    }
    auto_free char *path = xprintf("%s/correlation.csv", o->out);
    int r = folder_make(o->out, err);
    return r < 0 ? r : file_write(path, out.at, out.len, err);
}

static int compare(struct session *gpu, struct session *sim, const struct options *o,
                   struct bench_report *report, struct err *err)
{
    struct pairs *pairs = xcalloc(1, sizeof(*pairs));
    char *names[CATALOG_NAMES_MAX];
    size_t n = 0;
    int r = catalog_names(false, names, &n, err);
    for (size_t i = 0; i < n; i++) {
        r = r < 0 ? r : one_task(gpu, sim, names[i], pairs, err);
    }
    for (size_t i = 0; i < n; i++) {
        auto_free char *name = xprintf("%s, default shape", names[i]);
        if (r == 0) {
            figure(report, pairs, names[i], true, name, BENCH_BAR_NONE);
        }
        free(names[i]);
    }
    if (r == 0) {
        figure(report, pairs, NULL, true, "all variants, default shapes", BENCH_BAR_NONE);
        figure(report, pairs, NULL, false, "all variants, all shapes", BENCH_BAR_LEAST);
        bench_figure(report, "pairs", (double)pairs->n, "pairs", BENCH_BAR_NONE, 0);
        r = keep(o, pairs, err);
    }
    free(pairs);
    return r;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    struct session gpu, sim;
    struct options on_sim = *o;
    int r = session_open(&gpu, o, SESSION_EVALUATOR, err);
    if (r < 0) {
        return r;
    }
    const struct device_info *d = evaluator_device(gpu.evaluator);
    if (d->modelled) {
        r = err_set(err, ERR_ENVIRONMENT, "this bench needs a GPU: it compares its times with the "
                    "simulator's");
    } else {
        on_sim.gpu = str_prefix(d->arch, "sm_9") ? "sim:h200" : "sim:b200";
        r = session_open(&sim, &on_sim, SESSION_EVALUATOR, err);
    }
    if (r == 0) {
        r = compare(&gpu, &sim, o, report, err);
        session_close(&sim);
    }
    session_close(&gpu);
    return r;
}

const struct bench bench_correlation = {
    .name = "correlation",
    .summary = "modelled against measured times of every variant and shape (needs a GPU)",
    .run = run,
};
