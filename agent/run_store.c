/* SPDX-License-Identifier: MIT */
/*
 * What a run makes durable, and how it is brought back. CHOICES holds a step's choice from before it
 * is acted on; ATTEMPTS its end, all its samples in one batch with their verdicts and with what they
 * taught. A choice without an attempt is a step that was cut off: it is done again, and finds the
 * replies (CALLS) and verdicts that are there. `order` numbers choices and lessons as the campaign
 * made them, over all its tasks: what a replay goes by.
 */
#include "agent/campaign_internal.h"
#include "base/buf.h"
#include "base/jread.h"
#include "base/jwrite.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

static void put_json(struct store_batch *batch, enum store_db db, const char *key, json_t *json)
{
    auto_free char *text = json_compact(json);
    json_decref(json);
    store_batch_put(batch, db, key, text, strlen(text));
}

static void put_candidate(struct store_batch *batch, const struct candidate *candidate)
{
    char hex[ID_HEX];
    id_hex(&candidate->id, hex);
    auto_free char *plan = json_canonical(candidate->plan->json);
    struct candidate_record record = { .id = hex, .source = candidate->source, .plan = plan,
                                       .name = candidate->name };
    record_put_candidate(batch, &record, NULL);
}

void run_keep_choice(struct run *run, store_done_fn done)
{
    struct step *s = &run->step;
    auto_buf struct buf text;
    buf_init(&text, STORE_VALUE_MAX);
    struct jwriter w = { &text, false };
    jwrite_open(&w, NULL, '{');
    jwrite_int(&w, "format", 1);
    jwrite_int(&w, "order", s->order);
    jwrite_int(&w, "step", s->number);
    jwrite_int(&w, "first", s->seq);
    jwrite_int(&w, "samples", (int64_t)s->n_samples);
    jwrite_int(&w, "parent", s->parent);
    jwrite_string(&w, "direction", s->direction);
    if (s->choice) {
        choice_write(&w, "choice", s->choice);
    }
    jwrite_close(&w, '}');
    if (run->campaign->replay && replay_check_choice(run, text.at) < 0) {
        run->committing = false;
        return;
    }
    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < s->n_samples; i++) { /* each attempt finds its choice under its own key */
        store_batch_put(batch, STORE_DB_CHOICES,
                        record_attempt_key(s->arena, run->campaign->id, run->task->name,
                                           s->seq + (int64_t)i),
                        text.at, text.len);
    }
    store_submit(run->campaign->session->store, batch, done, run);
}

static void put_verdict(struct store_batch *batch, const struct sample *s)
{
    put_candidate(batch, s->candidate);
    put_json(batch, STORE_DB_VERDICTS, s->verdict_key, verdict_json(&s->verdict));
}

void run_keep_verdict(struct sample *s)
{
    if (s->run->campaign->replay) {
        return; /* it is where it came from */
    }
    struct store_batch *batch = store_batch_new();
    put_verdict(batch, s);
    store_submit(s->run->campaign->session->store, batch, NULL, NULL);
}

static char *extra_text(const struct run *run, const struct sample *s, int64_t order)
{
    struct buf text;
    buf_init(&text, STORE_VALUE_MAX);
    struct jwriter w = { &text, false };
    jwrite_open(&w, NULL, '{');
    jwrite_int(&w, "step", run->step.number);
    jwrite_int(&w, "order", order);
    jwrite_int(&w, "parent_seq", run->step.parent);
    jwrite_string(&w, "variant", s->variant);
    jwrite_string(&w, "title", s->title);
    jwrite_string(&w, "base", s->base);
    jwrite_int(&w, "tuned", (int64_t)s->tuned);
    jwrite_int(&w, "repairs", (int64_t)s->repairs);
    jwrite_real(&w, "device_s", s->device_s);
    if (s->invented) {
        jwrite_string(&w, "invented", s->summary);
    }
    if (*s->why) {
        jwrite_string(&w, "why", s->why);
    }
    if (s->judgements) {
        jwrite_tree(&w, "judged", s->judgements);
    }
    if (s->tuning_text) {
        jwrite_json(&w, "tuning", s->tuning_text);
    }
    jwrite_close(&w, '}');
    return buf_take(&text);
}

