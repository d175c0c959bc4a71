/* SPDX-License-Identifier: MIT */
/*
 * Can the timing be believed? The same candidate on both sides, many times (--runs, else 500 in
 * all): how often the verdict isn't `same`. Kernels that do 3 % more of the same work against
 * themselves without (tests/cases/timing), a hundred times each: how often that is called `slower`.
 * And what the device reaches at best, with what measuring it takes. Needs a GPU.
 */
#include "agent/bench.h"
#include "agent/bench_many.h"
#include "agent/catalog.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>

enum { SAME_RUNS = 500, PLANTED_RUNS = 100, PLANTED_PER_CENT = 3 };

/* One candidate against one baseline, `wanted` times. */
struct match {
    const char *name;
    bool planted;
    struct task *task;
    struct candidate *candidate, *baseline;
    size_t wanted, asked, n;
    size_t same, faster, slower, ambiguous, samples, dropped, clocked, throttled, shared;
    double *ratios, device_s;
};

enum { SAME_KERNELS = 5, PLANTED_KERNELS = 2, MATCHES = SAME_KERNELS + PLANTED_KERNELS };

struct timing_bench {
    struct match matches[MATCHES];
    size_t turn;
    struct err failure;
};

static bool next(void *ud, struct judge_request *ret, void **ret_item)
{
    struct timing_bench *b = ud;
    for (size_t i = 0; i < MATCHES; i++) {
        struct match *m = &b->matches[b->turn++ % MATCHES];
        if (m->asked < m->wanted && !b->failure.code) {
            m->asked++;
            *ret = (struct judge_request) { .task = m->task, .candidate = m->candidate,
                                            .baseline = m->baseline, .depth = JUDGE_DEPTH_TIME };
            *ret_item = m;
            return true;
        }
    }
    return false;
}

static void done(void *ud, void *item, const struct verdict *v)
{
    struct timing_bench *b = ud;
    struct match *m = item;
    if (v->status != VERDICT_STATUS_ACCEPTED) {
        err_set(&b->failure, ERR_INVALID, "%s: %s: %.500s", m->name,
                verdict_status_name(v->status), v->detail);
        return;
    }
    m->same += str_eq(v->relation, "same");
    m->faster += str_eq(v->relation, "faster");
    m->slower += str_eq(v->relation, "slower");
    m->ambiguous += str_eq(v->relation, "ambiguous");
    m->samples += v->time.n + v->baseline.n;
    m->dropped += v->time.dropped + v->baseline.dropped;
    for (size_t i = 0; v->time.clocks_mhz && i < v->time.n + v->time.dropped; i++) {
        m->clocked += v->time.clocks_mhz[i] > 0;
    }
    m->throttled += v->throttle[0] != '\0';
    m->shared += v->shared;
    m->device_s += v->device_s;
    m->ratios[m->n++] = v->speedup;
}

static int load_same(struct match *m, const char *task, const char *candidate, size_t runs,
                     struct err *err)
{
    m->name = candidate;
    m->wanted = runs;
    int r = catalog_task(task, &m->task, err);
    r = r < 0 ? r : catalog_candidate(candidate, NULL, &m->candidate, err);
    return r < 0 ? r : catalog_candidate(candidate, NULL, &m->baseline, err);
}

static int load_planted(struct match *m, const char *task, const char *folder, size_t runs,
                        struct err *err)
{
    auto_free char *root = NULL;
    m->name = folder;
    m->wanted = runs;
    m->planted = true;
    int r = file_find_shipped("tests/cases/timing", &root, err);
    auto_free char *path = xprintf("%s/%s", r < 0 ? "" : root, folder);
    struct symbol extra = { "EXTRA", PLANTED_PER_CENT };
    r = r < 0 ? r : catalog_task(task, &m->task, err);
    r = r < 0 ? r : candidate_load(path, &m->baseline, err);
    return r < 0 ? r : candidate_with_params(m->baseline, &extra, 1, &m->candidate, err);
}

static int load(struct timing_bench *b, size_t same, size_t planted, struct err *err)
{
    static const struct {
        const char *task, *candidate;
    } kernels[SAME_KERNELS] = {
        { "softmax", "softmax/06_row_in_registers" }, { "gelu", "elementwise/04_vector" },
        { "rmsnorm", "rmsnorm/06_row_in_registers" }, { "column_sum", "reduction/06_tile_atomic" },
        { "matmul", "matmul/08_persistent" },
    }, extra[PLANTED_KERNELS] = { { "softmax", "rows" }, { "gelu", "fma" } };
    int r = 0;
    for (size_t i = 0; r == 0 && i < MATCHES; i++) {
        size_t k = i < SAME_KERNELS ? i : i - SAME_KERNELS;
        size_t share = (same + SAME_KERNELS - 1 - k) / SAME_KERNELS;
        r = i < SAME_KERNELS
            ? load_same(&b->matches[i], kernels[k].task, kernels[k].candidate, share, err)
            : load_planted(&b->matches[i], extra[k].task, extra[k].candidate, planted, err);
        b->matches[i].ratios = xcalloc(b->matches[i].wanted + 1, sizeof(double));
    }
    return r;
}

