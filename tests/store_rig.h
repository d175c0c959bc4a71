#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * For tests of the store: a fresh folder, a loop, batches that are waited for, and this program run
 * again as a second process. store_rig_done proves that the loop closes with nothing left on it.
 */
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>
#include "base/arena.h"
#include "memory/store.h"

struct store_rig {
    char path[128]; /* a folder of its own; the store is in it */
    uv_loop_t loop;
    struct store *store;
    struct arena *arena;
    struct err err;
    int waiting, failed; /* batches in the air; those that came back with an error */
    int status;          /* of the last one */
    struct err last;
};

/* Opens a store on the rig's loop; `options` may be NULL. */
void store_rig_init(struct store_rig *rig, const struct store_options *options);
void store_rig_done(struct store_rig *rig);
/* Closes and opens again, with the same loop. */
void store_rig_reopen(struct store_rig *rig, const struct store_options *options);

void store_rig_submit(struct store_rig *rig, struct store_batch *batch);
/* Runs the loop until nothing is in the air; the last batch's status. */
int store_rig_wait(struct store_rig *rig);
int store_rig_commit(struct store_rig *rig, struct store_batch *batch);
int store_rig_put(struct store_rig *rig, enum store_db db, const char *key, const char *value);
/* NULL if it isn't there; the rig's err has the error. */
const char *store_rig_get(struct store_rig *rig, enum store_db db, const char *key);

/* Puts bytes under a key as they are, behind the store's back. The store must be closed. */
void store_rig_raw(const char *path, const char *db, const char *key, const void *at, size_t len);

/* This program again, with arguments MODE A B and a pipe from its stdout. */
pid_t store_rig_spawn(const char *mode, const char *a, const char *b, int *ret_out);
/* Its exit code, or -signal. */
int store_rig_reap(pid_t pid);
