/* SPDX-License-Identifier: MIT */
/*
 * One task's run, a step at a time:
 *
 *     PICK parent, direction, strategies -> ASK -> KEEP (durable) -> TUNE (if it has a space) ->
 *     JUDGE -> SCORE (durable, with what it taught) -> NEXT
 *
 * Each waiting phase has exactly one operation under way; its callback stores the result, sets
 * `ready`, and calls run_step.
 */
#include "agent/campaign_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_RECALL = 3 };

static void emit(struct run *run, enum campaign_event_kind kind, const char *text)
{
    struct campaign *c = run->campaign;
    if (!c->on_event) {
        return;
    }
    const struct attempt *best = run_best(run);
    const struct step *s = &run->step;
    struct campaign_event event = {
        .kind = kind,
        .task = run->task->name,
        .seq = s->seq,
        .steps = c->options.steps,
        .direction = s->direction,
        .strategy = s->strategy,
        .title = s->title,
        .text = text,
        .verdict = kind == CAMPAIGN_EVENT_SCORED ? &s->verdict : NULL,
        .best_us = best ? best->verdict.time.median_us : 0,
        .best_speedup = best ? run_speedup(run, best) : 0,
        .is_best = best && best->seq == s->seq,
        .tuned = s->tuned,
    };
    c->on_event(c->event_ud, &event);
}

static void go_on(struct run *run, enum run_phase phase)
{
    run->phase = phase;
    run->ready = true;
}

static void end_run(struct run *run, bool failed, const char *why)
{
    run->phase = RUN_PHASE_DONE;
    run->failed = failed;
    run->why = arena_strdup(run->arena, why);
    emit(run, CAMPAIGN_EVENT_ENDED, why);
    campaign_run_ended(run->campaign);
}

static int make_context(const struct run *run, const struct attempt *parent, struct context *ret,
                        struct err *err)
{
    const struct device_info *d = evaluator_device(run->campaign->session->evaluator);
    const char *class = parent ? bottleneck_name(parent->verdict.bottleneck) : "none";
    return context_init(ret, run->task->family, class, d->arch, d->modelled, err);
}

/* The task's dtypes, for strategies that are made for some only. */
static struct htg_list task_dtypes(const struct run *run, struct arena *arena)
{
    const char **names = arena_alloc(arena, run->task->n_tensors + 1, sizeof(*names));
    for (size_t i = 0; i < run->task->n_tensors; i++) {
        names[i] = dtype_name(run->task->tensors[i].dtype);
    }
    return (struct htg_list) { names, run->task->n_tensors };
}

static size_t make_history(const struct run *run, const struct attempt *parent,
                           struct arena *arena, struct select_step **ret)
{
    struct select_step *steps = arena_alloc(arena, run->n_attempts + 1, sizeof(*steps));
    size_t n = 0;
    for (size_t i = 0; i < run->n_attempts; i++) {
        const struct attempt *a = &run->attempts[i];
        if (!a->direction || !*a->direction) {
            continue; /* the start came from nowhere */
        }
        steps[n++] = (struct select_step) {
            .direction = a->direction,
            .strategy = a->strategy && *a->strategy ? a->strategy : NULL,
            .outcome = a->outcome,
            .lineage = run_in_lineage(run, a->seq, parent),
            .here = parent && a->parent == parent->seq,
        };
    }
    *ret = steps;
    return n;
}

static void make_ask(struct run *run, const struct attempt *parent, struct ask *ret)
{
    struct arena *arena = run->step.arena;
    const char **tried = arena_alloc(arena, run->n_attempts + 1, sizeof(*tried));
    for (size_t i = 0; i < run->n_attempts; i++) {
        tried[i] = run->attempts[i].variant;
    }
    *ret = (struct ask) { .task = run->task,
                          .parent = parent ? parent->candidate : NULL,
                          .htg = run->campaign->session->htg,
                          .family = &run->family,
                          .tried = tried,
                          .n_tried = run->n_attempts,
                          .step = (uint64_t)run->step.seq };
}