static void drop(struct timing_bench *b)
{
    for (size_t i = 0; i < MATCHES; i++) {
        struct match *m = &b->matches[i];
        task_free(m->task);
        candidate_free(m->candidate);
        candidate_free(m->baseline);
        free(m->ratios);
    }
    free(b);
}

static void print(const struct match *m, FILE *out)
{
    double furthest = 0;
    for (size_t i = 0; i < m->n; i++) {
        furthest = MAX(furthest, fabs(m->ratios[i] - 1));
    }
    fprintf(out,
            "%-28s %3zu times: %zu same, %zu faster, %zu slower, %zu ambiguous; ratio %.4f, furthest "
            "from 1 by %.4f; %.0f samples a side, %zu dropped, clock known of %.0f %%, throttled "
            "%zu, shared %zu; %.3f s each\n",
            m->name, m->n, m->same, m->faster, m->slower, m->ambiguous,
            bench_median(m->ratios, m->n), furthest, (double)m->samples / 2 / (double)m->n,
            m->dropped, 200.0 * (double)m->clocked / (double)MAX(m->samples + m->dropped, 1),
            m->throttled, m->shared, m->device_s / (double)m->n);
}

static void figures(struct timing_bench *b, struct bench_report *report)
{
    double same = 0, wrong = 0, n = 0;
    for (size_t i = 0; i < MATCHES; i++) {
        const struct match *m = &b->matches[i];
        if (m->n == 0) {
            continue;
        }
        if (report->out) {
            print(m, report->out);
        }
        if (m->planted) {
            auto_free char *name = xprintf("%d %% more work (%s) called slower", PLANTED_PER_CENT,
                                           m->name);
            bench_figure(report, name, 100.0 * (double)m->slower / (double)m->n, "%",
                         BENCH_BAR_LEAST, 90);
        } else {
            same += (double)m->same;
            wrong += (double)(m->faster + m->slower);
            n += (double)m->n;
        }
    }
    if (n > 0) {
        bench_figure(report, "A/A: comparisons", n, "", BENCH_BAR_NONE, 0);
        bench_figure(report, "A/A: faster or slower", 100 * wrong / n, "%", BENCH_BAR_MOST, 1);
        bench_figure(report, "A/A: same", 100 * same / n, "%", BENCH_BAR_LEAST, 90);
    }
}

struct measured {
    bool done;
    int code;
    struct ceilings ceilings;
    struct err *err;
};

static void on_measured(void *ud, int code, const struct ceilings *ceilings, const char *error)
{
    struct measured *m = ud;
    m->done = true;
    m->code = code < 0 ? err_set(m->err, code, "%s", error) : 0;
    if (code == 0) {
        m->ceilings = *ceilings;
    }
}

static int measure_ceilings(struct session *s, struct bench_report *report, struct err *err)
{
    struct measured m = { .err = err };
    uint64_t start = clock_ns();
    evaluator_measure_ceilings(s->evaluator, on_measured, &m);
    while (!m.done && uv_run(&s->loop, UV_RUN_ONCE)) {
    }
    if (m.code < 0) {
        return m.code;
    }
    const struct ceilings *c = &m.ceilings;
    const struct {
        const char *name;
        double value;
    } rates[] = { { "f32", c->f32 }, { "tf32", c->tf32 }, { "bf16", c->bf16 }, { "f16", c->f16 } };
    double seconds = (double)(clock_ns() - start) * 1e-9;
    bench_figure(report, "ceiling: copy", c->copy * 1e-12, "TB/s", BENCH_BAR_NONE, 0);
    bench_figure(report, "ceiling: read", c->read * 1e-12, "TB/s", BENCH_BAR_NONE, 0);
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        auto_free char *name = xprintf("ceiling: %s, %s", rates[i].name,
                                       i == 0 ? "multiply-add" : c->instruction);
        bench_figure(report, name, rates[i].value * 1e-12, "TFLOP/s", BENCH_BAR_NONE, 0);
    }
    bench_figure(report, "ceilings: measuring them all", seconds, "s", BENCH_BAR_MOST, 3);
    return 0;
}

static int run(const struct options *o, struct bench_report *report, struct err *err)
{
    struct timing_bench *b = xcalloc(1, sizeof(*b));
    struct session session;
    size_t same = o->runs > 0 ? (size_t)o->runs : SAME_RUNS;
    int r = load(b, same, MIN(same, PLANTED_RUNS), err);
    int opened = r < 0 ? r : session_open(&session, o, SESSION_EVALUATOR, err);
    if (opened == 0) {
        const struct many many = { next, done, b };
        r = evaluator_device(session.evaluator)->modelled
            ? err_set(err, ERR_ENVIRONMENT, "this bench needs a GPU: a modelled time has no noise")
            : measure_ceilings(&session, report, err);
        r = r < 0 ? r : many_run(&session, &many, 4, err);
        if (r == 0 && b->failure.code) {
            r = err_set(err, b->failure.code, "%s", err_text(&b->failure));
        }
        session_close(&session);
    }
    if (opened == 0 && r == 0) {
        figures(b, report);
    }
    drop(b);
    return opened < 0 ? opened : r;
}

const struct bench bench_timing = {
    .name = "timing",
    .summary = "a kernel against itself and against 3 % more work; ceilings (needs a GPU)",
    .run = run,
};
