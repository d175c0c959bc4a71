/* SPDX-License-Identifier: MIT */
/* Records by key and in lists, and candidates, whose source is kept as bytes behind their JSON. */
#include "base/buf.h"
#include "base/id.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record.h"
#include "memory/record_codec.h"

#include <stdlib.h>
#include <string.h>

static const struct field CANDIDATE[] = {
    FIELD(candidate_record, id, TEXT, true),
    FIELD(candidate_record, plan, TEXT, true),
    FIELD(candidate_record, name, TEXT, false),
    FIELD(candidate_record, extra, TEXT, false),
};

static int find(struct store *store, enum store_db db, char *key, struct arena *arena,
                struct store_item *ret, struct err *err)
{
    const void *at;
    size_t len;
    int r = store_get(store, db, key, arena, &at, &len, err);
    if (r == ERR_NOTFOUND) {
        return err_set(err, r, "%s/%s: not in the store", store_db_name(db), key);
    }
    if (r == 0) {
        *ret = (struct store_item){key, at, len};
    }
    return r;
}

int record_get_campaign(struct store *store, const char *id, struct arena *arena,
                        struct campaign_record *ret, struct err *err)
{
    struct store_item item;
    int r = find(store, STORE_DB_CAMPAIGNS, record_key(arena, &id, 1), arena, &item, err);
    return r < 0 ? r : record_read_campaign(&item, arena, ret, err);
}

int record_get_attempt(struct store *store, const char *campaign, const char *task, int64_t seq,
                       struct arena *arena, struct attempt_record *ret, struct err *err)
{
    struct store_item item;
    int r = find(store, STORE_DB_ATTEMPTS, record_attempt_key(arena, campaign, task, seq), arena,
                 &item, err);
    return r < 0 ? r : record_read_attempt(&item, arena, ret, err);
}

int record_get_call(struct store *store, const char *campaign, const char *task, int64_t seq,
                    int64_t attempt, struct arena *arena, struct call_record *ret, struct err *err)
{
    struct store_item item;
    int r = find(store, STORE_DB_CALLS, record_call_key(arena, campaign, task, seq, attempt), arena,
                 &item, err);
    return r < 0 ? r : record_read_call(&item, arena, ret, err);
}

int record_put_candidate(struct store_batch *batch, const struct candidate_record *record,
                         struct err *err)
{
    struct id id;
    if (!record->id || !id_parse(record->id, &id)) {
        return err_set(err, ERR_INVALID, "candidate record: id: \"%s\" is not an id",
                       record->id ? record->id : "");
    }
    json_t *json;
    int r = record_encode(CANDIDATE, ARRAY_LEN(CANDIDATE), record, &json, err);
    if (r < 0) {
        return err_wrap(err, "candidate record"), r;
    }
    auto_free char *head = json_canonical(json);
    json_decref(json);
    auto_buf struct buf value;
    buf_init(&value, STORE_VALUE_MAX);
    buf_puts(&value, head);
    buf_puts(&value, "\n");
    buf_puts(&value, record->source ? record->source : "");
    if (value.failed) {
        return err_set(err, value.failed, "candidate record: larger than %d bytes",
                       STORE_VALUE_MAX);
    }
    store_batch_put_once(batch, STORE_DB_CANDIDATES, record->id, value.at, value.len);
    return 0;
}

int record_read_candidate(const struct store_item *item, struct arena *arena,
                          struct candidate_record *ret, struct err *err)
{
    struct candidate_record c = {0};
    json_auto_t *json = NULL;
    const char *end = memchr(item->at, '\n', item->len);
    int r = end ? 0 : err_set(err, ERR_INVALID, "no source behind the plan");
    r = r < 0 ? r
              : record_open(item->at, (size_t)(end - item->at), CANDIDATE, ARRAY_LEN(CANDIDATE),
                            NULL, 0, &json, err);
    r = r < 0 ? r : record_decode(json, CANDIDATE, ARRAY_LEN(CANDIDATE), arena, &c, err);
    if (r == 0 && !str_eq(c.id, item->key)) {
        r = err_set(err, ERR_INVALID, "it says that it is %s", c.id);
    }
    if (r < 0) {
        return err_wrap(err, "candidates/%s", item->key), r;
    }
    c.source = arena_strndup(arena, end + 1, item->len - (size_t)(end + 1 - item->at));
    *ret = c;
    return 0;
}

int record_get_candidate(struct store *store, const char *id, struct arena *arena,
                         struct candidate_record *ret, struct err *err)
{
    struct store_item item;
    int r = find(store, STORE_DB_CANDIDATES, arena_strdup(arena, id), arena, &item, err);
    return r < 0 ? r : record_read_candidate(&item, arena, ret, err);
}

/* All items below CAMPAIGN/ or CAMPAIGN/TASK/. */
static int scan_below(struct store *store, enum store_db db, const char *campaign, const char *task,
                      struct arena *arena, struct store_item **ret, size_t *ret_n, struct err *err)
{
    const char *parts[] = {campaign, task};
    char *prefix = arena_printf(arena, "%s/", record_key(arena, parts, task ? 2 : 1));
    return store_scan(store, db, prefix, NULL, SIZE_MAX, arena, ret, ret_n, err);
}

int record_list_campaigns(struct store *store, struct arena *arena, struct campaign_record **ret,
                          size_t *ret_n, struct err *err)
{
    struct store_item *items;
    size_t n;
    int r = store_scan(store, STORE_DB_CAMPAIGNS, "", NULL, SIZE_MAX, arena, &items, &n, err);
    if (r < 0) {
        return r;
    }
    struct campaign_record *list = arena_alloc(arena, n, sizeof(*list));
    for (size_t i = 0; i < n && r == 0; i++) {
        r = record_read_campaign(&items[i], arena, &list[i], err);
    }
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}

int record_list_attempts(struct store *store, const char *campaign, const char *task,
                         struct arena *arena, struct attempt_record **ret, size_t *ret_n,
                         struct err *err)
{
    struct store_item *items;
    size_t n;
    int r = scan_below(store, STORE_DB_ATTEMPTS, campaign, task, arena, &items, &n, err);
    if (r < 0) {
        return r;
    }
    struct attempt_record *list = arena_alloc(arena, n, sizeof(*list));
    for (size_t i = 0; i < n && r == 0; i++) {
        r = record_read_attempt(&items[i], arena, &list[i], err);
    }
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}

int record_list_calls(struct store *store, const char *campaign, const char *task,
                      struct arena *arena, struct call_record **ret, size_t *ret_n, struct err *err)
{
    struct store_item *items;
    size_t n;
    int r = scan_below(store, STORE_DB_CALLS, campaign, task, arena, &items, &n, err);
    if (r < 0) {
        return r;
    }
    struct call_record *list = arena_alloc(arena, n, sizeof(*list));
    for (size_t i = 0; i < n && r == 0; i++) {
        r = record_read_call(&items[i], arena, &list[i], err);
    }
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}
