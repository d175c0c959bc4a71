#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A batch of writes that takes effect whole or not at all. Keys and values are copied in. A mistake
 * (an empty or too long key, a value over the limit) sticks and fails the batch when it is
 * submitted, so many operations can be written in a row and checked once.
 *
 * store_batch_stat_add and _counter_add are increments: read and written inside the write
 * transaction, so that several campaigns and processes may share a store. Operations of one batch
 * take effect in order.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* Names are part of the format: append only. README.md says what each holds. */
#define STORE_DB_LIST(X)                                                                           \
    X(META, "meta") X(TASKS, "tasks") X(CANDIDATES, "candidates") X(VERDICTS, "verdicts")          \
    X(CAMPAIGNS, "campaigns") X(ATTEMPTS, "attempts") X(CHOICES, "choices") X(CALLS, "calls")      \
    X(STATS, "stats") X(IMPORTED, "imported") X(NODES, "nodes") X(TUNINGS, "tunings")              \
    X(DEVICES, "devices") X(COMPILED, "compiled") X(COUNTERS, "counters") X(PROMPTS, "prompts")

enum store_db {
#define X(name, text) STORE_DB_##name,
    STORE_DB_LIST(X)
#undef X
    STORE_DB_COUNT,
};

enum { STORE_KEY_MAX = 511, STORE_VALUE_MAX = 64 << 20 };

struct store_batch;

/* `err` is set if status < 0, and lives only for the call. */
typedef void (*store_done_fn)(void *user, int status, const struct err *err);

/* Count, mean and sum of squared deviations (Welford 1962) of gains; failures are among the n. */
struct store_stat {
    int64_t n, failures;
    double mean, m2;
};

struct store_batch *store_batch_new(void);
void store_batch_free(struct store_batch *batch); /* only if it was never submitted; NULL is fine */
bool store_batch_empty(const struct store_batch *batch);

void store_batch_put(struct store_batch *batch, enum store_db db, const char *key, const void *at,
                     size_t len);
/* Fails the batch with ERR_EXISTS if the key is there. */
void store_batch_put_new(struct store_batch *batch, enum store_db db, const char *key,
                         const void *at, size_t len);
/* Puts if the key isn't there, else leaves what is there. For content-addressed records. */
void store_batch_put_once(struct store_batch *batch, enum store_db db, const char *key,
                          const void *at, size_t len);
/* No error if the key isn't there. */
void store_batch_del(struct store_batch *batch, enum store_db db, const char *key);

/* One observation of statistic `key`: gain is ln(parent time / child time), or the fixed loss of a
 * failure. Not finite is a mistake. */
void store_batch_stat_add(struct store_batch *batch, const char *key, double gain, bool failed);
/* What store `origin` says of statistic `key`: replaces what the same origin said before, in the
 * totals and in STORE_DB_IMPORTED. */
void store_batch_stat_import(struct store_batch *batch, const char *origin, const char *key,
                             const struct store_stat *stat);
/* Overflow fails the batch. */
void store_batch_counter_add(struct store_batch *batch, const char *key, int64_t delta);

/* The arithmetic of statistics (Chan et al. 1979); `sub` undoes `merge`, within rounding. */
void store_stat_observe(struct store_stat *stat, double gain, bool failed);
void store_stat_merge(struct store_stat *stat, const struct store_stat *other);
void store_stat_sub(struct store_stat *stat, const struct store_stat *other);