static int put_attempt(struct run *run, struct sample *s, struct store_batch *batch, struct err *err)
{
    struct campaign *c = run->campaign;
    struct step *step = &run->step;
    struct htg_increments increments;
    int r = run_teach(run, s, batch, &increments, err);
    if (r < 0) {
        return r;
    }
    struct learned *learned = arena_alloc(step->arena, increments.n + 1, sizeof(*learned));
    for (size_t i = 0; i < increments.n; i++) {
        const struct htg_increment *x = &increments.at[i];
        learned[i] = (struct learned) { x->key, x->gain, x->failed };
    }
    char hex[ID_HEX] = "", parent_hex[ID_HEX] = "";
    const struct attempt *parent = step->parent >= 0 ? run_find_attempt(run, step->parent) : NULL;
    if (s->candidate) {
        id_hex(&s->candidate->id, hex);
        put_candidate(batch, s->candidate);
    }
    if (parent) {
        id_hex(&parent->id, parent_hex);
    }
    auto_free char *extra = extra_text(run, s, step->learn_order);
    struct attempt_record record = {
        .campaign = c->id,
        .task = run->task->name,
        .seq = s->ask.seq,
        .parent = parent_hex,
        .candidate = hex,
        .verdict = s->judged ? s->verdict_key : "",
        .direction = step->direction,
        .strategy = s->strategy,
        .status = s->status,
        .control = step->choice && step->choice->control,
        .modelled = s->judged && s->verdict.modelled,
        .gain = s->gain,
        .time_us = s->judged ? s->verdict.time.median_us : 0,
        .n_learned = increments.n,
        .learned = learned,
        .extra = extra,
    };
    if (s->judged && !c->replay) {
        put_json(batch, STORE_DB_VERDICTS, s->verdict_key, verdict_json(&s->verdict));
    }
    return record_put_attempt(batch, &record, err);
}

int run_keep_score(struct run *run, store_done_fn done, struct err *err)
{
    struct step *s = &run->step;
    struct store_batch *batch = store_batch_new();
    int r = 0;
    s->learn_order = run->campaign->replay ? replay_order(run) : run->campaign->order++;
    for (size_t i = 0; r == 0 && i < s->n_samples; i++) {
        r = put_attempt(run, &s->samples[i], batch, err);
    }
    if (r < 0) {
        store_batch_free(batch);
        return r;
    }
    store_submit(run->campaign->session->store, batch, done, run);
    return 0;
}

static int get_verdict(struct run *run, const char *key, struct verdict *ret, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    int r = store_get(run->campaign->session->store, STORE_DB_VERDICTS, key, arena, &at, &len, err);
    if (r < 0) {
        return r == ERR_NOTFOUND ? err_set(err, r, "verdict %s is missing", key) : r;
    }
    json_t *json = NULL;
    r = jread_parse(at, len, &json, err);
    r = r < 0 ? r : verdict_parse(json, run->arena, ret, err);
    json_decref(json);
    return r;
}

bool run_known_verdict(struct sample *s)
{
    struct campaign *c = s->run->campaign;
    struct verdict v;
    if (c->session->options->fresh || get_verdict(s->run, s->verdict_key, &v, NULL) < 0) {
        return false;
    }
    bool usable = verdict_status_final(v.status) || c->replay;
    if (usable) {
        s->verdict = v;
    }
    return usable;
}

static int get_candidate(struct run *run, const char *id, const char *name,
                         struct candidate **ret, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct candidate_record record;
    int r = record_get_candidate(run->campaign->session->store, id, arena, &record, err);
    if (r < 0) {
        return r == ERR_NOTFOUND ? err_set(err, r, "candidate %.12s is missing", id) : r;
    }
    r = candidate_parse(record.plan, strlen(record.plan), record.source, strlen(record.source),
                        ret, err);
    if (r == 0 && name) {
        (*ret)->name = arena_strdup((*ret)->arena, name);
    }
    return r;
}

static const char *text_of(struct run *run, const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return arena_strdup(run->arena, s ? s : "");
}

