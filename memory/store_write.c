/* SPDX-License-Identifier: MIT */
#include "base/util.h"
#include "memory/store_impl.h"
#include "memory/store_pack.h"

#include <lmdb.h>
#include <string.h>

#define READERS_CHECK_NS (3600 * (uint64_t)1000000000)

/* One write transaction. */
struct writer {
    struct store *store;
    MDB_txn *txn;
    struct store_packer *packer;
    struct buf packed;
    bool wrote;
};

/* What op_apply returns besides LMDB's codes: the batch alone has failed, and says why. */
enum { BATCH_FAILED = -1 };

static int fail(struct store_batch *batch, int code, const struct store_op *op, const char *why)
{
    err_set(&batch->err, code, "%s/%s: %s", store_db_name(op->db), op->key, why);
    return BATCH_FAILED;
}

static int put(struct writer *w, struct store_batch *batch, enum store_db db, const char *key,
               const void *at, size_t len, unsigned flags)
{
    int r = store_pack(w->packer, db, key, at, len, &w->packed);
    if (r < 0) {
        err_set(&batch->err, r, "%s/%s: %s", store_db_name(db), key, err_name(r));
        return BATCH_FAILED;
    }
    MDB_val k = {strlen(key), (void *)(uintptr_t)key};
    MDB_val v = {w->packed.len, w->packed.at};
    r = mdb_put(w->txn, (MDB_dbi)w->store->dbis[db], &k, &v, flags);
    w->wrote |= r == 0;
    return r;
}

/* Reads a small fixed record for update: 0, MDB_NOTFOUND, BATCH_FAILED or another LMDB code. */
static int get(struct writer *w, struct store_batch *batch, enum store_db db, const char *key,
               struct arena *arena, const char **ret, size_t *ret_len)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v;
    int r = mdb_get(w->txn, (MDB_dbi)w->store->dbis[db], &k, &v);
    if (r) {
        return r;
    }
    return store_unpack(db, key, v.mv_data, v.mv_size, arena, ret, ret_len, &batch->err) < 0
               ? BATCH_FAILED
               : 0;
}

static int get_stat(struct writer *w, struct store_batch *batch, enum store_db db, const char *key,
                    struct store_stat *ret)
{
    auto_arena struct arena *arena = arena_new();
    const char *at;
    size_t len;
    *ret = (struct store_stat){0};
    int r = get(w, batch, db, key, arena, &at, &len);
    if (r) {
        return r == MDB_NOTFOUND ? 0 : r;
    }
    if (store_stat_decode(at, len, ret) < 0) {
        err_set(&batch->err, ERR_INVALID, "%s/%s: not a statistic", store_db_name(db), key);
        return BATCH_FAILED;
    }
    return 0;
}

static int stat_add(struct writer *w, struct store_batch *batch, const struct store_op *op)
{
    struct store_stat stat;
    int r = get_stat(w, batch, op->db, op->key, &stat);
    if (r) {
        return r;
    }
    store_stat_observe(&stat, op->gain, op->failed);
    if (store_stat_decode(&stat, sizeof(stat), &stat) < 0) {
        return fail(batch, ERR_INVALID, op, "the statistic would overflow");
    }
    return put(w, batch, op->db, op->key, &stat, sizeof(stat), 0);
}

static int stat_import(struct writer *w, struct store_batch *batch, const struct store_op *op)
{
    struct store_stat all, before;
    int r = get_stat(w, batch, STORE_DB_STATS, op->key, &all);
    r = r ? r : get_stat(w, batch, STORE_DB_IMPORTED, op->imported_key, &before);
    if (r) {
        return r;
    }
    if (op->stat.n <= before.n) {
        return 0; /* what an origin says only grows */
    }
    store_stat_sub(&all, &before);
    store_stat_merge(&all, &op->stat);
    if (store_stat_decode(&all, sizeof(all), &all) < 0 ||
        store_stat_decode(&op->stat, sizeof(op->stat), &before) < 0) {
        return fail(batch, ERR_INVALID, op, "an impossible statistic");
    }
    r = put(w, batch, STORE_DB_STATS, op->key, &all, sizeof(all), 0);
    return r ? r
             : put(w, batch, STORE_DB_IMPORTED, op->imported_key, &op->stat, sizeof(op->stat), 0);
}

