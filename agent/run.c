/* SPDX-License-Identifier: MIT */
/*
 * One task's run, a step at a time:
 *
 *     PICK parent, direction, strategies -> KEEP the choice (durable) -> SAMPLES (sample.c: one or
 *     several proposals of the same choice, each asked for, judged, mended, tuned) -> SCORE (durable,
 *     with what they taught) -> NEXT
 *
 * Callbacks store their result, set `ready` and call run_step. The samples of a step become attempts
 * of their own, children of the same parent; the fastest is the step's.
 */
#include "agent/campaign_internal.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

void run_emit(struct run *run, const struct sample *s, enum campaign_event_kind kind,
              const char *text)
{
    struct campaign *c = run->campaign;
    if (!c->on_event) {
        return;
    }
    const struct attempt *best = run_best(run);
    struct campaign_event event = {
        .kind = kind,
        .task = run->task->name,
        .seq = s ? s->ask.seq : run->step.seq,
        .step = run->step.number,
        .steps = c->options.steps,
        .direction = run->step.direction,
        .strategy = s ? s->strategy : "",
        .title = s ? s->title : "",
        .text = text,
        .best_us = best ? best->verdict.time.median_us : 0,
        .best_speedup = best ? run_speedup(run, best) : 0,
    };
    if (s && kind == CAMPAIGN_EVENT_SCORED) {
        event.verdict = s->judged ? &s->verdict : NULL;
        event.status = s->status;
        event.text = s->why;
        event.is_best = best && best->seq == s->ask.seq;
        event.tuned = s->tuned;
        event.repairs = s->repairs;
    }
    c->on_event(c->event_ud, &event);
}

static void go_on(struct run *run, enum run_phase phase)
{
    run->phase = phase;
    run->ready = true;
}

static void free_step(struct step *s)
{
    for (size_t i = 0; i < s->n_samples; i++) {
        sample_done(&s->samples[i]);
    }
    arena_free(s->arena);
    *s = (struct step) { .direction = "" };
}

void run_end(struct run *run, bool failed, const char *why)
{
    if (run->phase == RUN_PHASE_DONE) {
        return;
    }
    run->phase = RUN_PHASE_DONE;
    run->failed = failed;
    run->why = arena_strdup(run->arena, why);
    run_emit(run, NULL, CAMPAIGN_EVENT_ENDED, run->why);
    campaign_run_ended(run->campaign);
}

void run_trouble(struct run *run, int code, const char *text)
{
    if (!run->task->oracle || run->campaign->stopping || code == ERR_CANCELED) {
        campaign_fail(run->campaign, code, text);
        return;
    }
    run_stop(run);
    run_end(run, run_best(run) == NULL, text ? text : err_name(code));
}

void run_make_samples(struct run *run, size_t n)
{
    struct step *s = &run->step;
    struct ask ask;
    run_ask(run, s->parent >= 0 ? run_find_attempt(run, s->parent) : NULL, &ask);
    ask.choice = s->choice;
    ask.samples = (int64_t)n;
    s->n_samples = n;
    s->samples = arena_alloc(s->arena, n, sizeof(*s->samples));
    for (size_t i = 0; i < n; i++) {
        s->samples[i] = (struct sample) { .run = run, .ask = ask, .base = "", .strategy = "",
                                          .variant = "", .title = "", .summary = "", .status = "",
                                          .why = "" };
        s->samples[i].ask.seq = s->seq + (int64_t)i;
        s->samples[i].ask.sample = (int64_t)i;
    }
}

/* How many samples a step has: the start is one thing, and so is each shipped variant. */
static size_t samples_of(const struct run *run)
{
    const struct campaign *c = run->campaign;
    bool start = run->step.number == 0 && run->start;
    return !start && c->provider->repairs ? (size_t)c->options.samples : 1;
}

static void begin_step(struct run *run)
{
    struct campaign *c = run->campaign;
    struct step *s = &run->step;
    struct err err = { 0 };
    *s = (struct step) { .seq = run_next_seq(run), .number = run->n_steps, .parent = -1,
                         .arena = arena_new(), .direction = "" };
    if (s->number > 0 || !run->start) {
        struct rng rng;
        rng_init(&rng, c->options.seed, rng_key(run->task->name), (uint64_t)s->number);
        const struct attempt *parent = run_pick_parent(run, &rng);
        s->parent = parent ? parent->seq : -1;
        struct ask ask;
        run_ask(run, parent, &ask);
        int r = run_choose(run, parent, &ask, &err);
        if (r == ERR_NOTFOUND) {
            run_end(run, false, "everything that could be proposed was tried");
            return;
        }
        if (r < 0) {
            campaign_fail(c, r, err_text(&err));
            return;
        }
        s->direction = s->choice->directions[s->choice->picked].id;
    }
    s->order = c->replay ? replay_order(run) : c->order++;
    run_make_samples(run, samples_of(run));
    run->committing = true;
    run->phase = RUN_PHASE_KEEP;
}

