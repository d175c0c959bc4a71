/* SPDX-License-Identifier: MIT */
#include "agent/ceilings_keep.h"
#include "base/file.h"
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

/* A command that opens no store may still read what an earlier one kept. */
static int look_up_elsewhere(const struct session *s, const char *key, struct ceilings *ret)
{
    struct store_options options = { .read_only = true };
    struct store *store = NULL;
    struct err err = { 0 };
    if (!s->options->store || !file_exists(s->options->store)) {
        return ERR_NOTFOUND;
    }
    int r = store_open(s->options->store, &options, &store, &err);
    r = r < 0 ? r : look_up(store, key, ret);
    store_close(store);
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

static void put(struct session *s, const char *key, const struct ceilings *ceilings)
{
    json_t *json = ceilings_json(ceilings);
    auto_free char *text = json_compact(json);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_DEVICES, key, text, strlen(text));
    store_submit(s->store, batch, NULL, NULL); /* lost, they are measured again */
    json_decref(json);
}

void ceilings_keep(struct session *s)
{
    const struct device_info *device = evaluator_device(s->evaluator);
    if (device->modelled) {
        return;
    }
    auto_free char *key = key_of(device);
    struct measured m = { 0 };
    int r = s->store ? look_up(s->store, key, &m.ceilings)
                     : look_up_elsewhere(s, key, &m.ceilings);
    if (r < 0) {
        evaluator_measure_ceilings(s->evaluator, on_measured, &m);
        while (!m.done && uv_run(&s->loop, UV_RUN_ONCE)) {
        }
        r = m.done ? m.code : ERR_BUG;
        if (r == 0 && s->store) {
            put(s, key, &m.ceilings);
        }
    }
    if (r == 0) {
        evaluator_set_ceilings(s->evaluator, &m.ceilings);
    } else {
        log_line(s->log, LOG_LEVEL_WARN, "agent", "ceilings aren't measured: %s", m.error);
    }
}
