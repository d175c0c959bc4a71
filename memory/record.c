/* SPDX-License-Identifier: MIT */
#include "memory/record.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record_codec.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS_MAX = 4096, LEARNED_MAX = 256, SEQ_MAX = 999999, CALL_MAX = 99 };

static const struct field CAMPAIGN[] = {
    FIELD(campaign_record, id, TEXT, true),        FIELD(campaign_record, status, TEXT, true),
    FIELD(campaign_record, device, TEXT, false),   FIELD(campaign_record, llm, TEXT, false),
    FIELD(campaign_record, baseline, TEXT, false), FIELD(campaign_record, seed, INT, false),
    FIELD(campaign_record, steps, INT, false),     FIELD(campaign_record, started_s, INT, false),
    FIELD(campaign_record, ended_s, INT, false),   FIELD(campaign_record, error, TEXT, false),
    FIELD(campaign_record, extra, TEXT, false),
};

static const struct field ATTEMPT[] = {
    FIELD(attempt_record, campaign, TEXT, true),   FIELD(attempt_record, task, TEXT, true),
    FIELD(attempt_record, seq, INT, false),        FIELD(attempt_record, parent, TEXT, false),
    FIELD(attempt_record, candidate, TEXT, false), FIELD(attempt_record, verdict, TEXT, false),
    FIELD(attempt_record, direction, TEXT, false), FIELD(attempt_record, strategy, TEXT, false),
    FIELD(attempt_record, status, TEXT, true),     FIELD(attempt_record, control, BOOL, false),
    FIELD(attempt_record, modelled, BOOL, false),  FIELD(attempt_record, gain, REAL, false),
    FIELD(attempt_record, time_us, REAL, false),   FIELD(attempt_record, extra, TEXT, false),
};

static const struct field CALL[] = {
    FIELD(call_record, campaign, TEXT, true),      FIELD(call_record, task, TEXT, true),
    FIELD(call_record, seq, INT, false),           FIELD(call_record, attempt, INT, false),
    FIELD(call_record, state, TEXT, true),         FIELD(call_record, provider, TEXT, false),
    FIELD(call_record, model, TEXT, false),        FIELD(call_record, request, TEXT, false),
    FIELD(call_record, reply, TEXT, false),        FIELD(call_record, error, TEXT, false),
    FIELD(call_record, reserved_usd, REAL, false), FIELD(call_record, usd, REAL, false),
    FIELD(call_record, tokens_in, INT, false),     FIELD(call_record, tokens_cached, INT, false),
    FIELD(call_record, tokens_out, INT, false),    FIELD(call_record, extra, TEXT, false),
};

static const char *const CAMPAIGN_MORE[] = {"tasks"};
static const char *const ATTEMPT_MORE[] = {"learned"};
static const char *const CAMPAIGN_STATUS[] = {"running", "waiting", "done", "failed", "canceled"};
static const char *const CALL_STATE[] = {"intent", "answered", "failed"};

char *record_key(struct arena *arena, const char *const *parts, size_t n)
{
    auto_buf struct buf key;
    buf_init(&key, 1 << 16);
    for (size_t i = 0; i < n; i++) {
        buf_puts(&key, i ? "/" : "");
        for (const unsigned char *c = (const unsigned char *)parts[i]; *c; c++) {
            bool plain = *c > ' ' && *c != '/' && *c != '%' && *c != 0x7f;
            buf_printf(&key, plain ? "%c" : "%%%02X", *c);
        }
    }
    return arena_strndup(arena, key.len ? key.at : "", key.len);
}

char *record_attempt_key(struct arena *arena, const char *campaign, const char *task, int64_t seq)
{
    const char *parts[] = {campaign, task};
    return arena_printf(arena, "%s/%06lld", record_key(arena, parts, 2), (long long)seq);
}

char *record_call_key(struct arena *arena, const char *campaign, const char *task, int64_t seq,
                      int64_t attempt)
{
    return arena_printf(arena, "%s/%02lld", record_attempt_key(arena, campaign, task, seq),
                        (long long)attempt);
}

static int one_of(const char *name, const char *value, const char *const *known, size_t n,
                  struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(value, known[i])) {
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "%s: unknown \"%s\"", name, value);
}

static int in_range(const char *name, int64_t value, int64_t most, struct err *err)
{
    return value < 0 || value > most ? err_set(err, ERR_INVALID, "%s: %lld is outside 0..%lld",
                                               name, (long long)value, (long long)most)
                                     : 0;
}

