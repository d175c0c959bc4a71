/* SPDX-License-Identifier: MIT */
/* Timing one case: load, warm up, take samples, check again, and say what the times mean. */
#include "evaluator/worker/timing.h"
#include "base/util.h"

#include <math.h>

enum { QUEUE_MAX = 500 }; /* launches that are queued one by one; more become a graph */

static int point_side(struct timing *t, struct side *side, bool is_baseline)
{
    struct judge *j = t->judge;
    for (size_t s = 0; s < t->rig.n_sets; s++) {
        side->at[s] = is_baseline ? t->rig.baseline[s].at : t->rig.sets[s].at;
        if (!side->program.bound->graph && side->program.n_launches <= QUEUE_MAX) {
            continue;
        }
        program_point(&side->program, side->at[s]);
        int r = program_record(&side->program, &side->graph[s], &j->err);
        if (r < 0) {
            return judge_failed(j, side->who, r);
        }
    }
    return 0;
}

/* Everything once without timing: modules loaded, caches of the driver warm, weights in place. */
static int warm_up(struct timing *t, double *ret_prepare_us)
{
    struct judge *j = t->judge;
    int r = 0;
    for (size_t s = 0; r == 0 && s < t->rig.n_sets; s++) {
        r = rig_fill(&t->rig, &t->rig.sets[s], RIG_PART_WEIGHTS, TIMING_TRIAL_WEIGHTS, GATE_MODE_OWN,
                     &j->err);
        r = r < 0 ? r : rig_fill(&t->rig, &t->rig.sets[s], RIG_PART_INPUTS | RIG_PART_INOUT,
                                 TIMING_TRIAL_FIRST - 1, GATE_MODE_OWN, &j->err);
        r = r < 0 ? r : rig_poison_scratch(&t->rig, &t->rig.sets[s], RIG_POISON_A, &j->err);
        r = r < 0 || !t->has_baseline || s > 0
            ? r : judge_execute(j, &t->baseline.program, t->rig.baseline[s].at, "the baseline");
        program_point(&t->candidate.program, t->rig.sets[s].at);
        r = r < 0 ? r : timing_record(t, t->start);
        r = r < 0 ? r : program_prepare(&t->candidate.program, &j->err);
        r = r < 0 ? r : timing_record(t, t->stop);
        r = r < 0 ? judge_failed(j, "the candidate", r)
                  : judge_execute(j, &t->candidate.program, t->rig.sets[s].at, "the candidate");
    }
    if (r == 0 && t->candidate.program.n_prepare) {
        r = timing_elapsed(t, ret_prepare_us);
    }
    return r;
}

static int measure(struct timing *t)
{
    struct judge *j = t->judge;
    int r = slab_take(j->slabs, MAX(2 * (size_t)j->gpu->l2_bytes, 1 << 20), &t->flush, &j->err);
    r = r < 0 ? r : rig_place(&t->rig, false, &j->err);
    r = r < 0 ? r : warm_up(t, &j->verdict.prepare_us);
    t->check = (struct check) { &t->rig, &t->candidate.program, &t->reference, t->scale,
                                TIMING_TRIAL_WEIGHTS, 0 };
    r = r < 0 ? r : point_side(t, &t->candidate, false);
    r = r < 0 || !t->has_baseline ? r : point_side(t, &t->baseline, true);
    r = r < 0 ? r : timing_take_samples(t);
    if (r == 0 && !j->job->tuning) {
        /* The same module once more, with everything that the first checks had. */
        judge_phase(j, "recheck", t->one, 0);
        t->check.weights = CHECK_SAME;
        r = rig_place(&t->rig, false, &j->err);
        r = r < 0 ? r : check_trial(j, &t->check, TIMING_TRIAL_FIRST - 2, GATE_MODE_OWN, false);
    }
    return r;
}

static const double *rounded(struct arena *arena, const double *values, size_t n, double unit)
{
    double *copy = arena_alloc(arena, n, sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        copy[i] = round(values[i] / unit) * unit;
    }
    return copy;
}

static void summarise(const struct timing *t, const struct series *series, double clock,
                      struct verdict_time *ret)
{
    double us[SERIES_MAX];
    size_t n = series_kept(series, clock, us);
    *ret = (struct verdict_time) { .n = n, .dropped = series->n - n };
    if (n == 0) {
        return;
    }
    struct interval interval;
    struct arena *arena = t->judge->arena;
    stats_median(us, n, t->alpha, &interval);
    ret->median_us = interval.median;
    ret->lo_us = interval.lo;
    ret->hi_us = interval.hi;
    ret->samples_us = rounded(arena, series->us, series->n, 1e-3);
    ret->clocks_mhz = t->judge->gpu->modelled ? NULL
                                              : rounded(arena, series->mhz, series->n, 1);
}

/* Baseline over candidate. A baseline that was much slower has a few pairs only: then the candidate's
 * further samples say more than those. */
static void compare(const struct timing *t, double clock, struct interval *ret)
{
    const struct verdict_time *time = &t->judge->verdict.time, *base = &t->judge->verdict.baseline;
    *ret = (struct interval) { 0 };
    if (!t->baseline_done) {
        series_ratio(&t->baseline.series, &t->candidate.series, clock, t->alpha, ret);
    }
    if (ret->median <= 0) {
        *ret = (struct interval) { base->median_us / time->median_us, base->lo_us / time->hi_us,
                                   base->hi_us / time->lo_us };
    }
}

