/* SPDX-License-Identifier: MIT */
#include "memory/stat_map.h"
#include "base/util.h"
#include "memory/store_impl.h"

#include <search.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct stat_entry *)a)->key, ((const struct stat_entry *)b)->key);
}

static void keep(void *entry)
{
    (void)entry; /* the arena's */
}

void stat_map_init(struct stat_map *map, struct arena *arena)
{
    *map = (struct stat_map){.arena = arena};
}

void stat_map_done(struct stat_map *map)
{
    tdestroy(map->root, keep);
    map->root = NULL;
}

struct stat_entry *stat_map_find(const struct stat_map *map, const char *key)
{
    struct stat_entry wanted = {.key = key};
    void *node = tfind(&wanted, &map->root, compare);
    return node ? *(struct stat_entry **)node : NULL;
}

struct stat_entry *stat_map_at(struct stat_map *map, const char *key)
{
    struct stat_entry *entry = stat_map_find(map, key);
    if (!entry) {
        entry = arena_alloc(map->arena, 1, sizeof(*entry));
        entry->key = arena_strdup(map->arena, key);
        require(tsearch(entry, &map->root, compare) != NULL);
    }
    return entry;
}

struct walk {
    void (*each)(struct stat_entry *entry, void *user);
    void *user;
};

static void visit(const void *node, VISIT which, void *user)
{
    struct walk *walk = user;
    if (which == postorder || which == leaf) {
        walk->each(*(struct stat_entry *const *)node, walk->user);
    }
}

void stat_map_walk(const struct stat_map *map, void (*each)(struct stat_entry *entry, void *user),
                   void *user)
{
    struct walk walk = {each, user};
    twalk_r(map->root, visit, &walk);
}

int stat_map_add_imported(struct stat_map *map, struct store_view *view, struct err *err)
{
    struct store_cursor cursor;
    int r = store_cursor_open(view, STORE_DB_IMPORTED, "", NULL, &cursor, err);
    while (r >= 0) {
        auto_arena struct arena *arena = arena_new();
        struct store_item item;
        struct store_stat stat;
        r = store_cursor_next(&cursor, arena, &item, err);
        if (r <= 0) {
            break;
        }
        const char *key = strchr(item.key, '|');
        r = key ? store_stat_read(&item, &stat, err)
                : err_set(err, ERR_INVALID, "imported/%s: no origin in its key", item.key);
        if (r == 0) {
            store_stat_merge(&stat_map_at(map, key + 1)->stat, &stat);
        }
    }
    store_cursor_close(&cursor);
    return r;
}