static int is_id(const char *name, const char *hex, struct err *err)
{
    struct id id;
    return hex && *hex && !id_parse(hex, &id)
               ? err_set(err, ERR_INVALID, "%s: \"%s\" is not an id", name, hex)
               : 0;
}

/* The same checks on the way in and on the way out. */
static int check_campaign(const struct campaign_record *c, struct err *err)
{
    return one_of("status", c->status, CAMPAIGN_STATUS, ARRAY_LEN(CAMPAIGN_STATUS), err);
}

static int check_attempt(const struct attempt_record *a, struct err *err)
{
    int r = in_range("seq", a->seq, SEQ_MAX, err);
    r = r < 0 ? r : is_id("parent", a->parent, err);
    return r < 0 ? r : is_id("candidate", a->candidate, err);
}

static int check_call(const struct call_record *c, struct err *err)
{
    int r = in_range("seq", c->seq, SEQ_MAX, err);
    r = r < 0 ? r : in_range("attempt", c->attempt, CALL_MAX, err);
    return r < 0 ? r : one_of("state", c->state, CALL_STATE, ARRAY_LEN(CALL_STATE), err);
}

static void put_json(struct store_batch *batch, enum store_db db, const char *key, json_t *json,
                     bool fresh)
{
    auto_free char *text = json_canonical(json);
    (fresh ? store_batch_put_new : store_batch_put)(batch, db, key, text, strlen(text));
    json_decref(json);
}

int record_put_campaign(struct store_batch *batch, const struct campaign_record *record,
                        struct err *err)
{
    json_t *json;
    int r = record_encode(CAMPAIGN, ARRAY_LEN(CAMPAIGN), record, &json, err);
    if (r < 0) {
        return err_wrap(err, "campaign record"), r;
    }
    r = check_campaign(record, err);
    if (r == 0 && record->n_tasks > TASKS_MAX) {
        r = err_set(err, ERR_INVALID, "tasks: %zu of them, %d at most", record->n_tasks, TASKS_MAX);
    }
    if (r < 0) {
        json_decref(json);
        return err_wrap(err, "campaign record"), r;
    }
    json_t *tasks = json_array();
    for (size_t i = 0; i < record->n_tasks; i++) {
        json_array_append_new(tasks, record_text(record->tasks[i]));
    }
    json_object_set_new(json, "tasks", tasks);
    auto_arena struct arena *arena = arena_new();
    put_json(batch, STORE_DB_CAMPAIGNS, record_key(arena, &record->id, 1), json, false);
    return 0;
}

static int learned_json(const struct attempt_record *record, json_t **ret, struct err *err)
{
    if (record->n_learned > LEARNED_MAX) {
        return err_set(err, ERR_INVALID, "learned: %zu of them, %d at most", record->n_learned,
                       LEARNED_MAX);
    }
    json_t *list = json_array();
    for (size_t i = 0; i < record->n_learned; i++) {
        const struct learned *l = &record->learned[i];
        json_t *one = json_pack("[o,f,b]", record_text(l->key), l->gain, l->failed);
        if (!one) {
            json_decref(list);
            return err_set(err, ERR_INVALID, "learned[%zu]: a gain of %g", i, l->gain);
        }
        json_array_append_new(list, one);
    }
    *ret = list;
    return 0;
}

int record_put_attempt(struct store_batch *batch, const struct attempt_record *record,
                       struct err *err)
{
    json_t *json, *learned = NULL;
    int r = record_encode(ATTEMPT, ARRAY_LEN(ATTEMPT), record, &json, err);
    if (r < 0) {
        return err_wrap(err, "attempt record"), r;
    }
    r = check_attempt(record, err);
    r = r < 0 ? r : learned_json(record, &learned, err);
    if (r < 0) {
        json_decref(json);
        return err_wrap(err, "attempt record"), r;
    }
    json_object_set_new(json, "learned", learned);
    auto_arena struct arena *arena = arena_new();
    put_json(batch, STORE_DB_ATTEMPTS,
             record_attempt_key(arena, record->campaign, record->task, record->seq), json, true);
    for (size_t i = 0; i < record->n_learned; i++) {
        const struct learned *l = &record->learned[i];
        store_batch_stat_add(batch, l->key, l->gain, l->failed);
    }
    return 0;
}

