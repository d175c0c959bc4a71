#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Nodes of the graph that were learned here or came from another store: a strategy that a model
 * named, a state that changed ("promoted"), a transition. What a node says is the agent's JSON; the
 * store keeps whose it is (origin) and its revision, so that exchange can tell newer from older.
 */
#include "memory/store.h"

struct node_record {
    const char *kind, *id; /* "strategy", "vector-loads" */
    const char *origin;    /* the store that says so */
    int64_t revision;
    const char *json;
};

/* Ours from now on, whoever's it was. ERR_INVALID: `json` isn't JSON. */
int node_put(struct store_batch *batch, struct store *store, const char *kind, const char *id,
             const char *json, struct err *err);
/* All of a kind, or all (NULL); strings in the arena. */
int node_list(struct store *store, const char *kind, struct arena *arena, struct node_record **ret,
              size_t *ret_n, struct err *err);

/* As it lies in STORE_DB_NODES; for exchange. */
int node_read(const struct store_item *item, struct arena *arena, struct node_record *ret,
              struct err *err);
int node_write(struct store_batch *batch, const struct node_record *node, struct err *err);
