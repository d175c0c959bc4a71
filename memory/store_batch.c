/* SPDX-License-Identifier: MIT */
#include "memory/store_batch.h"
#include "base/util.h"
#include "memory/store_impl.h"

#include <math.h>
#include <string.h>

/* Room is left for the origin before the key of an imported statistic. */
enum { STAT_KEY_MAX = STORE_KEY_MAX - STORE_ORIGIN };

struct store_batch *store_batch_new(void)
{
    struct arena *arena = arena_new();
    struct store_batch *batch = arena_alloc(arena, 1, sizeof(*batch));
    batch->arena = arena;
    return batch;
}

void store_batch_free(struct store_batch *batch)
{
    if (batch) {
        arena_free(batch->arena);
    }
}

bool store_batch_empty(const struct store_batch *batch)
{
    return !batch->first;
}

/* NULL after a mistake: the batch has failed, and more operations change nothing. */
static struct store_op *add(struct store_batch *batch, enum store_op_kind kind, enum store_db db,
                            const char *key, size_t key_max)
{
    if (batch->err.code) {
        return NULL;
    }
    size_t len = strlen(key);
    if (len == 0 || len > key_max) {
        err_set(&batch->err, len ? ERR_TOOBIG : ERR_INVALID,
                "%s: a key of %zu bytes (1 to %zu allowed): \"%.64s\"", store_db_name(db), len,
                key_max, key);
        return NULL;
    }
    struct store_op *op = arena_alloc(batch->arena, 1, sizeof(*op));
    op->kind = kind;
    op->db = db;
    op->key = arena_strdup(batch->arena, key);
    *(batch->last ? &batch->last->next : &batch->first) = op;
    batch->last = op;
    batch->bytes += sizeof(*op) + len;
    return op;
}

static void put(struct store_batch *batch, enum store_op_kind kind, enum store_db db,
                const char *key, const void *at, size_t len)
{
    if (len > STORE_VALUE_MAX && !batch->err.code) {
        err_set(&batch->err, ERR_TOOBIG, "%s/%s: a value of %zu bytes (at most %d)",
                store_db_name(db), key, len, STORE_VALUE_MAX);
    }
    struct store_op *op = add(batch, kind, db, key, STORE_KEY_MAX);
    if (!op) {
        return;
    }
    char *copy = arena_alloc(batch->arena, len + 1, 1);
    if (len) {
        memcpy(copy, at, len);
    }
    op->at = copy;
    op->len = len;
    batch->bytes += len;
}

void store_batch_put(struct store_batch *batch, enum store_db db, const char *key, const void *at,
                     size_t len)
{
    put(batch, STORE_OP_KIND_PUT, db, key, at, len);
}

void store_batch_put_new(struct store_batch *batch, enum store_db db, const char *key,
                         const void *at, size_t len)
{
    put(batch, STORE_OP_KIND_PUT_NEW, db, key, at, len);
}

void store_batch_put_once(struct store_batch *batch, enum store_db db, const char *key,
                          const void *at, size_t len)
{
    put(batch, STORE_OP_KIND_PUT_ONCE, db, key, at, len);
}

void store_batch_del(struct store_batch *batch, enum store_db db, const char *key)
{
    add(batch, STORE_OP_KIND_DEL, db, key, STORE_KEY_MAX);
}

void store_batch_stat_add(struct store_batch *batch, const char *key, double gain, bool failed)
{
    if (!isfinite(gain) && !batch->err.code) {
        err_set(&batch->err, ERR_INVALID, "stats/%s: the gain is %g", key, gain);
    }
    struct store_op *op = add(batch, STORE_OP_KIND_STAT_ADD, STORE_DB_STATS, key, STAT_KEY_MAX);
    if (op) {
        op->gain = gain;
        op->failed = failed;
    }
}

void store_batch_stat_import(struct store_batch *batch, const char *origin, const char *key,
                             const struct store_stat *stat)
{
    struct store_op *op = add(batch, STORE_OP_KIND_STAT_IMPORT, STORE_DB_STATS, key, STAT_KEY_MAX);
    if (op) {
        require(strlen(origin) < STORE_ORIGIN);
        op->imported_key = arena_printf(batch->arena, "%s|%s", origin, key);
        op->stat = *stat;
    }
}

void store_batch_counter_add(struct store_batch *batch, const char *key, int64_t delta)
{
    struct store_op *op =
        add(batch, STORE_OP_KIND_COUNTER_ADD, STORE_DB_COUNTERS, key, STORE_KEY_MAX);
    if (op) {
        op->delta = delta;
    }
}

void store_stat_observe(struct store_stat *stat, double gain, bool failed)
{
    stat->n++;
    stat->failures += failed;
    double delta = gain - stat->mean;
    stat->mean += delta / (double)stat->n;
    stat->m2 += delta * (gain - stat->mean);
}

void store_stat_merge(struct store_stat *stat, const struct store_stat *other)
{
    if (other->n == 0) {
        return;
    }
    double a = (double)stat->n, b = (double)other->n, delta = other->mean - stat->mean;
    stat->n += other->n;
    stat->failures += other->failures;
    stat->mean += delta * b / (a + b);
    stat->m2 += other->m2 + delta * delta * a * b / (a + b);
}

void store_stat_sub(struct store_stat *stat, const struct store_stat *other)
{
    if (other->n >= stat->n) {
        *stat = (struct store_stat){0};
        return;
    }
    double all = (double)stat->n, b = (double)other->n, a = all - b;
    double mean = (all * stat->mean - b * other->mean) / a;
    double delta = other->mean - mean;
    double m2 = stat->m2 - other->m2 - delta * delta * a * b / all;
    stat->n -= other->n;
    stat->failures -= MIN(other->failures, stat->failures);
    stat->mean = mean;
    stat->m2 = m2 > 0 ? m2 : 0;
}