static int conclude(struct timing *t)
{
    struct verdict *v = &t->judge->verdict;
    char throttle[128];
    double clock = series_clock(&t->candidate.series, &t->baseline.series);
    summarise(t, &t->candidate.series, clock, &v->time);
    nvml_throttle_text(t->throttle, throttle, sizeof(throttle));
    v->throttle = arena_strdup(t->judge->arena, throttle);
    v->shared = t->shared;
    if (v->time.n == 0) {
        return judge_decide(t->judge, VERDICT_STATUS_TIMEOUT,
                            "no timed run ended within %.0f s", (double)TIMING_HOLD_NS * 1e-9);
    }
    if (t->has_baseline) {
        summarise(t, &t->baseline.series, clock, &v->baseline);
    }
    if (v->baseline.n) {
        struct interval ratio;
        compare(t, clock, &ratio);
        v->speedup = ratio.median;
        v->speedup_lo = ratio.lo;
        v->speedup_hi = ratio.hi;
        v->relation = stats_relation(&ratio);
    }
    return 0;
}

static int load(struct timing *t)
{
    struct judge *j = t->judge;
    const struct job_case *one = t->one;
    const struct {
        struct program *program;
        const struct job_side *side;
        const char *who;
    } loads[] = {
        { &t->candidate.program, &one->candidate, "the candidate" },
        { &t->reference, &one->reference, "the reference" },
        { &t->baseline.program, &one->baseline, "the baseline" },
    };
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        if (!loads[i].side->bound) {
            continue;
        }
        int r = judge_load(j, one, loads[i].side, loads[i].who, loads[i].program);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int open_events(struct timing *t)
{
    struct gpu *gpu = t->judge->gpu;
    int r = gpu_check(gpu, gpu->cu.cuEventCreate(&t->start, CU_EVENT_DEFAULT), "cuEventCreate",
                      &t->judge->err);
    return r < 0 ? r : gpu_check(gpu, gpu->cu.cuEventCreate(&t->stop, CU_EVENT_DEFAULT),
                                 "cuEventCreate", &t->judge->err);
}

static void close_all(struct timing *t)
{
    const struct cuda_api *cu = &t->judge->gpu->cu;
    slab_give(t->flush);
    rig_close(&t->rig);
    if (!t->judge->gpu->broken) {
        for (size_t s = 0; s < RIG_SETS; s++) {
            if (t->candidate.graph[s]) {
                cu->cuGraphExecDestroy(t->candidate.graph[s]);
            }
            if (t->baseline.graph[s]) {
                cu->cuGraphExecDestroy(t->baseline.graph[s]);
            }
        }
        cu->cuEventDestroy(t->start);
        cu->cuEventDestroy(t->stop);
    }
    program_unload(&t->candidate.program);
    program_unload(&t->baseline.program);
    program_unload(&t->reference);
}

/* Bytes of the outputs. */
static double written(const struct rig *rig)
{
    double sum = 0;
    for (size_t i = 0; i < rig->n_tensors; i++) {
        const struct bound_buffer *buffer = &rig->sets[0].buffers[i];
        sum += rig_is_output(buffer) ? (double)rig_bytes(buffer) : 0;
    }
    return sum;
}

/* What follows from the times: the physical floor, the share of the speed of light, the class. */
static int place_in_roof(struct timing *t)
{
    struct judge *j = t->judge;
    struct verdict *v = &j->verdict;
    const struct gpu *gpu = j->gpu;
    struct roof_device device = { gpu->major, gpu->minor, gpu->sm_count, gpu->clock_khz,
                                  gpu->l2_bytes, gpu->bandwidth };
    struct roof_work work = { j->job->floor_bytes, j->job->floor_flops, written(&t->rig),
                              j->job->flops_minimum, j->job->precision };
    struct roof_share share;
    char why[256];
    double floor = roof_floor_us(&device, &work, why, sizeof(why));
    roof_share(&device, &j->job->ceilings, &work, v->time.median_us, &share);
    v->sol = share.share;
    v->sol_bound = share.bound;
    v->sol_basis = gpu->modelled && share.share > 0 ? "modelled" : share.basis;
    v->bottleneck = roof_bottleneck(&share, v->time.median_us, t->candidate.program.n_launches);
    v->registers = t->candidate.program.registers;
    v->shared_bytes = t->candidate.program.shared;
    v->occupancy = t->candidate.program.occupancy;
    if (v->time.median_us < floor && !gpu->modelled) {
        return judge_decide(j, VERDICT_STATUS_SUSPECT,
                            "%.3f us is faster than this hardware can be: %s", v->time.median_us,
                            why);
    }
    return 0;
}

int timing_case(struct judge *j, const struct job_case *one)
{
    struct timing *t = arena_alloc(j->arena, 1, sizeof(*t));
    t->judge = j;
    t->one = one;
    t->candidate.who = "the candidate";
    t->baseline.who = "the baseline";
    t->has_baseline = one->baseline.bound != NULL;
    judge_phase(j, "time", one, 0);
    int r = load(t);
    r = r < 0 ? r : open_events(t);
    if (j->gpu->modelled) {
        slabs_drop_all(j->slabs);
    }
    r = r < 0 ? r : rig_open(&t->rig, j->slabs, j->gate, j->job, one,
                             j->gpu->modelled ? 1 : RIG_SETS, j->arena, &j->err);
    if (r == 0) {
        t->rig.weights_trial = TIMING_TRIAL_WEIGHTS;
        j->rig = &t->rig;
        r = j->gpu->modelled ? timing_modelled(t) : measure(t);
        j->rig = NULL;
    }
    r = r < 0 ? r : conclude(t);
    r = r < 0 ? r : place_in_roof(t);
    if (r == 0 && timing_hopeless(t)) {
        r = judge_decide(j, VERDICT_STATUS_SLOW, "cut short: %.4g us after %zu runs, where %.4g us is "
                         "hopeless; nothing was checked", j->verdict.time.median_us,
                         t->candidate.series.n, j->job->hopeless_us);
    }
    close_all(t);
    return r;
}
