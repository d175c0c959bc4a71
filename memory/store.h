#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The store: everything that must survive, in one LMDB environment in a folder of its own. Keys are
 * strings of 1..511 bytes, values are bytes; each value is kept with a format byte and a checksum
 * bound to its key, compressed when long, so a damaged record is an error that names it.
 *
 * Reads happen on the owner's thread (the loop's), see all that was committed, and are copied into
 * the caller's arena; nothing points into the map afterwards. Writes are batches (store_batch.h),
 * all or nothing each, committed in groups on libuv's thread pool with full sync: when a batch's
 * callback says 0, it is on the disk. Several processes may have one store open; one process opens
 * it once, and not across a fork.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "memory/store_batch.h"

enum { STORE_FORMAT = 1 };

struct store;
struct uv_loop_s;

struct store_options {
    struct uv_loop_s *loop; /* NULL: batches wait for store_flush or store_commit */
    uint64_t map_size;      /* bytes of address space, not of disk; 0: 16 GiB */
    uint64_t map_most;      /* growth ends here; 0: 1 TiB */
    bool read_only;         /* the store must exist; every submit fails */
    bool any_filesystem;    /* don't refuse a network file system */
};

/*
 * Opens or makes the store in folder `path`. ERR_VERSION: written by a newer program; ERR_INVALID:
 * not a store, or damaged; ERR_NOTFOUND: read-only and not there; ERR_FULL; -EACCES, -EROFS;
 * ERR_UNSUPPORTED: a network file system, where LMDB's locks and map don't hold.
 */
int store_open(const char *path, const struct store_options *options, struct store **ret,
               struct err *err);

/* Commits what is queued, calls every waiter, frees. Not from a batch's callback. NULL is fine. */
void store_close(struct store *store);

const char *store_path(const struct store *store);
const char *store_db_name(enum store_db db);
/* 16 hex digits drawn when the store was made: the origin of its memories elsewhere. */
const char *store_origin(const struct store *store);

/* ERR_NOTFOUND, without touching `err`, if there is no such key. A NUL follows the bytes. */
int store_get(struct store *store, enum store_db db, const char *key, struct arena *arena,
              const void **ret_at, size_t *ret_len, struct err *err);

struct store_item {
    const char *key;
    const char *at; /* a NUL follows */
    size_t len;
};

/*
 * At most `most` records whose keys start with `prefix` ("" for all) and come after `after` (NULL:
 * from the first), in byte order of keys. Pass the last key to go on.
 */
int store_scan(struct store *store, enum store_db db, const char *prefix, const char *after,
               size_t most, struct arena *arena, struct store_item **ret, size_t *ret_n,
               struct err *err);

/* One statistic (zeros if absent), one counter (0 if absent). */
int store_stat(struct store *store, const char *key, struct store_stat *ret, struct err *err);
int store_counter(struct store *store, const char *key, int64_t *ret, struct err *err);
/* Reads a record of STATS or IMPORTED that a scan gave. */
int store_stat_read(const struct store_item *item, struct store_stat *ret, struct err *err);

/* Takes the batch. The callback comes from the loop (or flush, commit, close), never from here. */
void store_submit(struct store *store, struct store_batch *batch, store_done_fn done, void *user);
/* Waits until all that was submitted is settled, and calls the waiters. */
void store_flush(struct store *store);
/* Takes the batch, waits for its commit (and those before it). For programs without a loop. */
int store_commit(struct store *store, struct store_batch *batch, struct err *err);

/* True if another process has written since the store was opened or since the last call. */
bool store_changed(struct store *store);
/* True from a commit that found no room until there is some again: start no new work meanwhile. */
bool store_full(struct store *store);

struct store_facts {
    uint64_t map_bytes, used_bytes; /* address space; pages that hold data, or once held some */
    uint64_t last_transaction;
    uint64_t records[STORE_DB_COUNT];
};
int store_facts(struct store *store, struct store_facts *ret, struct err *err);