static int load_attempt(struct run *run, const struct attempt_record *record, struct err *err)
{
    json_t *extra = NULL;
    int r = jread_parse(record->extra, strlen(record->extra), &extra, err);
    if (r < 0) {
        return r;
    }
    const json_t *step = json_object_get(extra, "step");
    const json_t *device_s = json_object_get(extra, "device_s");
    struct attempt a = {
        .seq = record->seq,
        .step = step ? json_integer_value(step) : record->seq,
        .parent = json_integer_value(json_object_get(extra, "parent_seq")),
        .judged = *record->verdict != '\0',
        .status = arena_strdup(run->arena, record->status),
        .why = text_of(run, extra, "why"),
        .direction = arena_strdup(run->arena, record->direction),
        .strategy = arena_strdup(run->arena, record->strategy),
        .variant = text_of(run, extra, "variant"),
        .title = text_of(run, extra, "title"),
        .outcome = SELECT_OUTCOME_FAILED,
        .gain = record->gain,
        .device_s = json_number_value(device_s),
        .tuned = (size_t)json_integer_value(json_object_get(extra, "tuned")),
        .tuning = run_tuning_words(json_object_get(extra, "tuning"),
                                   session_device(run->campaign->session)->modelled, run->arena),
    };
    if (*record->candidate) {
        r = get_candidate(run, record->candidate, a.variant, &a.candidate, err);
    }
    if (r == 0 && a.judged) {
        r = get_verdict(run, record->verdict, &a.verdict, err);
        bool ran = a.verdict.status == VERDICT_STATUS_ACCEPTED;
        a.outcome = !ran              ? SELECT_OUTCOME_FAILED
            : a.gain >= HTG_WIN_GAIN  ? SELECT_OUTCOME_GAINED
                                      : SELECT_OUTCOME_SAME;
        a.device_s = device_s ? a.device_s : a.verdict.device_s;
    }
    if (r == 0) {
        run->device_s += a.device_s;
        run->campaign->device_s += a.device_s;
        run->campaign->order
            = MAX(run->campaign->order, json_integer_value(json_object_get(extra, "order")) + 1);
        run_add_attempt(run, &a);
    } else {
        candidate_free(a.candidate);
    }
    json_decref(extra);
    return r;
}

/* A step that was begun and not finished: its choice as it was kept, its samples from the start. */
static int load_step(struct run *run, bool *ret_pending, struct err *err)
{
    struct step *s = &run->step;
    *s = (struct step) { .seq = run_next_seq(run), .number = run->n_steps, .arena = arena_new(),
                         .direction = "" };
    const void *at;
    size_t len;
    int r = store_get(run->campaign->session->store, STORE_DB_CHOICES,
                      record_attempt_key(s->arena, run->campaign->id, run->task->name, s->seq),
                      s->arena, &at, &len, err);
    if (r < 0) {
        arena_free(s->arena);
        s->arena = NULL;
        return r == ERR_NOTFOUND ? 0 : r;
    }
    json_t *json = NULL;
    r = jread_parse(at, len, &json, err);
    if (r == 0) {
        const json_t *choice = json_object_get(json, "choice");
        const json_t *samples = json_object_get(json, "samples");
        s->parent = json_integer_value(json_object_get(json, "parent"));
        s->direction = text_of(run, json, "direction");
        s->order = json_integer_value(json_object_get(json, "order"));
        run->campaign->order = MAX(run->campaign->order, s->order + 1);
        r = choice ? choice_parse(choice, s->arena, &s->choice, err) : 0;
        if (r == 0) {
            run_make_samples(run, samples ? (size_t)json_integer_value(samples) : 1);
        }
        *ret_pending = r == 0;
    }
    json_decref(json);
    return r;
}

int run_load(struct run *run, bool *ret_pending, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct attempt_record *records;
    size_t n;
    int r = record_list_attempts(run->campaign->session->store, run->campaign->id,
                                 run->task->name, arena, &records, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = load_attempt(run, &records[i], err);
    }
    r = r < 0 ? r : load_step(run, ret_pending, err);
    if (r < 0) {
        err_wrap(err, "campaign %s: task %s", run->campaign->id, run->task->name);
    }
    return r;
}
