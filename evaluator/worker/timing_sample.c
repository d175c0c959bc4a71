/* SPDX-License-Identifier: MIT */
/*
 * Samples: candidate and baseline in pairs, each run on fresh inputs with a cold L2 and its launches
 * queued behind a kernel that holds the stream, so that what the events see is the GPU's work alone.
 */
#include "base/id.h"
#include "base/util.h"
#include "evaluator/worker/timing.h"

#include <math.h>
#include <string.h>

enum { BASELINE_SHORT = 5 }; /* samples of a baseline that is much slower */
static const double slow_baseline = 1.5; /* times slower: enough is known after BASELINE_SHORT */
static const double seconds_enough = 1;  /* once the least number of samples is there */
static const double seconds_most = 2;    /* even before; a few samples of a slow kernel must do */
static const double audit_seconds = 0.06; /* for runs of the reference between samples */
static const double width_wanted = 0.01;
static const double clock_lowest = 0.75; /* of the median clock; slower samples are dropped */

static int queue(struct timing *t, struct side *side, size_t set)
{
    struct judge *j = t->judge;
    if (side->graph[set]) {
        return gpu_check(j->gpu, j->gpu->cu.cuGraphLaunch(side->graph[set], j->gpu->stream),
                         "the graph", &j->err);
    }
    program_point(&side->program, side->at[set]);
    return program_run(&side->program, &j->err);
}

/* Persisting lines first, or a flush leaves them in place; then twice the L2 is written. */
static int flush(struct timing *t)
{
    struct gpu *gpu = t->judge->gpu;
    int r = 0;
    if (gpu->cu.cuCtxResetPersistingL2Cache) {
        r = gpu_check(gpu, gpu->cu.cuCtxResetPersistingL2Cache(), "resetting the L2",
                      &t->judge->err);
    }
    return r < 0 ? r
                 : gpu_check(gpu, gpu->cu.cuMemsetD32Async(t->flush->base, 0, t->flush->size / 4,
                                                           gpu->stream),
                             "flushing the L2", &t->judge->err);
}

int timing_elapsed(struct timing *t, double *ret_us)
{
    float ms = 0;
    int r = gpu_check(t->judge->gpu, t->judge->gpu->cu.cuEventElapsedTime(&ms, t->start, t->stop),
                      "cuEventElapsedTime", &t->judge->err);
    if (r == 0) {
        *ret_us = (double)ms * 1e3;
    }
    return r;
}

int timing_record(struct timing *t, CUevent event)
{
    struct gpu *gpu = t->judge->gpu;
    return gpu_check(gpu, gpu->cu.cuEventRecord(event, gpu->stream), "cuEventRecord",
                     &t->judge->err);
}

/* One timed run on set `set`. A run whose hold gave up is marked by a negative time. */
static int sample(struct timing *t, struct side *side, size_t set, double *ret_us, double *ret_mhz)
{
    struct judge *j = t->judge;
    bool late = false;
    int r = flush(t);
    r = r < 0 ? r : gate_hold(j->gate, TIMING_HOLD_NS, &j->err);
    r = r < 0 ? r : timing_record(t, t->start);
    if (r == 0) {
        r = queue(t, side, set);
        int after = timing_record(t, t->stop);
        r = r < 0 ? r : after;
        gate_release(j->gate);
    }
    r = r < 0 ? r : gpu_finish(j->gpu, "running the kernels", &j->err);
    if (r < 0) {
        return judge_failed(j, side->who, r);
    }
    r = gate_held(j->gate, ret_mhz, &late, &j->err);
    r = r < 0 ? r : timing_elapsed(t, ret_us);
    if (r == 0 && late) {
        *ret_us = -1;
    }
    return r;
}

/* What a run on set `set` needs: state and outputs as if nobody had run before. */
static int renew(struct timing *t, size_t set, uint64_t trial)
{
    struct judge *j = t->judge;
    int r = rig_fill(&t->rig, &t->rig.sets[set], RIG_PART_INOUT, trial, GATE_MODE_OWN, &j->err);
    return r < 0 ? r : rig_poison_outputs(&t->rig, &t->rig.sets[set],
                                          trial % 2 ? RIG_POISON_B : RIG_POISON_A, &j->err);
}

static void keep(struct side *side, double us, double mhz)
{
    if (us < 0) {
        side->late++;
        return;
    }
    side->us[side->n] = us;
    side->mhz[side->n++] = mhz;
}

static bool audited(const struct timing *t, size_t i)
{
    for (size_t k = 0; k < t->n_audits; k++) {
        if (t->audits[k] == i) {
            return true;
        }
    }
    return false;
}

/* The i-th pair. The candidate's outputs are checked now and then, when it can't know. */
static int pair(struct timing *t, size_t i)
{
    struct judge *j = t->judge;
    size_t set = i % t->rig.n_sets;
    uint64_t trial = TIMING_TRIAL_FIRST + i;
    bool with_baseline = t->has_baseline && !t->baseline_done;
    int r = rig_fill(&t->rig, &t->rig.sets[set], RIG_PART_INPUTS, trial, GATE_MODE_OWN, &j->err);
    for (int turn = 0; r == 0 && turn < 2; turn++) {
        bool is_candidate = (turn == 1) == (i % 2 == 0) || !with_baseline;
        struct side *side = is_candidate ? &t->candidate : &t->baseline;
        if (!with_baseline && turn == 1) {
            break;
        }
        double us = 0, mhz = 0;
        r = renew(t, set, trial);
        r = r < 0 ? r : sample(t, side, set, &us, &mhz);
        if (r == 0) {
            keep(side, us, mhz);
        }
        if (r == 0 && is_candidate && audited(t, i)) {
            r = check_outputs(j, &t->check, &t->rig.sets[set], trial, GATE_MODE_OWN,
                              ", in a timed run");
        }
    }
    return r;
}

