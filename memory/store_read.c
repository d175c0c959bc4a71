/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "memory/store_impl.h"
#include "memory/store_pack.h"

#include <lmdb.h>
#include <math.h>
#include <string.h>

int store_view_begin(struct store *store, struct store_view *ret, struct err *err)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (r == MDB_READERS_FULL) {
        store_env_check_readers(store);
        r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    }
    for (int i = 0; r == MDB_MAP_RESIZED && i < 3; i++) {
        store_await_flight(store); /* no write transaction may be open while the map moves */
        int adopted = store_env_adopt(store, err);
        if (adopted < 0) {
            return adopted;
        }
        r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    }
    if (r) {
        return store_env_fail(store, r, err);
    }
    store->views++;
    *ret = (struct store_view){store, txn};
    return 0;
}

void store_view_end(struct store_view *view)
{
    mdb_txn_abort(view->txn);
    view->txn = NULL;
    view->store->views--;
}

/* An LMDB code: MDB_NOTFOUND also for a key that no record can have. */
static int raw_get(struct store_view *view, enum store_db db, const char *key, MDB_val *ret)
{
    int64_t dbi = view->store->dbis[db];
    size_t len = strlen(key);
    if (dbi == STORE_NO_DBI || len == 0 || len > STORE_KEY_MAX) {
        return MDB_NOTFOUND;
    }
    MDB_val k = {len, (void *)(uintptr_t)key};
    return mdb_get(view->txn, (MDB_dbi)dbi, &k, ret);
}

int store_view_get(struct store_view *view, enum store_db db, const char *key, struct arena *arena,
                   const char **ret_at, size_t *ret_len, struct err *err)
{
    MDB_val value;
    int r = raw_get(view, db, key, &value);
    if (r == MDB_NOTFOUND) {
        return ERR_NOTFOUND;
    }
    if (r) {
        return store_env_fail(view->store, r, err);
    }
    return store_unpack(db, key, value.mv_data, value.mv_size, arena, ret_at, ret_len, err);
}

bool store_view_has(struct store_view *view, enum store_db db, const char *key)
{
    MDB_val value;
    return raw_get(view, db, key, &value) == 0;
}

int store_cursor_open(struct store_view *view, enum store_db db, const char *prefix,
                      const char *after, struct store_cursor *ret, struct err *err)
{
    *ret = (struct store_cursor){.view = view, .db = db, .prefix = prefix, .after = after};
    int64_t dbi = view->store->dbis[db];
    if (dbi == STORE_NO_DBI) {
        return 0;
    }
    int r = mdb_cursor_open(view->txn, (MDB_dbi)dbi, &ret->at);
    return r ? store_env_fail(view->store, r, err) : 0;
}

/* To the first record at or behind the start, or behind where the cursor stands. */
static int step(struct store_cursor *cursor, MDB_val *key, MDB_val *value)
{
    if (cursor->moved) {
        return mdb_cursor_get(cursor->at, key, value, MDB_NEXT);
    }
    cursor->moved = true;
    const char *after = cursor->after;
    const char *from = after && strcmp(after, cursor->prefix) >= 0 ? after : cursor->prefix;
    if (!*from) {
        return mdb_cursor_get(cursor->at, key, value, MDB_FIRST);
    }
    *key = (MDB_val){strlen(from), (void *)(uintptr_t)from};
    int r = mdb_cursor_get(cursor->at, key, value, MDB_SET_RANGE);
    bool same = r == 0 && from == after && key->mv_size == strlen(after) &&
                memcmp(key->mv_data, after, key->mv_size) == 0;
    return same ? mdb_cursor_get(cursor->at, key, value, MDB_NEXT) : r;
}

int store_cursor_next(struct store_cursor *cursor, struct arena *arena, struct store_item *ret,
                      struct err *err)
{
    MDB_val key, value;
    *ret = (struct store_item){0};
    int r = cursor->at ? step(cursor, &key, &value) : MDB_NOTFOUND;
    if (r == MDB_NOTFOUND) {
        return 0;
    }
    if (r) {
        return store_env_fail(cursor->view->store, r, err);
    }
    size_t n = strlen(cursor->prefix);
    if (key.mv_size < n || memcmp(key.mv_data, cursor->prefix, n) != 0) {
        return 0;
    }
    ret->key = arena_strndup(arena, key.mv_data, key.mv_size);
    r = store_unpack(cursor->db, ret->key, value.mv_data, value.mv_size, arena, &ret->at, &ret->len,
                     err);
    return r < 0 ? r : 1;
}

