/* SPDX-License-Identifier: MIT */
/*
 * What is timed again. A few runs say a time to a percent or so, and the fastest of many quick looks
 * is partly luck. So configs near the best are timed in pairs with it, interleaved, now and then
 * while the search goes on (the tuner is told the better numbers) and at the end, when whoever is
 * faster takes the champion's place. A modelled time is the same every time: there is nothing to do.
 */
#include "agent/tuning_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RETIME_SAMPLES = 10, VERIFY_MOST = 8 };
static const double pinned_near = 0.1; /* what was known to be good has its chance within so much */
static const double suspicious = 0.9;  /* of what it took before */

static int by_time(const void *a, const void *b)
{
    const struct trial *x = *(struct trial *const *)a, *y = *(struct trial *const *)b;
    double dx = x->sample.time_us, dy = y->sample.time_us;
    return dx != dy ? (dx < dy ? -1 : 1) : (x->number > y->number) - (x->number < y->number);
}

/* Those that ran, fastest first; the caller frees. */
static struct trial **ranking(const struct tuning *t, size_t *ret_n)
{
    struct trial **all = xcalloc(t->n_trials + 1, sizeof(struct trial *));
    size_t n = 0;
    for (size_t i = 0; i < t->n_trials; i++) {
        if (tuning_ran(t->trials[i])) {
            all[n++] = t->trials[i];
        }
    }
    qsort(all, n, sizeof(struct trial *), by_time);
    *ret_n = n;
    return all;
}

/* The near ones, at most `most`, and every pinned one that has a chance. */
static void choose(struct tuning *t, size_t most, bool with_pinned)
{
    struct contest *c = &t->contest;
    size_t n;
    struct trial **all = ranking(t, &n);
    memset(c, 0, sizeof(*c));
    if (n > 0) {
        c->first = c->champion = all[0];
    }
    for (size_t i = 1; i < n && c->n < TUNING_CONTEST_MAX; i++) {
        double over = all[i]->sample.time_us / all[0]->sample.time_us - 1;
        if ((i < most && over <= tuning_near)
            || (with_pinned && all[i]->pinned && over <= pinned_near)) {
            c->log_ratio[c->n] = (double)NAN;
            c->list[c->n++] = all[i];
        }
    }
    free(all);
}

static void next_pair(struct tuning *t);

/* Better numbers for all that took part, on the first champion's scale. */
static void apply(struct tuning *t)
{
    struct contest *c = &t->contest;
    double anchor = c->n_base ? c->base_sum / (double)c->n_base : 0;
    for (size_t i = 0; i <= c->n && anchor > 0; i++) {
        struct trial *trial = i < c->n ? c->list[i] : c->first;
        double us = i < c->n ? anchor / exp(c->log_ratio[i]) : anchor;
        if (!tuning_ran(trial) || !(us > 0)) {
            continue;
        }
        trial->sample.time_us = us;
        t->retimed += !c->final;
        tuner_tell(t->tuner, trial->config, us, NULL);
        tuning_keep(t, trial);
    }
    tuning_rank(t);
}

/* The champion, but for one that was a little faster in pairs, too little to be called so. */
static struct trial *winner(const struct contest *c)
{
    struct trial *best = c->champion;
    double lead = c->lead;
    for (size_t i = 0; i < c->n; i++) {
        if (tuning_ran(c->list[i]) && c->log_ratio[i] > lead) {
            best = c->list[i];
            lead = c->log_ratio[i];
        }
    }
    return best;
}

static void contest_over(struct tuning *t)
{
    struct contest *c = &t->contest;
    apply(t);
    if (c->final) {
        t->best = winner(c);
    }
    c->on = false;
    tuning_wake(t);
}

static void lost(struct tuning *t, struct trial *trial, const struct verdict *v)
{
    trial->sample.status = verdict_status_name(v->status);
    trial->sample.detail = arena_strdup(t->arena, v->detail);
    trial->sample.time_us = (double)NAN;
    tuner_tell(t->tuner, trial->config, (double)NAN, NULL);
    tuning_keep(t, trial);
    tuning_rank(t);
}

static void note_final(struct tuning *t, const struct trial *trial, const struct verdict *v)
{
    t->finals[t->n_finals++] = (struct tuning_final) {
        .sample = trial->number, .speedup = v->speedup,
        .relation = arena_strdup(t->arena, *v->relation ? v->relation : verdict_status_name(v->status)),
    };
}

