#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Statistics by key, in memory: for counting them anew from the attempts, and for telling a store's
 * own share from what was imported. Keys and entries live in the caller's arena; the walk is in
 * byte order of keys.
 */
#include "base/arena.h"
#include "memory/store.h"

struct store_view;

struct stat_entry {
    const char *key;
    struct store_stat stat;
    bool seen; /* the caller's mark */
};

struct stat_map {
    struct arena *arena;
    void *root; /* tsearch(3) */
};

void stat_map_init(struct stat_map *map, struct arena *arena);
void stat_map_done(struct stat_map *map);
/* NULL if it isn't there. */
struct stat_entry *stat_map_find(const struct stat_map *map, const char *key);
/* Made with zeros if it isn't there. */
struct stat_entry *stat_map_at(struct stat_map *map, const char *key);
/* Calls `each` for every entry. */
void stat_map_walk(const struct stat_map *map, void (*each)(struct stat_entry *entry, void *user),
                   void *user);

/* Adds up what was imported, over all origins. ERR_INVALID: a damaged record. */
int stat_map_add_imported(struct stat_map *map, struct store_view *view, struct err *err);