/* Why this run is over, or NULL. */
static const char *stop_reason(struct run *run)
{
    const struct campaign_options *o = &run->campaign->options;
    const struct attempt *best = run_best(run);
    const char *why = NULL;
    if (run->n_steps >= o->steps + (run->start != NULL)) { /* the start is none of them */
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
    if (run->phase == RUN_PHASE_KEEP) {
        go_on(run, RUN_PHASE_SAMPLES);
        run_soon(run);
    }
}

static void begin_samples(struct run *run)
{
    struct step *s = &run->step;
    if (run->campaign->replay && !replay_has_attempt(run, s->seq)) {
        run_end(run, run_best(run) == NULL, "the record ends in the middle of this step");
        return;
    }
    for (size_t i = 0; i < s->n_samples && run->phase == RUN_PHASE_SAMPLES
                       && !run->campaign->stopping; i++) {
        sample_begin(&s->samples[i]);
    }
}

void run_sample_settled(struct run *run)
{
    struct step *s = &run->step;
    if (++s->n_settled < s->n_samples || run->phase != RUN_PHASE_SAMPLES) {
        return;
    }
    for (size_t i = 0; i < s->n_samples; i++) {
        if (s->samples[i].over_budget) {
            /* The step stays open: with more to spend, a resume takes it up where it stands. */
            run_end(run, run_best(run) == NULL, s->samples[i].why);
            return;
        }
    }
    go_on(run, RUN_PHASE_SCORE);
    run_step(run);
}

static void set_outcome(struct run *run, struct sample *s)
{
    const struct attempt *parent
        = run->step.parent >= 0 ? run_find_attempt(run, run->step.parent) : NULL;
    bool ran = s->judged && s->verdict.status == VERDICT_STATUS_ACCEPTED
        && s->verdict.time.median_us > 0;
    s->gain = ran && parent ? tally_gain(parent->verdict.time.median_us, s->verdict.time.median_us)
                            : 0;
    s->outcome = !ran                   ? SELECT_OUTCOME_FAILED
        : s->gain >= HTG_WIN_GAIN       ? SELECT_OUTCOME_GAINED
                                        : SELECT_OUTCOME_SAME;
    if (s->judged) {
        s->status = verdict_status_name(s->verdict.status);
    }
}

static void add_attempt(struct run *run, struct sample *s)
{
    const char *tuning = s->tuning_text ? s->tuning_text : "null";
    json_t *json = json_loads(tuning, JSON_DECODE_ANY, NULL);
    bool modelled = session_device(run->campaign->session)->modelled;
    struct attempt attempt = {
        .seq = s->ask.seq,
        .step = run->step.number,
        .parent = run->step.parent,
        .candidate = s->candidate,
        .judged = s->judged,
        .verdict = s->verdict,
        .status = arena_strdup(run->arena, s->status),
        .why = arena_strdup(run->arena, s->why),
        .direction = arena_strdup(run->arena, run->step.direction),
        .strategy = arena_strdup(run->arena, s->strategy),
        .variant = arena_strdup(run->arena, s->variant),
        .title = arena_strdup(run->arena, s->title),
        .outcome = s->outcome,
        .gain = s->gain,
        .device_s = s->device_s,
        .tuned = s->tuned,
        .tuning = run_tuning_words(json, modelled, run->arena),
    };
    json_decref(json);
    s->candidate = NULL;
    run_add_attempt(run, &attempt);
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
    for (size_t i = 0; i < s->n_samples; i++) {
        if (run->campaign->replay && replay_check_attempt(run, s->samples[i].ask.seq) < 0) {
            return;
        }
        add_attempt(run, &s->samples[i]);
        run_emit(run, &s->samples[i], CAMPAIGN_EVENT_SCORED, "");
    }
    free_step(s);
    if (run->phase == RUN_PHASE_SCORE) {
        go_on(run, RUN_PHASE_NEXT);
        run_soon(run);
    }
}

static void score(struct run *run)
{
    struct step *s = &run->step;
    struct err err = { 0 };
    for (size_t i = 0; i < s->n_samples; i++) {
        set_outcome(run, &s->samples[i]);
    }
    run->committing = true;
    int r = run_keep_score(run, on_scored, &err);
    if (r < 0) {
        run->committing = false;
        campaign_fail(run->campaign, r, err_text(&err));
    }
}

/* Whether to go on is decided as ever, but for the clock: a record may end earlier than its reasons. */
static const char *replay_stop_reason(struct run *run, const char *why)
{
    bool more = replay_has_choice(run, run_next_seq(run));
    if (why && more) {
        campaign_fail(run->campaign, ERR_INVALID,
                      arena_printf(run->arena, "task %s: step %lld: the record goes on, now it ends: %s",
                                   run->task->name, (long long)run->n_steps, why));
    }
    return why || more ? why : "the record ends here";
}

static void next(struct run *run)
{
    const char *why = stop_reason(run);
    why = run->campaign->replay ? replay_stop_reason(run, why) : why;
    if (why) {
        run_end(run, run_best(run) == NULL, why);
        return;
    }
    begin_step(run);
    if (run->phase == RUN_PHASE_KEEP) {
        run_keep_choice(run, on_kept);
    }
}

static void advance(struct run *run)
{
    bool decides = run->phase == RUN_PHASE_NEXT || run->phase == RUN_PHASE_SCORE;
    if (decides && replay_park(run)) {
        return;
    }
    switch (run->phase) {
    case RUN_PHASE_NEXT:
        next(run);
        break;
    case RUN_PHASE_SAMPLES:
        begin_samples(run);
        break;
    case RUN_PHASE_SCORE:
        score(run);
        break;
    case RUN_PHASE_KEEP:
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

static void on_turn(void *ud)
{
    run_step(ud);
}

void run_soon(struct run *run)
{
    turns_remove(&run->turn);
    turns_add(run->campaign->turns, &run->turn, on_turn, run);
}

void run_stop(struct run *run)
{
    turns_remove(&run->turn);
    for (size_t i = 0; i < run->step.n_samples; i++) {
        sample_stop(&run->step.samples[i]);
    }
}

static int load_baseline(struct run *run, struct err *err)
{
    const char *name = run->campaign->options.baseline;
    return name ? catalog_candidate(name, run->task->family, &run->baseline, err) : 0;
}

static int load_candidates(struct run *run, struct err *err)
{
    struct campaign *c = run->campaign;
    const struct campaign_options *o = &c->options;
    int r = campaign_family(c, run->task->family, &run->family, err);
    if (r == 0 && o->start) {
        r = catalog_candidate(o->start, run->task->family, &run->start, err);
        return r < 0 ? r : load_baseline(run, err);
    }
    r = r < 0 ? r : catalog_start(run->task, &run->start, err);
    const struct device_facts *facts = &session_device(run->session)->facts;
    if (r == ERR_NOTFOUND && run->family->n && catalog_fits(run->task, run->family->variants[0], facts)) {
        r = candidate_with_params(run->family->variants[0], NULL, 0, &run->start, err);
    } else if (r == ERR_NOTFOUND && c->provider->repairs && run->task->oracle) {
        r = 0; /* a model reads the problem itself */
    } else if (r == ERR_NOTFOUND) {
        r = err_set(err, ERR_INVALID, "no variants of family \"%s\" that fit this task ship with the program: "
                    "name where to begin with --start FOLDER (kernel.cu and plan.json)", run->task->family);
    }
    return r < 0 ? r : load_baseline(run, err);
}

int run_init(struct run *run, struct campaign *campaign, const char *task, struct err *err)
{
    size_t index = (size_t)(run - campaign->runs), devices = session_devices(campaign->session);
    run->campaign = campaign;
    run->session = session_nth(campaign->session, index % devices);
    run->arena = arena_new();
    run->why = "";
    run->step.direction = "";
    int r = catalog_task(task, &run->task, err);
    r = r < 0 ? r : load_candidates(run, err);
    go_on(run, RUN_PHASE_NEXT);
    return r;
}

void run_done(struct run *run)
{
    free_step(&run->step);
    for (size_t i = 0; i < run->n_attempts; i++) {
        candidate_free(run->attempts[i].candidate);
    }
    free(run->attempts);
    candidate_free(run->start);
    candidate_free(run->baseline);
    task_free(run->task);
    arena_free(run->arena);
}
