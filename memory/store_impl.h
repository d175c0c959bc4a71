#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Inside the store: shared by store.c (queue and flights), store_env.c (open, grow, errors),
 * store_read.c (views) and store_write.c (groups of batches); nobody else includes this, but for
 * views, which verify.c and exchange.c read a whole snapshot through.
 *
 * Threads: everything runs on the owner's thread but store_write_group, which may run on a pool
 * thread, one at a time. The map is resized only on the owner's thread, with no view open and no
 * group in the air.
 */
#include "base/id.h"
#include "memory/store.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

enum store_op_kind {
    STORE_OP_KIND_PUT,
    STORE_OP_KIND_PUT_NEW,
    STORE_OP_KIND_PUT_ONCE,
    STORE_OP_KIND_DEL,
    STORE_OP_KIND_STAT_ADD,
    STORE_OP_KIND_STAT_IMPORT,
    STORE_OP_KIND_COUNTER_ADD,
};

struct store_op {
    enum store_op_kind kind;
    enum store_db db;
    const char *key;
    const void *at;
    size_t len;
    double gain;
    bool failed;
    int64_t delta;
    const char *imported_key; /* STAT_IMPORT: ORIGIN|KEY */
    struct store_stat stat;
    struct store_op *next;
};

struct store_batch {
    struct arena *arena;
    struct store_op *first, *last;
    size_t bytes;
    struct err err; /* err.code != 0: failed, and skipped */
    store_done_fn done;
    void *user;
    struct store_batch *next;
};

enum { STORE_ORIGIN = 17, STORE_NO_DBI = -1 };

struct store {
    struct MDB_env *env;
    int64_t dbis[STORE_DB_COUNT]; /* STORE_NO_DBI: not in this (read-only) store */
    char *path;
    char origin[STORE_ORIGIN];
    struct store_options options;
    uint64_t seen;               /* last transaction that this process knows of */
    bool foreign;                /* another process wrote since store_changed was asked */
    bool full;                   /* the last commit found no room on the disk */
    int views, settling;         /* open views; depth of callbacks */
    uint64_t readers_checked_ns; /* the writing thread's */
    struct store_batch *queue, **queue_end;
    struct store_flight *flight;
};

/* store.c: waits for the pool thread without calling anybody. */
void store_await_flight(struct store *store);

/* store_env.c */
int store_env_open(struct store *store, struct err *err);
void store_env_close(struct store *store);
/* Doubles the map; ERR_FULL at the limit. */
int store_env_grow(struct store *store, struct err *err);
/* Takes over the size that another process gave the map. */
int store_env_adopt(struct store *store, struct err *err);
void store_env_check_readers(struct store *store);
uint64_t store_env_last_transaction(const struct store *store);
/* True if the disk has room for commits again. */
bool store_env_has_room(const struct store *store);
/* Maps an LMDB code or errno to ours, with a text that says what to do. */
int store_env_fail(const struct store *store, int mdb, struct err *err);

/* store_read.c: one snapshot. Records are copied out; only one view at a time. */
struct store_view {
    struct store *store;
    struct MDB_txn *txn;
};
int store_view_begin(struct store *store, struct store_view *ret, struct err *err);
void store_view_end(struct store_view *view);
int store_view_get(struct store_view *view, enum store_db db, const char *key, struct arena *arena,
                   const char **ret_at, size_t *ret_len, struct err *err);
/* Without unpacking. */
bool store_view_has(struct store_view *view, enum store_db db, const char *key);

struct store_cursor {
    struct store_view *view;
    enum store_db db;
    struct MDB_cursor *at; /* NULL: the database isn't there */
    const char *prefix, *after;
    bool moved;
};
int store_cursor_open(struct store_view *view, enum store_db db, const char *prefix,
                      const char *after, struct store_cursor *ret, struct err *err);
/* 1: *ret is the next record; 0: the end; negative: this record is damaged (ret->key is set, and
 * the next call goes on behind it), or the database is (ret->key is NULL: stop). */
int store_cursor_next(struct store_cursor *cursor, struct arena *arena, struct store_item *ret,
                      struct err *err);
void store_cursor_close(struct store_cursor *cursor);

/* store_write.c */
enum store_outcome {
    STORE_OUTCOME_DONE,   /* committed; batches that failed by themselves have their err set */
    STORE_OUTCOME_GROW,   /* nothing done: the map is full */
    STORE_OUTCOME_ADOPT,  /* nothing done: another process resized the map */
    STORE_OUTCOME_FAILED, /* nothing done, and no batch could be */
};
struct store_result {
    enum store_outcome outcome;
    uint64_t transaction; /* 0: nothing was written */
    struct err err;       /* FAILED */
};
void store_write_group(struct store *store, struct store_batch *group, struct store_result *ret);
int store_stat_decode(const void *at, size_t len, struct store_stat *ret);
