/* SPDX-License-Identifier: MIT */
#include "agent/ceilings_keep.h"
#include "base/jread.h"
#include "base/jwrite.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

static char *key_of(const struct device_info *device)
{
    return xprintf("%s %s", device->uuid, device->ceilings.driver);
}

/* 0, or negative where the store has none that can be read: then they are measured anew. */
static int look_up(struct store *store, const char *key, struct ceilings *ret)
{
    auto_arena struct arena *arena = arena_new();
    struct err err = { 0 };
    const void *at;
    size_t len;
    json_t *json = NULL;
    int r = store_get(store, STORE_DB_DEVICES, key, arena, &at, &len, &err);
    r = r < 0 ? r : jread_parse(at, len, &json, &err);
    r = r < 0 ? r : ceilings_parse(json, ret, &err);
    json_decref(json);
    return r;
}

struct measured {
    bool done;
    int code;
    struct ceilings ceilings;
    char error[256];
};

static void on_measured(void *ud, int code, const struct ceilings *ceilings, const char *error)
{
    struct measured *m = ud;
    m->done = true;
    m->code = code;
    if (code < 0) {
        snprintf(m->error, sizeof(m->error), "%s", error ? error : err_name(code));
    } else {
        m->ceilings = *ceilings;
    }
}

static void put(struct store *store, const char *key, const struct ceilings *ceilings)
{
    struct err err = { 0 };
    json_t *json = ceilings_json(ceilings);
    auto_free char *text = json_compact(json);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_DEVICES, key, text, strlen(text));
    (void)!store_commit(store, batch, &err); /* lost, they are measured again */
    json_decref(json);
}

/* A command that opens no store of its own borrows the usual one. NULL where it can't be had. */
static struct store *borrow(const struct session *s)
{
    struct store *store = NULL;
    struct err err = { 0 };
    struct store_options options = { 0 };
    return s->options->store && store_open(s->options->store, &options, &store, &err) == 0 ? store
                                                                                         : NULL;
}

void ceilings_keep(struct session *s)
{
    const struct device_info *device = evaluator_device(s->evaluator);
    if (device->modelled) {
        return;
    }
    auto_free char *key = key_of(device);
    struct measured m = { 0 };
    struct store *store = s->store ? s->store : borrow(s);
    int r = store ? look_up(store, key, &m.ceilings) : ERR_NOTFOUND;
    if (r < 0) {
        evaluator_measure_ceilings(s->evaluator, on_measured, &m);
        while (!m.done && uv_run(session_loop(s), UV_RUN_ONCE)) {
        }
        r = m.done ? m.code : ERR_BUG;
        if (r == 0 && store) {
            put(store, key, &m.ceilings);
        }
    }
    if (store != s->store) {
        store_close(store);
    }
    if (r == 0) {
        evaluator_set_ceilings(s->evaluator, &m.ceilings);
    } else {
        log_line(s->log, LOG_LEVEL_WARN, "agent", "ceilings aren't measured: %s", m.error);
    }
}
