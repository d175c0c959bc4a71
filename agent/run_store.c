/* SPDX-License-Identifier: MIT */
/*
 * What a run makes durable, and how it is brought back. CHOICES holds a step's intent (choice,
 * candidate) from before it is acted on; ATTEMPTS its end, in one batch with its verdict and with
 * what it taught. A choice without an attempt is a step that was cut off: it is judged again, never
 * asked again.
 */
#include "agent/campaign_internal.h"
#include "base/buf.h"
#include "base/jread.h"
#include "base/jwrite.h"
#include "base/util.h"
#include "memory/node.h"

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

void run_keep_step(struct run *run, store_done_fn done)
{
    struct step *s = &run->step;
    struct store_batch *batch = store_batch_new();
    put_candidate(batch, s->candidate);
    auto_buf struct buf text;
    buf_init(&text, STORE_VALUE_MAX);
    struct jwriter w = { &text, false };
    jwrite_open(&w, NULL, '{');
    jwrite_int(&w, "format", 1);
    jwrite_string(&w, "candidate", s->base);
    jwrite_int(&w, "parent", s->parent);
    jwrite_string(&w, "direction", s->direction);
    jwrite_string(&w, "strategy", s->strategy);
    jwrite_string(&w, "variant", s->variant);
    jwrite_string(&w, "title", s->title);
    if (s->choice) {
        choice_write(&w, "choice", s->choice);
    }
    jwrite_close(&w, '}');
    store_batch_put(batch, STORE_DB_CHOICES,
                    record_attempt_key(s->arena, run->campaign->id, run->task->name, s->seq),
                    text.at, text.len);
    store_submit(run->campaign->session->store, batch, done, run);
}

/* What the attempt taught the graph; the same increments go into the store. */
static int learn(struct run *run, struct htg_increments *ret, struct err *err)
{
    const struct step *s = &run->step;
    ret->n = 0;
    if (!s->choice) {
        return 0;
    }
    struct htg *htg = run->campaign->session->htg;
    bool known = s->strategy && htg_find_strategy(htg, s->strategy) >= 0;
    struct htg_observation o = {
        .context = s->choice->context,
        .source = s->choice->n_sources ? s->choice->sources[0] : NULL,
        .direction = s->direction,
        .strategy = known ? s->strategy : NULL,
        .task = run->task->name,
        .gain = s->gain,
        .failed = s->outcome == SELECT_OUTCOME_FAILED,
        .control = s->choice->control,
        .ablation = run->campaign->ablation,
    };
    return htg_observe(htg, &o, ret, err);
}

/* A candidate that won becomes a worked example of its strategy. */
static int keep_example(struct run *run, struct store_batch *batch, struct err *err)
{
    const struct step *s = &run->step;
    struct campaign *c = run->campaign;
    bool learns = c->ablation != SELECT_ABLATION_FROZEN && c->ablation != SELECT_ABLATION_NONE;
    if (!s->choice || s->outcome != SELECT_OUTCOME_GAINED || !learns
        || htg_find_strategy(c->session->htg, s->strategy) < 0) {
        return 0;
    }
    struct htg_example example = { .context = s->choice->context, .gain = s->gain };
    char hex[ID_HEX], context[CONTEXT_KEY_MAX];
    id_hex(&s->candidate->id, hex);
    snprintf(example.candidate, sizeof(example.candidate), "%s", hex);
    context_key(&example.context, CONTEXT_RUNG_EXACT, context);
    int r = htg_add_example(c->session->htg, s->strategy, &example, err);
    if (r < 0) {
        return r;
    }
    json_t *json = json_pack("{s:s, s:s, s:s, s:f}", "strategy", s->strategy, "candidate", hex,
                             "context", context, "gain", s->gain);
    auto_free char *text = json_canonical(json);
    json_decref(json);
    auto_free char *id = xprintf("%s.%.16s", s->strategy, hex);
    return node_put(batch, c->session->store, "example", id, text, err);
}

static char *extra_text(const struct run *run)
{
    const struct step *s = &run->step;
    struct buf text;
    buf_init(&text, STORE_VALUE_MAX);
    struct jwriter w = { &text, false };
    jwrite_open(&w, NULL, '{');
    jwrite_int(&w, "parent_seq", s->parent);
    jwrite_string(&w, "variant", s->variant);
    jwrite_string(&w, "title", s->title);
    jwrite_string(&w, "base", s->base);
    jwrite_int(&w, "tuned", (int64_t)s->tuned);
    if (s->tuning) {
        jwrite_json(&w, "tuning", s->tuning);
    }
    jwrite_close(&w, '}');
    return buf_take(&text);
}