static void on_pair(void *ud, int code, const struct verdict *v, const char *error)
{
    struct tuning *t = ud;
    struct contest *c = &t->contest;
    struct trial *trial = c->list[c->at];
    c->judgement = NULL;
    candidate_free(trial->candidate);
    candidate_free(c->champion->candidate);
    trial->candidate = c->champion->candidate = NULL;
    if (code == ERR_CANCELED) {
        return;
    }
    if (code < 0) {
        tuning_fail(t, code, error);
        return;
    }
    tuning_spend(t, v);
    bool good = v->status == VERDICT_STATUS_ACCEPTED && v->speedup > 0;
    if (good && !c->again && v->time.median_us < suspicious * trial->sample.time_us) {
        c->again = true; /* too good: once more before it counts */
        t->confirmed++;
        next_pair(t);
        return;
    }
    if (good && c->champion == c->first) {
        c->base_sum += v->baseline.median_us;
        c->n_base++;
    }
    if (good) {
        c->log_ratio[c->at] = c->lead + log(v->speedup);
    } else if (v->status != VERDICT_STATUS_ACCEPTED) {
        lost(t, trial, v);
    }
    if (c->final) {
        note_final(t, trial, v);
    }
    if (good && c->final && str_eq(v->relation, "faster")) {
        c->champion = trial;
        c->lead = c->log_ratio[c->at];
    }
    c->at++;
    c->again = false;
    next_pair(t);
}

static void next_pair(struct tuning *t)
{
    struct contest *c = &t->contest;
    struct err err = { 0 };
    if (c->at >= c->n || t->code < 0) {
        contest_over(t);
        return;
    }
    struct trial *trial = c->list[c->at];
    int r = tuning_candidate(t, trial->sample.config, &trial->candidate, &err);
    r = r < 0 ? r : tuning_candidate(t, c->champion->sample.config, &c->champion->candidate, &err);
    if (r < 0) {
        tuning_fail(t, r, err_text(&err));
        return;
    }
    struct judge_request request = { .task = t->options.task, .candidate = trial->candidate,
                                     .baseline = c->champion->candidate, .depth = JUDGE_DEPTH_TIME,
                                     .samples = c->final ? 0 : RETIME_SAMPLES,
                                     .deadline_ms = t->options.deadline_ms };
    c->judgement = evaluator_judge(t->session->evaluator, &request, on_pair, t);
}

static bool begin(struct tuning *t, bool final)
{
    struct contest *c = &t->contest;
    if (c->n == 0) {
        return false;
    }
    c->on = true;
    c->final = final;
    next_pair(t);
    return true;
}

bool tuning_retime(struct tuning *t)
{
    if (session_device(t->session)->modelled || t->n_told < t->retimed_at + TUNING_RETIME_EVERY) {
        return false;
    }
    t->retimed_at = t->n_told;
    choose(t, TUNING_RETIME_MOST, false);
    return begin(t, false);
}

bool tuning_finals(struct tuning *t)
{
    t->best = t->fastest;
    if (session_device(t->session)->modelled) {
        return false;
    }
    choose(t, TUNING_FINALISTS, true);
    return begin(t, true);
}

static void on_verified(void *ud, int code, const struct verdict *v, const char *error)
{
    struct tuning *t = ud;
    t->verification = NULL;
    candidate_free(t->best->candidate);
    t->best->candidate = NULL;
    if (code == ERR_CANCELED) {
        return;
    }
    if (code < 0) {
        tuning_fail(t, code, error);
        return;
    }
    tuning_spend(t, v);
    if (v->status == VERDICT_STATUS_ACCEPTED) {
        t->passed = true;
    } else {
        auto_free char *text = xprintf("%s was the fastest, but is %s: %.300s", t->best->sample.config,
                                       verdict_status_name(v->status), v->detail);
        tuning_say(t, text);
        lost(t, t->best, v);
        t->best = t->fastest;
    }
    tuning_wake(t);
}

bool tuning_verify(struct tuning *t)
{
    struct err err = { 0 };
    if (!t->options.verify || t->passed || !t->best) {
        return false;
    }
    if (t->verified >= VERIFY_MOST) {
        t->best = NULL; /* so many wrong ones say that the kernel is */
        return false;
    }
    t->verified++;
    int r = tuning_candidate(t, t->best->sample.config, &t->best->candidate, &err);
    if (r < 0) {
        tuning_fail(t, r, err_text(&err));
        return true;
    }
    struct judge_request request = { .task = t->options.task, .candidate = t->best->candidate,
                                     .depth = JUDGE_DEPTH_CHECK,
                                     .deadline_ms = t->options.deadline_ms };
    t->verification = evaluator_judge(t->session->evaluator, &request, on_verified, t);
    return true;
}

void tuning_again_cancel(struct tuning *t)
{
    if (t->contest.judgement) {
        judge_cancel(t->contest.judgement);
    }
    if (t->verification) {
        judge_cancel(t->verification);
    }
}
