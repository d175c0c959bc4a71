/* SPDX-License-Identifier: MIT */
#include "memory/exchange.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/node.h"
#include "memory/record.h"
#include "memory/store_impl.h"

#include <string.h>

struct import {
    struct store *store;
    struct store_batch *batch;
    struct exchange_report report;
    size_t stats, nodes, candidates; /* lines of each */
    bool ended;
};

static bool is_origin(const char *s)
{
    return strlen(s) == STORE_ORIGIN - 1 && strspn(s, "0123456789abcdef") == STORE_ORIGIN - 1;
}

static int read_origin(const json_t *json, const char **ret, struct err *err)
{
    int r = jread_string(json, "origin", true, NULL, ret, err);
    return r < 0 || is_origin(*ret)
               ? r
               : err_set(err, ERR_INVALID, "origin: \"%.32s\" is not 16 hex digits", *ret);
}

static int import_stat(struct import *in, const json_t *json, struct err *err)
{
    static const char *const known[] = {"stat", "origin", "n", "failures", "mean", "m2"};
    struct store_stat stat = {0}, before = {0};
    const char *key, *origin;
    int r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_string(json, "stat", true, NULL, &key, err);
    r = r < 0 ? r : read_origin(json, &origin, err);
    r = r < 0 ? r : jread_int(json, "n", true, 1, (int64_t)1 << 40, NULL, &stat.n, err);
    r = r < 0 ? r : jread_int(json, "failures", true, 0, stat.n, NULL, &stat.failures, err);
    r = r < 0 ? r : jread_real(json, "mean", true, -1e6, 1e6, NULL, &stat.mean, err);
    r = r < 0 ? r : jread_real(json, "m2", true, 0, 1e300, NULL, &stat.m2, err);
    if (r < 0) {
        return r;
    }
    in->stats++;
    auto_arena struct arena *arena = arena_new();
    const char *imported = arena_printf(arena, "%s|%s", origin, key);
    const void *at;
    size_t len;
    r = store_get(in->store, STORE_DB_IMPORTED, imported, arena, &at, &len, err);
    if (r == 0) {
        struct store_item item = {imported, at, len};
        r = store_stat_read(&item, &before, err);
    }
    if (r < 0 && r != ERR_NOTFOUND) {
        return r;
    }
    bool local = str_prefix(key, EXCHANGE_LOCAL);
    if (local || str_eq(origin, in->store->origin) || stat.n <= before.n) {
        in->report.skipped++;
        return 0;
    }
    store_batch_stat_import(in->batch, origin, key, &stat);
    in->report.stats++;
    return 0;
}

/* Ours stay ours, another origin's stay theirs; the same origin's newer revision is taken. */
static int known_already(struct import *in, const struct node_record *node, bool *ret,
                         struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    const char *parts[] = {node->kind, node->id};
    struct store_item item = {.key = record_key(arena, parts, 2)};
    struct node_record here;
    const void *at;
    int r = store_get(in->store, STORE_DB_NODES, item.key, arena, &at, &item.len, err);
    if (r == ERR_NOTFOUND) {
        *ret = str_eq(node->origin, in->store->origin);
        return 0;
    }
    item.at = at;
    r = r < 0 ? r : node_read(&item, arena, &here, err);
    if (r == 0) {
        *ret = !str_eq(here.origin, node->origin) || str_eq(here.origin, in->store->origin) ||
               here.revision >= node->revision;
    }
    return r;
}

static int import_node(struct import *in, const json_t *json, struct err *err)
{
    static const char *const known[] = {"node", "kind", "origin", "revision", "value"};
    struct node_record node = {0};
    int r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_string(json, "node", true, NULL, &node.id, err);
    r = r < 0 ? r : jread_string(json, "kind", true, NULL, &node.kind, err);
    r = r < 0 ? r : read_origin(json, &node.origin, err);
    r = r < 0 ? r : jread_int(json, "revision", true, 0, INT64_MAX, NULL, &node.revision, err);
    const json_t *value = json_object_get(json, "value");
    if (r == 0 && !json_is_object(value)) {
        return err_set(err, ERR_INVALID, "value: expected an object, got %s", jread_kind(value));
    }
    if (r < 0) {
        return r;
    }
    in->nodes++;
    bool known_node = false;
    r = known_already(in, &node, &known_node, err);
    if (r < 0 || known_node) {
        in->report.skipped += r == 0;
        return r;
    }
    auto_free char *text = json_canonical(value);
    node.json = text;
    in->report.nodes++;
    return node_write(in->batch, &node, err);
}