/* Samples whose clock was well below the others' say nothing of the kernel. */
static size_t filter(const struct side *side, double *ret_us)
{
    double known[TIMING_SAMPLES_MAX];
    size_t n_known = 0, n = 0;
    for (size_t i = 0; i < side->n; i++) {
        if (side->mhz[i] > 0) {
            known[n_known++] = side->mhz[i];
        }
    }
    struct interval clock = { 0 };
    if (n_known) {
        stats_median(known, n_known, STATS_ALPHA_ONE, &clock);
    }
    for (size_t i = 0; i < side->n; i++) {
        if (side->mhz[i] <= 0 || side->mhz[i] >= clock_lowest * clock.median) {
            ret_us[n++] = side->us[i];
        }
    }
    return n;
}

void timing_summarise(const struct timing *t, const struct side *side, struct verdict_time *ret)
{
    double us[TIMING_SAMPLES_MAX];
    size_t n = filter(side, us);
    *ret = (struct verdict_time) { .n = n, .dropped = side->n - n + side->late };
    if (n == 0) {
        return;
    }
    struct interval interval;
    stats_median(us, n, t->alpha, &interval);
    ret->median_us = interval.median;
    ret->lo_us = interval.lo;
    ret->hi_us = interval.hi;
    double *samples = arena_alloc(t->judge->arena, n, sizeof(*samples));
    memcpy(samples, us, n * sizeof(*samples));
    ret->samples_us = samples;
}

/* Baseline over candidate: from the pairs where both were sampled throughout, else from the two
 * intervals. The value is the ratio of the medians that are shown. */
void timing_compare(const struct timing *t, const struct verdict_time *time,
                          const struct verdict_time *base, struct interval *ret)
{
    *ret = (struct interval) { base->median_us / time->median_us, base->lo_us / time->hi_us,
                               base->hi_us / time->lo_us };
    if (t->candidate.n != t->baseline.n || t->candidate.late || t->baseline.late) {
        return;
    }
    double ratios[TIMING_SAMPLES_MAX];
    for (size_t i = 0; i < t->candidate.n; i++) {
        ratios[i] = log(t->baseline.us[i] / t->candidate.us[i]);
    }
    struct interval log_ratio;
    stats_median(ratios, t->candidate.n, t->alpha, &log_ratio);
    ret->lo = MIN(ret->median, exp(log_ratio.lo));
    ret->hi = MAX(ret->median, exp(log_ratio.hi));
}

static bool tight(const struct timing *t)
{
    struct verdict_time time, base;
    timing_summarise(t, &t->candidate, &time);
    if (time.n == 0 || time.hi_us - time.lo_us > width_wanted * time.median_us) {
        return false;
    }
    if (!t->has_baseline || t->baseline_done) {
        return true;
    }
    struct interval ratio;
    timing_summarise(t, &t->baseline, &base);
    timing_compare(t, &time, &base, &ratio);
    return base.n > 0 && stats_width(&ratio) <= width_wanted;
}

static void maybe_end_baseline(struct timing *t)
{
    struct interval time, base;
    if (!t->has_baseline || t->baseline_done || t->baseline.n < BASELINE_SHORT
        || t->candidate.n < BASELINE_SHORT) {
        return;
    }
    stats_median(t->candidate.us, t->candidate.n, STATS_ALPHA_ONE, &time);
    stats_median(t->baseline.us, t->baseline.n, STATS_ALPHA_ONE, &base);
    t->baseline_done = base.median > slow_baseline * time.median;
}

/* Samples to audit, drawn anew for every job: as many as cost little, one at least. */
void timing_draw_audits(struct timing *t)
{
    double once = t->judge->reference_seconds;
    t->n_audits = once > 0 ? (size_t)MAX(1, MIN(audit_seconds / once, TIMING_AUDITS_MAX)) : 1;
    for (size_t k = 0; k < t->n_audits; k++) {
        uint32_t r;
        random_bytes(&r, sizeof(r));
        /* One early, in case a slow kernel gets no further. */
        t->audits[k] = r % (k == 0 ? BASELINE_SHORT : t->judge->job->samples_min);
    }
}

static double seconds_since(uint64_t start)
{
    return (double)(clock_ns() - start) * 1e-9;
}

int timing_take_samples(struct timing *t)
{
    const struct job *job = t->judge->job;
    size_t most = MIN(job->samples_max, TIMING_SAMPLES_MAX), look = MIN(job->samples_min, most);
    uint64_t start = clock_ns();
    t->alpha = look < most ? STATS_ALPHA_FOUR_LOOKS : STATS_ALPHA_ONE;
    for (size_t i = 0; i < most;) {
        for (; i < look; i++) {
            int r = pair(t, i);
            if (r < 0) {
                return r;
            }
            maybe_end_baseline(t);
            if (seconds_since(start) > seconds_most && i + 1 >= BASELINE_SHORT) {
                return 0;
            }
        }
        if (tight(t) || seconds_since(start) > seconds_enough) {
            break;
        }
        look = MIN(2 * look, most);
    }
    return 0;
}

