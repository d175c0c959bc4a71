/* SPDX-License-Identifier: MIT */
/*
 * One sample of a step:
 *
 *     ASK -> [JUDGE as proposed -> MEND (ask again with what went wrong), a few times] -> TUNE -> JUDGE
 *
 * The part in brackets is for candidates that a model wrote: what may not even compile isn't worth
 * tuning. A shipped variant is tuned at once. Whatever is judged at its tuned best keeps its verdict
 * as proposed to fall back on. Each waiting phase has exactly one operation under way.
 */
#include "agent/campaign_internal.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void begin_judging(struct sample *s);
static void begin_tuning(struct sample *s);

static const struct campaign_options *options_of(const struct sample *s)
{
    return &s->run->campaign->options;
}

/* Device seconds that were just spent, counted where budgets and the ledger look. */
static void charge(struct sample *s, double seconds)
{
    s->device_s += seconds;
    s->run->device_s += seconds;
    s->run->campaign->device_s += seconds;
}

static void settle(struct sample *s)
{
    s->settled = true;
    run_sample_settled(s->run);
}

static void settle_over_budget(struct sample *s, const char *why)
{
    s->over_budget = true;
    s->why = arena_strdup(s->run->step.arena, why);
    settle(s);
}

static bool tunable(const struct sample *s)
{
    const struct campaign_options *o = options_of(s);
    size_t n = 0;
    for (size_t i = 0; i < s->candidate->plan->n_params; i++) {
        n += s->candidate->plan->params[i].range != NULL;
    }
    return n > 0 && !str_eq(o->tuner, "none") && o->tune_budget > 0 && !s->tuning_done;
}

/* Is it judged before it is tuned? */
static bool from_model(const struct sample *s)
{
    return s->ask.choice && s->run->campaign->provider->repairs;
}

static void set_candidate(struct sample *s, struct candidate *candidate)
{
    struct arena *arena = s->run->step.arena;
    char hex[ID_HEX];
    id_hex(&candidate->id, hex);
    candidate_free(s->candidate);
    s->candidate = candidate;
    s->base = arena_strdup(arena, hex);
    s->variant = arena_strdup(arena, candidate->name);
    s->judged = false;
}

static void on_proposal(void *ud, const struct proposal *p)
{
    struct sample *s = ud;
    struct arena *arena = s->run->step.arena;
    s->asking = false;
    if (p->code == ERR_NOTFOUND) {
        run_end(s->run, false, p->error);
        return;
    }
    if (p->code < 0) {
        campaign_fail(s->run->campaign, p->code, p->error);
        return;
    }
    if (p->kind != PROPOSAL_CANDIDATE && s->judged) {
        settle(s); /* nothing better came: what failed stands */
        return;
    }
    if (p->kind == PROPOSAL_BUDGET) {
        settle_over_budget(s, p->error);
        return;
    }
    if (p->kind == PROPOSAL_NONE) {
        s->status = arena_strdup(arena, p->status);
        s->why = arena_strdup(arena, p->error);
        settle(s);
        return;
    }
    set_candidate(s, p->candidate);
    s->strategy = arena_strdup(arena, p->strategy);
    s->direction = arena_strdup(arena, p->direction ? p->direction : "");
    s->title = arena_strdup(arena, p->title);
    s->summary = arena_strdup(arena, p->summary);
    s->invented = p->invented;
    s->reply = p->reply;
    run_emit(s->run, s, CAMPAIGN_EVENT_PICKED, "");
    if (tunable(s) && !from_model(s)) {
        begin_tuning(s);
    } else {
        begin_judging(s);
    }
}

static void ask(struct sample *s, const struct verdict *failed)
{
    const struct provider *provider = s->run->campaign->provider;
    s->asking = true;
    run_emit(s->run, s, CAMPAIGN_EVENT_ASKING, failed ? "mending" : "asking");
    provider->ask(provider, &s->ask, &s->talk, failed, on_proposal, s);
}