/* PICK and RECALL: the choice, or ERR_NOTFOUND when nothing is left to do. */
static int choose(struct run *run, const struct attempt *parent, struct ask *ask, struct err *err)
{
    struct campaign *c = run->campaign;
    struct step *s = &run->step;
    struct htg *htg = c->session->htg;
    struct select_request request = { .seed = c->options.seed, .step = (uint64_t)s->seq,
                                      .task = run->task->name, .ablation = c->ablation };
    bool *strategies = arena_alloc(s->arena, htg_strategies(htg) + 1, sizeof(bool));
    if (c->provider->could) {
        if (!c->provider->could(c->provider, ask, &request.directions, strategies)) {
            return ERR_NOTFOUND;
        }
        request.strategies = strategies;
    }
    struct select_step *history;
    int r = make_context(run, parent, &request.context, err);
    request.dtypes = task_dtypes(run, s->arena);
    request.n_history = make_history(run, parent, s->arena, &history);
    request.history = history;
    select_tuning_default(&request.tuning);
    r = r < 0 ? r : select_direction(htg, &request, s->arena, &s->choice, err);
    r = r < 0 ? r : select_strategies(htg, &request, RUN_RECALL, s->arena, s->choice, err);
    return r;
}

static void set_candidate(struct step *s, struct candidate *candidate)
{
    char hex[ID_HEX];
    id_hex(&candidate->id, hex);
    s->candidate = candidate;
    s->base = arena_strdup(s->arena, hex);
    s->variant = arena_strdup(s->arena, candidate->name);
}

static void on_proposal(void *ud, const struct proposal *p)
{
    struct run *run = ud;
    struct step *s = &run->step;
    if (p->code == ERR_NOTFOUND) {
        end_run(run, false, p->error);
        return;
    }
    if (p->code < 0) {
        campaign_fail(run->campaign, p->code, p->error);
        return;
    }
    set_candidate(s, p->candidate);
    s->strategy = arena_strdup(s->arena, p->strategy);
    s->title = arena_strdup(s->arena, p->title);
    emit(run, CAMPAIGN_EVENT_PICKED, "");
    go_on(run, RUN_PHASE_KEEP);
    run_step(run);
}

/* The first attempt of a run is its start. */
static void begin_start(struct run *run)
{
    struct step *s = &run->step;
    struct err err = { 0 };
    struct candidate *copy;
    int r = candidate_with_params(run->start, NULL, 0, &copy, &err);
    if (r < 0) {
        campaign_fail(run->campaign, r, err_text(&err));
        return;
    }
    set_candidate(s, copy);
    const char *title = run->start->plan->title;
    s->title = arena_strdup(s->arena, title ? title : run->start->name);
    emit(run, CAMPAIGN_EVENT_PICKED, "");
    go_on(run, RUN_PHASE_KEEP);
}

static void begin_step(struct run *run)
{
    struct campaign *c = run->campaign;
    struct step *s = &run->step;
    *s = (struct step) { .seq = (int64_t)run->n_attempts, .parent = -1, .arena = arena_new(),
                         .direction = "", .strategy = "", .title = "", .variant = "" };
    if (s->seq == 0) {
        begin_start(run);
        return;
    }
    struct rng rng;
    rng_init(&rng, c->options.seed, rng_key(run->task->name), (uint64_t)s->seq);
    const struct attempt *parent = run_pick_parent(run, &rng);
    s->parent = parent ? parent->seq : -1;
    struct ask ask;
    struct err err = { 0 };
    make_ask(run, parent, &ask);
    int r = choose(run, parent, &ask, &err);
    if (r == ERR_NOTFOUND) {
        end_run(run, false, "everything that could be proposed was tried");
        return;
    }
    if (r < 0) {
        campaign_fail(c, r, err_text(&err));
        return;
    }
    s->direction = s->choice->directions[s->choice->picked].id;
    ask.choice = s->choice;
    run->phase = RUN_PHASE_ASK;
    c->provider->ask(c->provider, &ask, on_proposal, run);
}

/* Why this run is over, or NULL. */
static const char *stop_reason(struct run *run)
{
    const struct campaign_options *o = &run->campaign->options;
    const struct attempt *best = run_best(run);
    const char *why = NULL;
    if ((int64_t)run->n_attempts > o->steps) {
        return "all steps are done";
    }
    if (run->since_best >= (o->plateau > 0 ? o->plateau : CAMPAIGN_PLATEAU)) {
        return "no improvement for a while";
    }
    if (o->until_sol > 0 && best && best->verdict.sol >= o->until_sol) {
        return "the wanted share of the speed of light is reached";
    }
    return campaign_over_budget(run->campaign, &why) ? why : NULL;
}