/* Content under its own id: put once, whoever sends it. */
static int import_candidate(struct import *in, const json_t *json, struct err *err)
{
    static const char *const known[] = {"candidate", "name", "plan", "source"};
    struct candidate_record record = {.extra = ""};
    int r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_string(json, "candidate", true, NULL, &record.id, err);
    r = r < 0 ? r : jread_string(json, "name", true, NULL, &record.name, err);
    r = r < 0 ? r : jread_string(json, "plan", true, NULL, &record.plan, err);
    r = r < 0 ? r : jread_string(json, "source", true, NULL, &record.source, err);
    if (r < 0) {
        return r;
    }
    in->candidates++;
    in->report.candidates++;
    return record_put_candidate(in->batch, &record, err);
}

static int import_header(const json_t *json, struct err *err)
{
    int64_t format = 0;
    if (!json_object_get(json, "warpsmith_memory")) {
        return err_set(err, ERR_INVALID, "not a file of memories: it has no \"warpsmith_memory\"");
    }
    int r = jread_int(json, "warpsmith_memory", true, 1, INT64_MAX, NULL, &format, err);
    if (r == 0 && format > EXCHANGE_FORMAT) {
        return err_set(err, ERR_VERSION, "written by a newer warpsmith (format %lld): update",
                       (long long)format);
    }
    return r;
}

static int import_end(struct import *in, const json_t *json, struct err *err)
{
    int64_t stats = 0, nodes = 0, candidates = 0;
    int r = jread_int(json, "stats", true, 0, INT64_MAX, NULL, &stats, err);
    r = r < 0 ? r : jread_int(json, "nodes", true, 0, INT64_MAX, NULL, &nodes, err);
    r = r < 0 ? r : jread_int(json, "candidates", false, 0, INT64_MAX, NULL, &candidates, err);
    if (r == 0 && ((size_t)stats != in->stats || (size_t)nodes != in->nodes
                   || (size_t)candidates != in->candidates)) {
        return err_set(err, ERR_INVALID,
                       "%lld statistics, %lld nodes and %lld candidates were promised; %zu, %zu and "
                       "%zu came", (long long)stats, (long long)nodes, (long long)candidates,
                       in->stats, in->nodes, in->candidates);
    }
    in->ended = true;
    return r;
}

static int import_line(struct import *in, size_t number, const char *text, size_t len,
                       struct err *err)
{
    json_auto_t *json = NULL;
    if (len > EXCHANGE_LINE_MAX) {
        return err_set(err, ERR_INVALID, "longer than %d bytes", EXCHANGE_LINE_MAX);
    }
    int r = jread_parse(text, len, &json, err);
    if (r < 0) {
        return r;
    }
    if (number == 1) {
        return import_header(json, err);
    }
    if (in->ended) {
        return err_set(err, ERR_INVALID, "it stands behind the end");
    }
    return json_object_get(json, "stat")   ? import_stat(in, json, err)
           : json_object_get(json, "node") ? import_node(in, json, err)
           : json_object_get(json, "candidate") ? import_candidate(in, json, err)
           : json_object_get(json, "end")
               ? import_end(in, json, err)
               : err_set(err, ERR_INVALID, "neither stat, node, candidate nor end");
}

static int import_lines(struct import *in, const char *text, size_t len, struct err *err)
{
    const char *end = text + len;
    size_t number = 0;
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        line_end = line_end ? line_end : end;
        number++;
        int r = import_line(in, number, text, (size_t)(line_end - text), err);
        if (r < 0) {
            return err_wrap(err, "line %zu", number), r;
        }
        text = line_end + 1;
    }
    return in->ended ? 0
                     : err_set(err, ERR_INVALID,
                               "it is cut short: the end is missing after line %zu", number);
}

int exchange_import(struct store *store, const char *text, size_t len, struct exchange_report *ret,
                    struct err *err)
{
    if (len > EXCHANGE_BYTES_MAX) {
        return err_set(err, ERR_TOOBIG, "memory import: %zu bytes, %d at most", len,
                       EXCHANGE_BYTES_MAX);
    }
    struct import in = {.store = store, .batch = store_batch_new()};
    int r = import_lines(&in, text, len, err);
    if (r < 0) {
        store_batch_free(in.batch);
    } else if (store_batch_empty(in.batch)) {
        store_batch_free(in.batch);
    } else {
        r = store_commit(store, in.batch, err);
    }
    if (r < 0) {
        return err_wrap(err, "memory import"), r;
    }
    *ret = in.report;
    return 0;
}