static int counter_add(struct writer *w, struct store_batch *batch, const struct store_op *op)
{
    auto_arena struct arena *arena = arena_new();
    const char *at;
    size_t len;
    int64_t value = 0;
    int r = get(w, batch, op->db, op->key, arena, &at, &len);
    if (r && r != MDB_NOTFOUND) {
        return r;
    }
    if (r == 0) {
        if (len != sizeof(value)) {
            return fail(batch, ERR_INVALID, op, "not a counter");
        }
        memcpy(&value, at, sizeof(value));
    }
    if (__builtin_add_overflow(value, op->delta, &value)) {
        return fail(batch, ERR_TOOBIG, op, "the counter would overflow");
    }
    return put(w, batch, op->db, op->key, &value, sizeof(value), 0);
}

static int del(struct writer *w, const struct store_op *op)
{
    MDB_val key = {strlen(op->key), (void *)(uintptr_t)op->key};
    int r = mdb_del(w->txn, (MDB_dbi)w->store->dbis[op->db], &key, NULL);
    w->wrote |= r == 0;
    return r == MDB_NOTFOUND ? 0 : r;
}

static int apply(struct writer *w, struct store_batch *batch, const struct store_op *op)
{
    int r;
    switch (op->kind) {
    case STORE_OP_KIND_PUT:
        return put(w, batch, op->db, op->key, op->at, op->len, 0);
    case STORE_OP_KIND_PUT_NEW:
        r = put(w, batch, op->db, op->key, op->at, op->len, MDB_NOOVERWRITE);
        return r == MDB_KEYEXIST ? fail(batch, ERR_EXISTS, op, "exists already") : r;
    case STORE_OP_KIND_PUT_ONCE:
        r = put(w, batch, op->db, op->key, op->at, op->len, MDB_NOOVERWRITE);
        return r == MDB_KEYEXIST ? 0 : r;
    case STORE_OP_KIND_DEL:
        return del(w, op);
    case STORE_OP_KIND_STAT_ADD:
        return stat_add(w, batch, op);
    case STORE_OP_KIND_STAT_IMPORT:
        return stat_import(w, batch, op);
    case STORE_OP_KIND_COUNTER_ADD:
        return counter_add(w, batch, op);
    }
    return BATCH_FAILED;
}

/* Every batch that hasn't failed; stops at the first code that isn't 0. */
static int apply_all(struct writer *w, struct store_batch *group)
{
    for (struct store_batch *batch = group; batch; batch = batch->next) {
        for (const struct store_op *op = batch->first; op && !batch->err.code; op = op->next) {
            int r = apply(w, batch, op);
            if (r) {
                return r;
            }
        }
    }
    return 0;
}

static bool any_left(const struct store_batch *group)
{
    while (group && group->err.code) {
        group = group->next;
    }
    return group;
}

/* One try at the whole group: an LMDB code, or BATCH_FAILED: one batch is out, try again. */
static int write_once(struct writer *w, struct store_batch *group, uint64_t *ret_transaction)
{
    if (!any_left(group)) {
        return 0;
    }
    int r = mdb_txn_begin(w->store->env, NULL, 0, &w->txn);
    if (r) {
        return r;
    }
    w->wrote = false;
    r = apply_all(w, group);
    if (r) {
        mdb_txn_abort(w->txn);
        return r;
    }
    uint64_t transaction = mdb_txn_id(w->txn);
    r = mdb_txn_commit(w->txn);
    if (r == 0 && w->wrote) {
        *ret_transaction = transaction;
    }
    return r;
}

void store_write_group(struct store *store, struct store_batch *group, struct store_result *ret)
{
    struct writer w = {.store = store, .packer = store_packer_new()};
    buf_init(&w.packed, STORE_VALUE_MAX + 4096);
    *ret = (struct store_result){.outcome = STORE_OUTCOME_DONE};
    if (clock_ns() - store->readers_checked_ns > READERS_CHECK_NS) {
        store_env_check_readers(store);
        store->readers_checked_ns = clock_ns();
    }
    int r;
    do {
        r = write_once(&w, group, &ret->transaction);
    } while (r == BATCH_FAILED);
    buf_done(&w.packed);
    store_packer_free(w.packer);
    if (r == MDB_MAP_FULL) {
        ret->outcome = STORE_OUTCOME_GROW;
    } else if (r == MDB_MAP_RESIZED) {
        ret->outcome = STORE_OUTCOME_ADOPT;
    } else if (r) {
        ret->outcome = STORE_OUTCOME_FAILED;
        store_env_fail(store, r, &ret->err);
    }
}
