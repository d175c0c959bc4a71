/* SPDX-License-Identifier: MIT */
#include "memory/node.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record.h"
#include "memory/record_codec.h"
#include "memory/store_impl.h"

#include <string.h>

static const struct field NODE[] = {
    FIELD(node_record, kind, TEXT, true),
    FIELD(node_record, id, TEXT, true),
    FIELD(node_record, origin, TEXT, true),
    FIELD(node_record, revision, INT, false),
};
static const char *const NODE_MORE[] = {"value"};

int node_write(struct store_batch *batch, const struct node_record *node, struct err *err)
{
    json_t *json, *value;
    int r = jread_parse(node->json, strlen(node->json), &value, err);
    if (r == 0 && (r = record_encode(NODE, ARRAY_LEN(NODE), node, &json, err)) < 0) {
        json_decref(value);
    }
    if (r < 0) {
        return err_wrap(err, "node %s/%s", node->kind, node->id), r;
    }
    json_object_set_new(json, "value", value);
    auto_free char *text = json_canonical(json);
    json_decref(json);
    auto_arena struct arena *arena = arena_new();
    const char *parts[] = {node->kind, node->id};
    store_batch_put(batch, STORE_DB_NODES, record_key(arena, parts, 2), text, strlen(text));
    return 0;
}

int node_put(struct store_batch *batch, struct store *store, const char *kind, const char *id,
             const char *json, struct err *err)
{
    /* Transactions only count up, so the next one's number is above every revision so far. */
    struct node_record node = {
        kind, id, store_origin(store), (int64_t)store_env_last_transaction(store) + 1, json,
    };
    return node_write(batch, &node, err);
}

int node_read(const struct store_item *item, struct arena *arena, struct node_record *ret,
              struct err *err)
{
    struct node_record node = {0};
    json_auto_t *json = NULL;
    int r = record_open(item->at, item->len, NODE, ARRAY_LEN(NODE), NODE_MORE, 1, &json, err);
    r = r < 0 ? r : record_decode(json, NODE, ARRAY_LEN(NODE), arena, &node, err);
    const json_t *value = json_object_get(json, "value");
    if (r == 0 && !value) {
        r = err_set(err, ERR_INVALID, "value: it is missing");
    }
    if (r < 0) {
        return err_wrap(err, "nodes/%s", item->key), r;
    }
    auto_free char *text = json_canonical(value);
    node.json = arena_strdup(arena, text);
    *ret = node;
    return 0;
}

int node_list(struct store *store, const char *kind, struct arena *arena, struct node_record **ret,
              size_t *ret_n, struct err *err)
{
    struct store_item *items;
    size_t n;
    const char *prefix = kind ? arena_printf(arena, "%s/", record_key(arena, &kind, 1)) : "";
    int r = store_scan(store, STORE_DB_NODES, prefix, NULL, SIZE_MAX, arena, &items, &n, err);
    if (r < 0) {
        return r;
    }
    struct node_record *list = arena_alloc(arena, n, sizeof(*list));
    for (size_t i = 0; i < n && r == 0; i++) {
        r = node_read(&items[i], arena, &list[i], err);
    }
    if (r == 0) {
        *ret = list;
        *ret_n = n;
    }
    return r;
}
