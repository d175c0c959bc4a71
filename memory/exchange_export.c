/* SPDX-License-Identifier: MIT */
#include "memory/exchange.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/node.h"
#include "memory/record.h"
#include "memory/stat_map.h"
#include "memory/store_impl.h"

#include <string.h>

static void add_line(struct buf *out, json_t *json)
{
    require(json != NULL);
    auto_free char *text = json_canonical(json);
    buf_puts(out, text);
    buf_puts(out, "\n");
    json_decref(json);
}

static void add_stat(struct buf *out, const char *origin, const char *key,
                     const struct store_stat *stat)
{
    add_line(out, json_pack("{s:s, s:s, s:I, s:I, s:f, s:f}", "stat", key, "origin", origin, "n",
                            (json_int_t)stat->n, "failures", (json_int_t)stat->failures, "mean",
                            stat->mean, "m2", stat->m2));
}

/* What every origin but ours saw, as they said it. */
static int export_imported(struct store_view *view, struct buf *out, struct exchange_report *report,
                           struct err *err)
{
    struct store_cursor cursor;
    int r = store_cursor_open(view, STORE_DB_IMPORTED, "", NULL, &cursor, err);
    while (r >= 0) {
        auto_arena struct arena *arena = arena_new();
        struct store_item item;
        struct store_stat stat;
        r = store_cursor_next(&cursor, arena, &item, err);
        if (r <= 0 || (r = store_stat_read(&item, &stat, err)) < 0) {
            break;
        }
        const char *bar = strchr(item.key, '|'); /* stat_map_add_imported has checked it */
        if (str_prefix(bar + 1, EXCHANGE_LOCAL)) {
            continue;
        }
        add_stat(out, arena_strndup(arena, item.key, (size_t)(bar - item.key)), bar + 1, &stat);
        report->stats++;
    }
    store_cursor_close(&cursor);
    return r;
}

/* What we saw ourselves: the totals less what was imported. */
static int export_own(struct store_view *view, const struct stat_map *imported, struct buf *out,
                      struct exchange_report *report, struct err *err)
{
    struct store_cursor cursor;
    int r = store_cursor_open(view, STORE_DB_STATS, "", NULL, &cursor, err);
    while (r >= 0) {
        auto_arena struct arena *arena = arena_new();
        struct store_item item;
        struct store_stat stat;
        r = store_cursor_next(&cursor, arena, &item, err);
        if (r <= 0 || (r = store_stat_read(&item, &stat, err)) < 0) {
            break;
        }
        const struct stat_entry *others = stat_map_find(imported, item.key);
        if (others) {
            store_stat_sub(&stat, &others->stat);
        }
        if (stat.n && !str_prefix(item.key, EXCHANGE_LOCAL)) {
            add_stat(out, view->store->origin, item.key, &stat);
            report->stats++;
        }
    }
    store_cursor_close(&cursor);
    return r;
}

/* What a node refers to goes along, once; a node whose candidate is gone goes alone. */
static int export_candidate(struct store_view *view, const json_t *value, json_t *done, struct buf *out,
                            struct exchange_report *report, struct err *err)
{
    const char *id = json_string_value(json_object_get(value, "candidate"));
    auto_arena struct arena *arena = arena_new();
    struct candidate_record record;
    if (!id || json_object_get(done, id)) {
        return 0;
    }
    struct store_item item = {.key = record_key(arena, &id, 1)};
    int r = store_view_get(view, STORE_DB_CANDIDATES, item.key, arena, &item.at, &item.len, err);
    r = r < 0 ? r : record_read_candidate(&item, arena, &record, err);
    if (r < 0) {
        return r == ERR_NOTFOUND ? 0 : r;
    }
    json_object_set_new(done, id, json_true());
    add_line(out, json_pack("{s:s, s:s, s:s, s:o}", "candidate", id, "name", record.name, "plan",
                            record.plan, "source", json_text(record.source, strlen(record.source))));
    report->candidates++;
    return 0;
}

static int export_nodes(struct store_view *view, struct buf *out, struct exchange_report *report,
                        struct err *err)
{
    struct store_cursor cursor;
    json_auto_t *done = json_object();
    int r = store_cursor_open(view, STORE_DB_NODES, "", NULL, &cursor, err);
    while (r >= 0) {
        auto_arena struct arena *arena = arena_new();
        struct store_item item;
        struct node_record node;
        r = store_cursor_next(&cursor, arena, &item, err);
        if (r <= 0 || (r = node_read(&item, arena, &node, err)) < 0) {
            break;
        }
        json_t *value;
        r = jread_parse(node.json, strlen(node.json), &value, err);
        if (r < 0) {
            break;
        }
        r = export_candidate(view, value, done, out, report, err);
        if (r < 0) {
            json_decref(value);
            break;
        }
        add_line(out, json_pack("{s:s, s:s, s:s, s:I, s:o}", "node", node.id, "kind", node.kind,
                                "origin", node.origin, "revision", (json_int_t)node.revision,
                                "value", value));
        report->nodes++;
    }
    store_cursor_close(&cursor);
    return r;
}

int exchange_export(struct store *store, struct buf *out, struct exchange_report *ret,
                    struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct exchange_report report = {0};
    struct stat_map imported;
    struct store_view view;
    int r = store_view_begin(store, &view, err);
    if (r < 0) {
        return r;
    }
    stat_map_init(&imported, arena);
    add_line(out,
             json_pack("{s:i, s:s}", "warpsmith_memory", EXCHANGE_FORMAT, "origin", store->origin));
    r = stat_map_add_imported(&imported, &view, err);
    r = r < 0 ? r : export_own(&view, &imported, out, &report, err);
    r = r < 0 ? r : export_imported(&view, out, &report, err);
    r = r < 0 ? r : export_nodes(&view, out, &report, err);
    add_line(out, json_pack("{s:b, s:I, s:I, s:I}", "end", 1, "stats", (json_int_t)report.stats, "nodes",
                            (json_int_t)report.nodes, "candidates",
                            (json_int_t)report.candidates));
    stat_map_done(&imported);
    store_view_end(&view);
    if (r < 0) {
        return r;
    }
    if (out->failed) {
        return err_set(err, out->failed, "memory export: larger than %zu bytes", out->cap);
    }
    *ret = report;
    return 0;
}
