#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Memories between machines, as JSON lines: a header {"warpsmith_memory": 1, "origin", "version"},
 * one line for each statistic and each learned node, with the origin that saw it, and a last line
 * with the counts, so that a cut file is noticed.
 *
 * An import is one transaction. What an origin says replaces what the same origin said before, if
 * it is newer; a store's own memories are never changed by it. So importing a file twice, or going
 * in circles between machines, counts nothing twice.
 */
#include "base/buf.h"
#include "memory/store.h"

enum { EXCHANGE_FORMAT = 1, EXCHANGE_BYTES_MAX = 256 << 20 };

struct exchange_report {
    size_t stats, nodes;     /* written, or taken in */
    size_t skipped;          /* known already, older, or our own */
};

int memory_export(struct store *store, struct buf *out, struct exchange_report *ret,
                  struct err *err);
/* ERR_INVALID names the line; ERR_VERSION: a newer format. Nothing is changed on an error. */
int memory_import(struct store *store, const char *text, size_t len, struct exchange_report *ret,
                  struct err *err);

/* Learned nodes (strategies, transitions): opaque JSON by kind and id, kept in STORE_DB_NODES. */
struct node_item {
    const char *kind, *id, *origin;
    const char *json; /* as it was put */
};
int node_put(struct store_batch *batch, struct store *store, const char *kind, const char *id,
             const char *json, struct err *err);
int node_list(struct store *store, struct arena *arena, struct node_item **ret, size_t *ret_n,
              struct err *err);
