/* SPDX-License-Identifier: MIT */
/* How a request is kept: its texts once each, under their hashes. */
#include "agent/model_call.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

/* [A-Za-z0-9._-] only; a name that had to be changed keeps apart from others by its hash. */
const char *model_request_key(struct model_call *c, int64_t number)
{
    const char *name = c->task;
    char part[49];
    size_t n = 0;
    bool same = strlen(name) < sizeof(part);
    for (; name[n] && n + 1 < sizeof(part); n++) {
        bool good = (name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z')
            || (name[n] >= '0' && name[n] <= '9') || name[n] == '_' || name[n] == '-';
        part[n] = good ? name[n] : '_';
        same = same && good;
    }
    part[n] = '\0';
    struct id id;
    char hex[ID_HEX];
    id_of_bytes(name, strlen(name), &id);
    id_hex(&id, hex);
    return arena_printf(c->arena, "%s.%s%s%.8s.%06lld.%02lld", c->desk->campaign, part,
                        same ? "" : "-", same ? "" : hex, (long long)c->seq, (long long)number);
}

const char *model_request_text(struct model_call *c)
{
    auto_buf struct buf text;
    buf_init(&text, STORE_VALUE_MAX);
    struct jwriter w = { &text, false };
    jwrite_open(&w, NULL, '{');
    jwrite_open(&w, "messages", '[');
    for (size_t i = 0; i < c->n_messages; i++) {
        struct id id;
        char hex[ID_HEX];
        id_of_bytes(c->messages[i].text, strlen(c->messages[i].text), &id);
        id_hex(&id, hex);
        jwrite_open(&w, NULL, '{');
        jwrite_string(&w, "role", c->messages[i].role);
        jwrite_string(&w, "text", hex);
        jwrite_close(&w, '}');
        c->prompts[i] = arena_strdup(c->arena, hex);
    }
    jwrite_close(&w, ']');
    jwrite_close(&w, '}');
    return arena_strdup(c->arena, text.at);
}

void model_request_put(struct model_call *c, struct store_batch *batch)
{
    struct model_desk *desk = c->desk;
    for (size_t i = 0; i < c->n_messages && c->prompts[i]; i++) {
        if (i == 0 && str_eq(desk->contract, c->prompts[i])) {
            continue;
        }
        store_batch_put_once(batch, STORE_DB_PROMPTS, c->prompts[i], c->messages[i].text,
                             strlen(c->messages[i].text));
    }
    if (c->n_messages && c->prompts[0]) {
        snprintf(desk->contract, sizeof(desk->contract), "%s", c->prompts[0]);
    }
}

static int read_message(struct store *store, const json_t *one, struct arena *arena,
                        struct llm_message *ret, struct err *err)
{
    const char *role = "", *hex = "";
    const void *at;
    size_t len;
    int r = jread_string(one, "role", true, NULL, &role, err);
    r = r < 0 ? r : jread_string(one, "text", true, NULL, &hex, err);
    r = r < 0 ? r : store_get(store, STORE_DB_PROMPTS, hex, arena, &at, &len, err);
    if (r < 0) {
        return r == ERR_NOTFOUND ? err_set(err, r, "prompts/%s is missing", hex) : r;
    }
    *ret = (struct llm_message) { arena_strdup(arena, role), at };
    return 0;
}

int model_request_read(struct store *store, const char *text, struct arena *arena,
                       struct llm_message *ret, size_t most, size_t *ret_n, struct err *err)
{
    json_t *json = NULL;
    int r = jread_parse(text, strlen(text), &json, err);
    const json_t *list = json_object_get(json, "messages");
    size_t n = json_array_size(list);
    if (r == 0 && (n == 0 || n > most)) {
        r = err_set(err, ERR_INVALID, "a call's request holds %zu messages", n);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = read_message(store, json_array_get(list, i), arena, &ret[i], err);
    }
    *ret_n = r == 0 ? n : 0;
    json_decref(json);
    return r;
}