void store_cursor_close(struct store_cursor *cursor)
{
    if (cursor->at) {
        mdb_cursor_close(cursor->at);
        cursor->at = NULL;
    }
}

int store_get(struct store *store, enum store_db db, const char *key, struct arena *arena,
              const void **ret_at, size_t *ret_len, struct err *err)
{
    struct store_view view;
    int r = store_view_begin(store, &view, err);
    if (r < 0) {
        return r;
    }
    const char *at = NULL;
    r = store_view_get(&view, db, key, arena, &at, ret_len, err);
    store_view_end(&view);
    if (r == 0) {
        *ret_at = at;
    }
    return r;
}

int store_scan(struct store *store, enum store_db db, const char *prefix, const char *after,
               size_t most, struct arena *arena, struct store_item **ret, size_t *ret_n,
               struct err *err)
{
    struct store_view view;
    struct store_cursor cursor;
    int r = store_view_begin(store, &view, err);
    if (r < 0) {
        return r;
    }
    size_t n = 0, room = MIN(most, (size_t)64);
    struct store_item *items = arena_alloc(arena, room, sizeof(*items));
    r = store_cursor_open(&view, db, prefix, after, &cursor, err);
    while (r >= 0 && n < most) {
        struct store_item item;
        r = store_cursor_next(&cursor, arena, &item, err);
        if (r <= 0) {
            break;
        }
        if (n == room) {
            struct store_item *more = arena_alloc(arena, 2 * room, sizeof(*items));
            memcpy(more, items, n * sizeof(*items));
            items = more;
            room *= 2;
        }
        items[n++] = item;
    }
    store_cursor_close(&cursor);
    store_view_end(&view);
    if (r < 0) {
        return r;
    }
    *ret = items;
    *ret_n = n;
    return 0;
}

int store_stat_decode(const void *at, size_t len, struct store_stat *ret)
{
    struct store_stat stat;
    if (len != sizeof(stat)) {
        return ERR_INVALID;
    }
    memcpy(&stat, at, sizeof(stat));
    if (!isfinite(stat.mean) || !isfinite(stat.m2) || stat.m2 < 0 || stat.n < 0 ||
        stat.failures < 0 || stat.failures > stat.n) {
        return ERR_INVALID;
    }
    *ret = stat;
    return 0;
}

int store_stat_read(const struct store_item *item, struct store_stat *ret, struct err *err)
{
    int r = store_stat_decode(item->at, item->len, ret);
    return r < 0 ? err_set(err, r, "stats/%s: not a statistic", item->key) : 0;
}

int store_stat(struct store *store, const char *key, struct store_stat *ret, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct store_item item = {.key = key};
    const void *at = NULL;
    int r = store_get(store, STORE_DB_STATS, key, arena, &at, &item.len, err);
    if (r == ERR_NOTFOUND) {
        *ret = (struct store_stat){0};
        return 0;
    }
    item.at = at;
    return r < 0 ? r : store_stat_read(&item, ret, err);
}

int store_counter(struct store *store, const char *key, int64_t *ret, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    const void *at = NULL;
    size_t len = 0;
    int r = store_get(store, STORE_DB_COUNTERS, key, arena, &at, &len, err);
    if (r == 0 && len != sizeof(*ret)) {
        return err_set(err, ERR_INVALID, "counters/%s: not a counter", key);
    }
    if (r == 0) {
        memcpy(ret, at, sizeof(*ret));
    } else if (r == ERR_NOTFOUND) {
        *ret = 0;
        r = 0;
    }
    return r;
}

int store_facts(struct store *store, struct store_facts *ret, struct err *err)
{
    struct store_view view;
    int r = store_view_begin(store, &view, err);
    if (r < 0) {
        return r;
    }
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    struct store_facts facts = {
        .map_bytes = info.me_mapsize,
        .used_bytes = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize,
        .last_transaction = info.me_last_txnid,
    };
    for (int db = 0; db < STORE_DB_COUNT; db++) {
        if (store->dbis[db] != STORE_NO_DBI &&
            mdb_stat(view.txn, (MDB_dbi)store->dbis[db], &stat) == 0) {
            facts.records[db] = stat.ms_entries;
        }
    }
    store_view_end(&view);
    *ret = facts;
    return 0;
}