int run_keep_score(struct run *run, store_done_fn done, struct err *err)
{
    struct step *s = &run->step;
    struct campaign *c = run->campaign;
    struct htg_increments increments;
    int r = learn(run, &increments, err);
    if (r < 0) {
        return r;
    }
    struct learned *learned = arena_alloc(s->arena, increments.n + 1, sizeof(*learned));
    for (size_t i = 0; i < increments.n; i++) {
        const struct htg_increment *x = &increments.at[i];
        learned[i] = (struct learned) { x->key, x->gain, x->failed };
    }
    char hex[ID_HEX];
    id_hex(&s->candidate->id, hex);
    const struct attempt *parent = NULL;
    for (size_t i = 0; i < run->n_attempts; i++) {
        parent = run->attempts[i].seq == s->parent ? &run->attempts[i] : parent;
    }
    char parent_hex[ID_HEX] = "";
    if (parent) {
        id_hex(&parent->id, parent_hex);
    }
    auto_free char *extra = extra_text(run);
    struct attempt_record record = {
        .campaign = c->id,
        .task = run->task->name,
        .seq = s->seq,
        .parent = parent_hex,
        .candidate = hex,
        .verdict = s->verdict_key,
        .direction = s->direction,
        .strategy = s->strategy,
        .status = verdict_status_name(s->verdict.status),
        .control = s->choice && s->choice->control,
        .modelled = s->verdict.modelled,
        .gain = s->gain,
        .time_us = s->verdict.time.median_us,
        .n_learned = increments.n,
        .learned = learned,
        .extra = extra,
    };
    struct store_batch *batch = store_batch_new();
    if (!str_eq(hex, s->base)) { /* tuned: as proposed it was kept with its choice */
        put_candidate(batch, s->candidate);
    }
    put_json(batch, STORE_DB_VERDICTS, s->verdict_key, verdict_json(&s->verdict));
    r = record_put_attempt(batch, &record, err);
    r = r < 0 ? r : keep_example(run, batch, err);
    if (r < 0) {
        store_batch_free(batch);
        return r;
    }
    store_submit(c->session->store, batch, done, run);
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

bool run_known_verdict(struct run *run)
{
    struct step *s = &run->step;
    struct verdict v;
    if (run->campaign->session->options->fresh
        || get_verdict(run, s->verdict_key, &v, NULL) < 0) {
        return false;
    }
    bool final = verdict_status_final(v.status);
    if (final) {
        s->verdict = v;
    }
    return final;
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
    struct attempt a = {
        .seq = record->seq,
        .parent = json_integer_value(json_object_get(extra, "parent_seq")),
        .direction = arena_strdup(run->arena, record->direction),
        .strategy = arena_strdup(run->arena, record->strategy),
        .variant = text_of(run, extra, "variant"),
        .title = text_of(run, extra, "title"),
        .gain = record->gain,
        .tuned = (size_t)json_integer_value(json_object_get(extra, "tuned")),
    };
    r = get_candidate(run, record->candidate, a.variant, &a.candidate, err);
    r = r < 0 ? r : get_verdict(run, record->verdict, &a.verdict, err);
    if (r == 0) {
        bool ran = a.verdict.status == VERDICT_STATUS_ACCEPTED;
        a.outcome = !ran              ? SELECT_OUTCOME_FAILED
            : a.gain >= HTG_WIN_GAIN  ? SELECT_OUTCOME_GAINED
                                      : SELECT_OUTCOME_SAME;
        run->device_s += a.verdict.device_s;
        run_add_attempt(run, &a);
    } else {
        candidate_free(a.candidate);
    }
    json_decref(extra);
    return r;
}

/* A step that was begun and not finished: its choice and candidate as they were kept. */
static int load_step(struct run *run, bool *ret_pending, struct err *err)
{
    struct step *s = &run->step;
    *s = (struct step) { .seq = (int64_t)run->n_attempts, .arena = arena_new() };
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
        s->parent = json_integer_value(json_object_get(json, "parent"));
        s->direction = text_of(run, json, "direction");
        s->strategy = text_of(run, json, "strategy");
        s->variant = text_of(run, json, "variant");
        s->title = text_of(run, json, "title");
        s->base = text_of(run, json, "candidate");
        r = get_candidate(run, s->base, s->variant, &s->candidate, err);
        const json_t *choice = json_object_get(json, "choice");
        r = r == 0 && choice ? choice_parse(choice, s->arena, &s->choice, err) : r;
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