static bool can_be_mended(const struct sample *s)
{
    switch (s->verdict.status) {
    case VERDICT_STATUS_COMPILE_ERROR:
    case VERDICT_STATUS_PLAN_ERROR:
    case VERDICT_STATUS_LAUNCH_ERROR:
    case VERDICT_STATUS_INCORRECT:
    case VERDICT_STATUS_UNSUPPORTED:
        return from_model(s) && (int64_t)s->repairs < options_of(s)->repairs;
    default:
        return false;
    }
}

/* The tuned form failed, or brought nothing: the candidate as proposed stands. */
static void restore_untuned(struct sample *s)
{
    candidate_free(s->candidate);
    s->candidate = s->untuned;
    s->untuned = NULL;
    s->verdict = s->untuned_verdict;
    s->verdict_key = s->untuned_key;
}

static void note_judgement(struct sample *s)
{
    char hex[ID_HEX];
    id_hex(&s->candidate->id, hex);
    s->judgements = s->judgements ? s->judgements : json_array();
    json_array_append_new(s->judgements, json_pack("[s, s]", hex, s->verdict_key));
    s->judged = true;
}

static void on_verdict(struct sample *s)
{
    bool good = s->verdict.status == VERDICT_STATUS_ACCEPTED;
    note_judgement(s);
    if (s->untuned) {
        if (!good || s->verdict.time.median_us > s->untuned_verdict.time.median_us) {
            run_keep_verdict(s); /* the attempt's record names it */
            restore_untuned(s);
        }
        settle(s);
    } else if (good && tunable(s)) {
        run_keep_verdict(s);
        begin_tuning(s);
    } else if (!good && can_be_mended(s)) {
        const char *why;
        if (campaign_over_budget(s->run->campaign, &why)) {
            settle(s);
            return;
        }
        run_keep_verdict(s);
        s->repairs++;
        ask(s, &s->verdict);
    } else {
        settle(s);
    }
}

static void on_judged(void *ud, int code, const struct verdict *verdict, const char *error)
{
    struct sample *s = ud;
    s->judgement = NULL;
    if (code == ERR_CANCELED) {
        return;
    }
    if (code < 0) {
        run_trouble(s->run, code, error);
        return;
    }
    verdict_copy(verdict, s->run->arena, &s->verdict);
    charge(s, verdict->device_s);
    on_verdict(s);
}

static void begin_judging(struct sample *s)
{
    struct run *run = s->run;
    struct campaign *c = run->campaign;
    const struct candidate *baseline = run_baseline(run);
    const char *why;
    if (baseline && id_eq(&baseline->id, &s->candidate->id)) {
        baseline = NULL;
    }
    s->verdict_key = session_verdict_key(run->session, run->step.arena, run->task, s->candidate,
                                         baseline);
    if (c->replay) {
        const char *key = replay_verdict_key(run, s->ask.seq, &s->candidate->id, run->step.arena);
        s->verdict_key = key ? key : s->verdict_key;
    }
    if (run_known_verdict(s)) {
        on_verdict(s);
        return;
    }
    if (c->replay && s->untuned && replay_ended_as(run, s->ask.seq, &s->untuned->id)) {
        note_judgement(s);
        restore_untuned(s);
        settle(s);
        return;
    }
    if (c->replay) {
        campaign_fail(c, ERR_NOTFOUND, arena_printf(run->arena, "task %s: attempt %lld: the record has "
                      "no verdict of candidate %.12s", run->task->name, (long long)s->ask.seq, s->base));
        return;
    }
    if (campaign_over_budget(c, &why)) {
        settle_over_budget(s, why);
        return;
    }
    run_emit(run, s, CAMPAIGN_EVENT_JUDGING, "judging");
    struct judge_request request = { .task = run->task, .candidate = s->candidate,
                                     .baseline = baseline, .depth = JUDGE_DEPTH_FULL,
                                     .profile = c->options.profile,
                                     .deadline_ms = (uint64_t)(c->options.deadline_s * 1000) };
    s->judgement = evaluator_judge(run->session->evaluator, &request, on_judged, s);
}