static void on_kept(void *ud, int status, const struct err *err)
{
    struct run *run = ud;
    run->committing = false;
    if (run->campaign->stopping || status < 0) {
        campaign_fail(run->campaign, status < 0 ? status : ERR_CANCELED,
                      status < 0 ? err_text(err) : "stopped");
        return;
    }
    go_on(run, run->phase == RUN_PHASE_KEEP ? RUN_PHASE_TUNE : RUN_PHASE_NEXT);
    run_step(run);
}

static void on_tuned(void *ud, const struct tuning_result *result)
{
    struct run *run = ud;
    struct step *s = &run->step;
    run->tuning = NULL;
    if (result->code < 0) {
        campaign_fail(run->campaign, result->code, result->error);
        return;
    }
    s->tuned = result->n;
    json_t *samples = json_array();
    for (size_t i = 0; i < result->n; i++) {
        const struct tuning_sample *x = &result->samples[i];
        json_t *one = json_pack("{s:s, s:s}", "config", x->config, "status", x->status);
        if (x->time_us > 0) {
            json_object_set_new(one, "us", json_real(x->time_us));
        }
        json_array_append_new(samples, one);
    }
    json_t *json = json_pack("{s:s, s:o}", "algorithm", result->algorithm, "samples", samples);
    auto_free char *text = json_canonical(json);
    json_decref(json);
    s->tuning = arena_strdup(s->arena, text);
    if (result->best) {
        candidate_free(s->candidate);
        s->candidate = result->best;
    }
    go_on(run, RUN_PHASE_JUDGE);
    run_step(run);
}

static void begin_tuning(struct run *run)
{
    const struct campaign_options *o = &run->campaign->options;
    struct step *s = &run->step;
    size_t tunables = 0;
    for (size_t i = 0; i < s->candidate->plan->n_params; i++) {
        tunables += s->candidate->plan->params[i].range != NULL;
    }
    if (tunables == 0 || str_eq(o->tuner, "none") || o->tune_budget == 0) {
        go_on(run, RUN_PHASE_JUDGE);
        return;
    }
    emit(run, CAMPAIGN_EVENT_JUDGING, "tuning");
    struct tuning_options options = { .task = run->task, .candidate = s->candidate,
                                      .algorithm = o->tuner, .budget = (size_t)o->tune_budget,
                                      .seed = o->seed ^ (uint64_t)s->seq << 32,
                                      .deadline_ms = (uint64_t)(o->deadline_s * 1000) };
    struct err err = { 0 };
    int r = tuning_start(run->campaign->session, &options, on_tuned, run, &run->tuning, &err);
    if (r < 0) {
        /* A space that can't be searched is the candidate's fault: the gate will say it. */
        go_on(run, RUN_PHASE_JUDGE);
    }
}

static void on_judged(void *ud, int code, const struct verdict *verdict, const char *error)
{
    struct run *run = ud;
    run->judgement = NULL;
    if (code < 0) {
        campaign_fail(run->campaign, code, error);
        return;
    }
    verdict_copy(verdict, run->arena, &run->step.verdict);
    run->device_s += verdict->device_s;
    go_on(run, RUN_PHASE_SCORE);
    run_step(run);
}

static void begin_judging(struct run *run)
{
    struct campaign *c = run->campaign;
    struct step *s = &run->step;
    const struct candidate *baseline = run_baseline(run);
    if (baseline && id_eq(&baseline->id, &s->candidate->id)) {
        baseline = NULL;
    }
    s->verdict_key = session_verdict_key(c->session, s->arena, run->task, s->candidate, baseline);
    if (run_known_verdict(run)) {
        go_on(run, RUN_PHASE_SCORE);
        return;
    }
    emit(run, CAMPAIGN_EVENT_JUDGING, "judging");
    struct judge_request request = { .task = run->task, .candidate = s->candidate,
                                     .baseline = baseline, .depth = JUDGE_DEPTH_FULL,
                                     .deadline_ms = (uint64_t)(c->options.deadline_s * 1000) };
    run->judgement = evaluator_judge(c->session->evaluator, &request, on_judged, run);
}

static void set_outcome(struct run *run)
{
    struct step *s = &run->step;
    const struct attempt *parent = s->parent >= 0 ? run_find_attempt(run, s->parent) : NULL;
    bool ran = s->verdict.status == VERDICT_STATUS_ACCEPTED && s->verdict.time.median_us > 0;
    s->gain = ran && parent ? tally_gain(parent->verdict.time.median_us,
                                         s->verdict.time.median_us)
                            : 0;
    s->outcome = !ran                   ? SELECT_OUTCOME_FAILED
        : s->gain >= HTG_WIN_GAIN       ? SELECT_OUTCOME_GAINED
                                        : SELECT_OUTCOME_SAME;
}