int record_put_call(struct store_batch *batch, const struct call_record *record, struct err *err)
{
    json_t *json;
    int r = record_encode(CALL, ARRAY_LEN(CALL), record, &json, err);
    if (r == 0 && (r = check_call(record, err)) < 0) {
        json_decref(json);
    }
    if (r < 0) {
        return err_wrap(err, "call record"), r;
    }
    auto_arena struct arena *arena = arena_new();
    put_json(batch, STORE_DB_CALLS,
             record_call_key(arena, record->campaign, record->task, record->seq, record->attempt),
             json, false);
    return 0;
}

int record_read_campaign(const struct store_item *item, struct arena *arena,
                         struct campaign_record *ret, struct err *err)
{
    struct campaign_record c = {0};
    json_auto_t *json = NULL;
    const json_t *tasks = NULL;
    int r = record_open(item->at, item->len, CAMPAIGN, ARRAY_LEN(CAMPAIGN), CAMPAIGN_MORE, 1, &json,
                        err);
    r = r < 0 ? r : record_decode(json, CAMPAIGN, ARRAY_LEN(CAMPAIGN), arena, &c, err);
    r = r < 0 ? r : check_campaign(&c, err);
    r = r < 0 ? r : jread_array(json, "tasks", true, TASKS_MAX, NULL, &tasks, err);
    if (r == 0) {
        c.n_tasks = json_array_size(tasks);
        const char **names = arena_alloc(arena, c.n_tasks, sizeof(*names));
        for (size_t i = 0; i < c.n_tasks && r == 0; i++) {
            const char *name = json_string_value(json_array_get(tasks, i));
            r = name ? 0 : err_set(err, ERR_INVALID, "tasks[%zu]: not a string", i);
            names[i] = arena_strdup(arena, name ? name : "");
        }
        c.tasks = names;
    }
    if (r < 0) {
        return err_wrap(err, "campaigns/%s", item->key), r;
    }
    *ret = c;
    return 0;
}

static int read_learned(const json_t *json, struct arena *arena, struct attempt_record *a,
                        struct err *err)
{
    const json_t *list;
    int r = jread_array(json, "learned", true, LEARNED_MAX, NULL, &list, err);
    if (r < 0) {
        return r;
    }
    a->n_learned = json_array_size(list);
    struct learned *learned = arena_alloc(arena, a->n_learned, sizeof(*learned));
    for (size_t i = 0; i < a->n_learned; i++) {
        const json_t *one = json_array_get(list, i);
        const char *key = json_string_value(json_array_get(one, 0));
        const json_t *gain = json_array_get(one, 1), *failed = json_array_get(one, 2);
        if (!key || !json_is_number(gain) || !json_is_boolean(failed)) {
            return err_set(err, ERR_INVALID, "learned[%zu]: not [key, gain, failed]", i);
        }
        learned[i] = (struct learned){arena_strdup(arena, key), json_number_value(gain),
                                      json_is_true(failed)};
    }
    a->learned = learned;
    return 0;
}

int record_read_attempt(const struct store_item *item, struct arena *arena,
                        struct attempt_record *ret, struct err *err)
{
    struct attempt_record a = {0};
    json_auto_t *json = NULL;
    int r =
        record_open(item->at, item->len, ATTEMPT, ARRAY_LEN(ATTEMPT), ATTEMPT_MORE, 1, &json, err);
    r = r < 0 ? r : record_decode(json, ATTEMPT, ARRAY_LEN(ATTEMPT), arena, &a, err);
    r = r < 0 ? r : check_attempt(&a, err);
    r = r < 0 ? r : read_learned(json, arena, &a, err);
    if (r < 0) {
        return err_wrap(err, "attempts/%s", item->key), r;
    }
    *ret = a;
    return 0;
}

int record_read_call(const struct store_item *item, struct arena *arena, struct call_record *ret,
                     struct err *err)
{
    struct call_record c = {0};
    json_auto_t *json = NULL;
    int r = record_open(item->at, item->len, CALL, ARRAY_LEN(CALL), NULL, 0, &json, err);
    r = r < 0 ? r : record_decode(json, CALL, ARRAY_LEN(CALL), arena, &c, err);
    r = r < 0 ? r : check_call(&c, err);
    if (r < 0) {
        return err_wrap(err, "calls/%s", item->key), r;
    }
    *ret = c;
    return 0;
}