static const char *tuning_text(struct sample *s, const struct tuning_result *result)
{
    json_t *json = tuning_json(result);
    auto_free char *text = json_canonical(json);
    json_decref(json);
    return arena_strdup(s->run->step.arena, text);
}

static void on_tuned(void *ud, const struct tuning_result *result)
{
    struct sample *s = ud;
    s->tuning = NULL;
    s->tuning_done = true;
    if (result->code < 0) {
        run_trouble(s->run, result->code, result->error);
        return;
    }
    s->tuned = result->n;
    s->tuning_text = tuning_text(s, result);
    if (s->judged && (!result->best || id_eq(&result->best->id, &s->candidate->id))) {
        candidate_free(result->best);
        settle(s);
        return;
    }
    if (s->judged) {
        s->untuned = s->candidate;
        s->untuned_verdict = s->verdict;
        s->untuned_key = s->verdict_key;
        s->candidate = NULL;
    }
    if (result->best) {
        candidate_free(s->candidate);
        s->candidate = result->best;
    }
    begin_judging(s);
}

static bool on_spent(void *ud, double device_s)
{
    struct sample *s = ud;
    const char *why;
    charge(s, device_s);
    return !campaign_over_budget(s->run->campaign, &why);
}

static void begin_tuning(struct sample *s)
{
    struct campaign *c = s->run->campaign;
    const struct campaign_options *o = &c->options;
    const char *why;
    int r = ERR_FULL;
    if (c->replay || !campaign_over_budget(c, &why)) {
        run_emit(s->run, s, CAMPAIGN_EVENT_JUDGING, "tuning");
        json_t *record = c->replay ? replay_tuning(s->run, s->ask.seq) : NULL;
        const struct provider *provider = c->provider;
        struct tuning_options options = { .task = s->run->task, .candidate = s->candidate,
                                          .algorithm = o->tuner, .budget = (size_t)o->tune_budget,
                                          .seed = o->seed ^ (uint64_t)s->ask.seq << 32,
                                          .deadline_ms = (uint64_t)(o->deadline_s * 1000),
                                          .desk = provider->desk ? provider->desk(provider) : NULL,
                                          .seq = s->ask.seq, .record = record, .spend = on_spent };
        r = c->replay && !record ? ERR_NOTFOUND
                                 : tuning_start(s->run->session, &options, on_tuned, s, &s->tuning, NULL);
        json_decref(record);
    }
    if (r == 0) {
        return;
    }
    /* A space that can't be searched is the candidate's fault: the gate will say it. */
    s->tuning_done = true;
    if (s->judged) {
        settle(s);
    } else {
        begin_judging(s);
    }
}

/* The first attempt of a run is its start. */
static void begin_start(struct sample *s)
{
    struct run *run = s->run;
    struct err err = { 0 };
    struct candidate *copy;
    int r = candidate_with_params(run->start, NULL, 0, &copy, &err);
    if (r < 0) {
        campaign_fail(run->campaign, r, err_text(&err));
        return;
    }
    set_candidate(s, copy);
    const char *title = run->start->plan->title;
    s->title = arena_strdup(run->step.arena, title ? title : run->start->name);
    run_emit(run, s, CAMPAIGN_EVENT_PICKED, "");
    if (tunable(s)) {
        begin_tuning(s);
    } else {
        begin_judging(s);
    }
}

void sample_begin(struct sample *s)
{
    if (s->ask.choice) {
        ask(s, NULL);
    } else {
        begin_start(s);
    }
}

void sample_stop(struct sample *s)
{
    const struct provider *provider = s->run->campaign->provider;
    if (s->talk && provider->drop) {
        provider->drop(provider, s->talk);
        s->talk = NULL;
    }
    if (s->tuning) {
        tuning_cancel(s->tuning);
        s->tuning = NULL;
    }
    if (s->judgement) {
        judge_cancel(s->judgement);
        s->judgement = NULL;
    }
}

void sample_done(struct sample *s)
{
    sample_stop(s);
    candidate_free(s->candidate);
    candidate_free(s->untuned);
    json_decref(s->judgements);
    s->candidate = s->untuned = NULL;
    s->judgements = NULL;
}
