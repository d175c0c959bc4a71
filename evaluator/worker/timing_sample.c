/* SPDX-License-Identifier: MIT */
/*
 * Samples: candidate and baseline in pairs, each run on fresh inputs with a cold L2 and its launches
 * queued behind a kernel that holds the stream, so that what the events see is the GPU's work alone.
 */
#include "base/id.h"
#include "base/util.h"
#include "evaluator/worker/timing.h"

enum { BASELINE_SHORT = 5, /* samples of a baseline that is much slower */
       AUDITS_LEAST = 4,
       HOPELESS_SAMPLES = 2 };
static const double slow_baseline = 1.5; /* times slower: enough is known after BASELINE_SHORT */
static const double seconds_enough = 1;  /* once the least number of samples is there */
static const double seconds_most = 2;    /* even before; a few samples of a slow kernel must do */
static const double audit_seconds = 0.3; /* for runs of the reference between samples */
static const double foreign_us = 500; /* a gap in our own work: another process had the GPU */

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

/* One timed run on set `set`. A run whose hold gave up takes 0 us. */
static int sample(struct timing *t, struct side *side, size_t set)
{
    struct judge *j = t->judge;
    struct series *series = &side->series;
    struct gate_held held;
    double us = 0;
    int r = flush(t);
    r = r < 0 ? r : gate_hold(j->gate, TIMING_HOLD_NS, &j->err);
    r = r < 0 ? r : timing_record(t, t->start);
    if (r == 0) {
        r = queue(t, side, set);
        int after = timing_record(t, t->stop);
        after = after < 0 ? after : gate_stamp(j->gate, &j->err);
        r = r < 0 ? r : after;
        gate_release(j->gate);
    }
    r = r < 0 ? r : gpu_finish(j->gpu, "running the kernels", &j->err);
    if (r < 0) {
        return judge_failed(j, side->who, r);
    }
    r = gate_held(j->gate, &held, &j->err);
    r = r < 0 ? r : timing_elapsed(t, &us);
    if (r == 0) {
        series->us[series->n] = held.late ? 0 : us;
        series->mhz[series->n++] = held.mhz;
        t->shared = t->shared || held.longest_us > foreign_us
            || (held.window_us > us + foreign_us && !held.late);
    }
    return r;
}

/* The baseline's scratch holds results for the same inputs once it ran. What it prepared there must
 * last: then the scratch can't be seen, while the candidate runs. */
static int hide_baseline(struct timing *t, bool hidden)
{
    struct judge *j = t->judge;
    struct rig_buffers *b = &t->rig.baseline[0];
    int r = 0;
    if (t->baseline.program.n_prepare == 0) {
        return hidden ? rig_poison_scratch(&t->rig, b, RIG_POISON_A, &j->err) : 0;
    }
    for (size_t i = t->rig.n_tensors; r == 0 && i < b->n; i++) {
        r = slab_hide(j->slabs, b->slabs[i], hidden, &j->err);
    }
    return r;
}