static void on_scored(void *ud, int status, const struct err *err)
{
    struct run *run = ud;
    struct step *s = &run->step;
    run->committing = false;
    if (status < 0) {
        campaign_fail(run->campaign, status, err_text(err));
        return;
    }
    struct attempt attempt = {
        .seq = s->seq,
        .parent = s->parent,
        .candidate = s->candidate,
        .verdict = s->verdict,
        .direction = arena_strdup(run->arena, s->direction),
        .strategy = arena_strdup(run->arena, s->strategy),
        .variant = arena_strdup(run->arena, s->variant),
        .title = arena_strdup(run->arena, s->title),
        .outcome = s->outcome,
        .gain = s->gain,
        .tuned = s->tuned,
    };
    s->candidate = NULL;
    run_add_attempt(run, &attempt);
    emit(run, CAMPAIGN_EVENT_SCORED, "");
    arena_free(s->arena);
    s->arena = NULL;
    go_on(run, RUN_PHASE_NEXT);
    run_step(run);
}

static void advance(struct run *run)
{
    struct err err = { 0 };
    const char *why;
    int r;
    switch (run->phase) {
    case RUN_PHASE_NEXT:
        why = stop_reason(run);
        if (why) {
            end_run(run, run_best(run) == NULL, why);
        } else {
            begin_step(run);
        }
        break;
    case RUN_PHASE_KEEP:
        run->committing = true;
        run_keep_step(run, on_kept);
        break;
    case RUN_PHASE_TUNE:
        begin_tuning(run);
        break;
    case RUN_PHASE_JUDGE:
        begin_judging(run);
        break;
    case RUN_PHASE_SCORE:
        set_outcome(run);
        run->committing = true;
        r = run_keep_score(run, on_scored, &err);
        if (r < 0) {
            run->committing = false;
            campaign_fail(run->campaign, r, err_text(&err));
        }
        break;
    case RUN_PHASE_ASK:
    case RUN_PHASE_DONE:
        break;
    }
}

void run_step(struct run *run)
{
    if (run->stepping) {
        return;
    }
    run->stepping = true;
    while (run->ready && run->phase != RUN_PHASE_DONE && !run->campaign->stopping) {
        run->ready = false;
        advance(run);
    }
    run->stepping = false;
}

void run_stop(struct run *run)
{
    if (run->tuning) {
        tuning_cancel(run->tuning);
        run->tuning = NULL;
    }
    if (run->judgement) {
        judge_cancel(run->judgement);
    }
}

static int load_candidates(struct run *run, struct err *err)
{
    const struct campaign_options *o = &run->campaign->options;
    int r = catalog_family(run->task->family, &run->family, err);
    if (r == 0 && o->start) {
        r = catalog_candidate(o->start, run->task->family, &run->start, err);
    } else if (r == 0 && run->family.n) {
        r = candidate_with_params(run->family.variants[0], NULL, 0, &run->start, err);
    } else if (r == 0) {
        r = err_set(err, ERR_INVALID, "no variants of family \"%s\" ship with the program: name where to "
                    "begin with --start FOLDER (kernel.cu and plan.json)", run->task->family);
    }
    if (r == 0 && o->baseline) {
        r = catalog_candidate(o->baseline, run->task->family, &run->baseline, err);
    }
    return r;
}

int run_init(struct run *run, struct campaign *campaign, const char *task, struct err *err)
{
    run->campaign = campaign;
    run->arena = arena_new();
    run->why = "";
    int r = catalog_task(task, &run->task, err);
    r = r < 0 ? r : load_candidates(run, err);
    go_on(run, RUN_PHASE_NEXT);
    return r;
}

void run_done(struct run *run)
{
    for (size_t i = 0; i < run->n_attempts; i++) {
        candidate_free(run->attempts[i].candidate);
    }
    free(run->attempts);
    candidate_free(run->step.candidate);
    arena_free(run->step.arena);
    candidate_free(run->start);
    candidate_free(run->baseline);
    catalog_family_done(&run->family);
    task_free(run->task);
    arena_free(run->arena);
}