/* What a run on set `set` needs: state and outputs as if nobody had run before. */
static int renew(struct timing *t, size_t set, uint64_t trial)
{
    static const enum rig_poison poisons[] = { RIG_POISON_A, RIG_POISON_B, RIG_POISON_NUMBERS };
    struct judge *j = t->judge;
    int r = rig_fill(&t->rig, &t->rig.sets[set], RIG_PART_INOUT, trial, GATE_MODE_OWN, &j->err);
    return r < 0 ? r : rig_poison_outputs(&t->rig, &t->rig.sets[set],
                                          poisons[trial % ARRAY_LEN(poisons)], &j->err);
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

static uint32_t drawn_below(uint32_t n)
{
    uint32_t r;
    random_bytes(&r, sizeof(r));
    return r % n;
}

/* Which set the i-th pair runs on, and who runs first: every combination once in a few pairs, in an
 * order drawn anew, so that neither side has a place that is its own. */
static void draw_pair(struct timing *t, size_t i, size_t *ret_set, bool *ret_candidate_first)
{
    size_t n = 2 * t->rig.n_sets, at = i % n;
    for (size_t k = 0; at == 0 && k < n; k++) {
        size_t other = drawn_below((uint32_t)k + 1);
        t->draw[k] = t->draw[other];
        t->draw[other].set = k / 2;
        t->draw[other].candidate_first = k % 2 == 0;
    }
    *ret_set = t->draw[at].set;
    *ret_candidate_first = t->draw[at].candidate_first;
}

/* The i-th pair. The candidate's outputs are checked now and then, when it can't know: after the
 * pair, from a copy made between the two where it ran first, so that both find the GPU alike. */
static int pair(struct timing *t, size_t i)
{
    struct judge *j = t->judge;
    size_t index;
    bool first;
    uint64_t trial = TIMING_TRIAL_FIRST + i;
    bool with_baseline = t->has_baseline && !t->baseline_done, audit = audited(t, i);
    draw_pair(t, i, &index, &first);
    struct rig_buffers *set = &t->rig.sets[index];
    int r = rig_fill(&t->rig, set, RIG_PART_INPUTS, trial, GATE_MODE_OWN, &j->err);
    for (int turn = 0; r == 0 && turn < 2; turn++) {
        bool is_candidate = (turn == 0) == first;
        if (!is_candidate && !with_baseline) {
            continue;
        }
        bool hide = is_candidate && turn == 1;
        r = renew(t, index, trial);
        r = r < 0 || !hide ? r : hide_baseline(t, true);
        r = r < 0 ? r : sample(t, is_candidate ? &t->candidate : &t->baseline, index);
        r = r < 0 || !hide ? r : hide_baseline(t, false);
        if (r == 0 && turn == 0 && audit && with_baseline && (first || !j->slabs->plain)) {
            r = rig_keep(&t->rig, set, &j->err);
        }
    }
    if (r == 0 && audit) {
        r = check_outputs(j, &t->check, first && with_baseline ? &t->rig.kept : set, trial,
                          GATE_MODE_OWN, ", in a timed run");
    }
    return r;
}

static void maybe_end_baseline(struct timing *t)
{
    double time_us[SERIES_MAX], base_us[SERIES_MAX];
    if (!t->has_baseline || t->baseline_done || t->candidate.series.n < BASELINE_SHORT) {
        return;
    }
    double clock = series_clock(&t->candidate.series, &t->baseline.series);
    size_t n_time = series_kept(&t->candidate.series, clock, time_us);
    size_t n_base = series_kept(&t->baseline.series, clock, base_us);
    struct interval time, base;
    if (n_time < BASELINE_SHORT || n_base < BASELINE_SHORT) {
        return;
    }
    stats_median(time_us, n_time, STATS_ALPHA_ONE, &time);
    stats_median(base_us, n_base, STATS_ALPHA_ONE, &base);
    t->baseline_done = base.median > slow_baseline * time.median;
}

/* The samples of a batch to audit, drawn anew for every job: as many as cost little, some in any
 * case and in every batch, because a kernel that is right by a coin, or at first, must not pass. */
static void draw_audits(struct timing *t, size_t from, size_t to)
{
    double once = t->judge->reference_seconds;
    size_t least = from == 0 ? AUDITS_LEAST : AUDITS_LEAST / 2, n = 0;
    size_t most = from == 0 ? TIMING_AUDITS_MAX : TIMING_AUDITS_MAX / 3;
    size_t wanted = once > 0 ? (size_t)MIN(audit_seconds / once, TIMING_AUDITS_MAX) : 0;
    wanted = MIN(MIN(MAX(wanted, least), most), to - from);
    t->n_audits = 0;
    if (t->judge->job->tuning) {
        return; /* the trial after timing is enough */
    }
    while (n < wanted) {
        /* One early, in case a slow kernel gets no further. */
        size_t of = from == 0 && n == 0 ? MIN((size_t)BASELINE_SHORT, to) : to - from;
        size_t at = from + drawn_below((uint32_t)of);
        if (!audited(t, at)) {
            t->audits[n++] = at;
            t->n_audits = n;
        }
    }
}

bool timing_hopeless(const struct timing *t)
{
    const struct series *s = &t->candidate.series;
    double hopeless = t->judge->job->hopeless_us;
    bool slow = hopeless > 0 && s->n >= (t->judge->gpu->modelled ? 1 : HOPELESS_SAMPLES);
    for (size_t i = 0; slow && i < s->n; i++) {
        slow = s->us[i] > hopeless;
    }
    return slow;
}

/* Between batches: what the driver says of clocks and of others. */
static void look_around(struct timing *t)
{
    unsigned reasons = 0, others = 0;
    if (nvml_throttle(t->judge->nvml, &reasons) == 0) {
        t->throttle |= reasons;
    }
    if (nvml_others(t->judge->nvml, &others) == 0) {
        /* The oracle, idle meanwhile, is one of us. */
        t->shared = t->shared || others > (t->judge->job->oracle ? 1 : 0);
    }
}

static double seconds_since(uint64_t start)
{
    return (double)(clock_ns() - start) * 1e-9;
}

static int batch(struct timing *t, size_t *i, size_t look, uint64_t start)
{
    for (; *i < look; (*i)++) {
        int r = pair(t, *i);
        if (r < 0) {
            return r;
        }
        maybe_end_baseline(t);
        if (timing_hopeless(t)) {
            return 0;
        }
        if (seconds_since(start) > seconds_most && *i + 1 >= BASELINE_SHORT) {
            return 0;
        }
    }
    return 0;
}

int timing_take_samples(struct timing *t)
{
    const struct job *job = t->judge->job;
    size_t most = MIN(job->samples_max, SERIES_MAX), look = MIN(job->samples_min, most), i = 0;
    uint64_t start = clock_ns();
    t->alpha = look < most ? STATS_ALPHA_FOUR_LOOKS : STATS_ALPHA_ONE;
    look_around(t);
    t->throttle = 0; /* what held the clocks before says nothing of the samples */
    for (;;) {
        draw_audits(t, i, look);
        int r = batch(t, &i, look, start);
        look_around(t);
        bool paired = t->has_baseline && !t->baseline_done;
        if (r < 0 || i < look || i >= most || seconds_since(start) > seconds_enough
            || series_enough(&t->candidate.series, paired ? &t->baseline.series : NULL,
                             t->alpha)) {
            return r;
        }
        look = MIN(2 * look, most);
    }
}
