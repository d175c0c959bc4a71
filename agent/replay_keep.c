/* SPDX-License-Identifier: MIT */
/*
 * What a replay needs besides a campaign's own records: DEVICES/ID, the device it is judged on, and
 * DEVICES/ID/memory/ORDER, the graph's experience at the start and after each resume. Statistics
 * and learned strategies only: the seeds ship with the program.
 */
#include "agent/campaign_internal.h"
#include "agent/replay.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/htg_seed.h"

#include <string.h>

enum { KEEP_STATS_MAX = 20000 };

static void put(struct store_batch *batch, const char *key, json_t *json)
{
    auto_free char *text = json_canonical(json);
    json_decref(json);
    store_batch_put(batch, STORE_DB_DEVICES, key, text, strlen(text));
}

static json_t *memory_json(const struct htg *htg, int64_t order)
{
    const struct stats *stats = htg_stats(htg);
    size_t n = stats_count(stats);
    json_t *json = json_pack("{s:i, s:I}", "format", 1, "order", (json_int_t)order);
    if (n > KEEP_STATS_MAX) {
        json_object_set_new(json, "left_out", json_integer((json_int_t)n));
        return json;
    }
    json_t *list = json_array(), *strategies = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct tally *t;
        const char *key = stats_at(stats, i, &t);
        json_array_append_new(list, json_pack("[s, I, I, f, f]", key, (json_int_t)t->n,
                                              (json_int_t)t->failures, t->mean, t->m2));
    }
    for (size_t i = 0; i < htg_strategies(htg); i++) {
        const struct htg_strategy *s = htg_strategy(htg, i);
        if (s->state != HTG_STATE_SEED) {
            json_array_append_new(strategies, htg_seed_strategy_json(s));
        }
    }
    json_object_set_new(json, "stats", list);
    json_object_set_new(json, "strategies", strategies);
    return json;
}

int replay_keep(struct campaign *c, struct err *err)
{
    if (c->replay) {
        return 0;
    }
    const struct device_info *d = session_device(c->session);
    struct store_batch *batch = store_batch_new();
    auto_free char *key = xprintf("%s/memory/%012lld", c->id, (long long)c->order);
    put(batch, c->id,
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:I, s:I, s:I}", "format", 1, "name",
                  d->name, "uuid", d->uuid, "arch", d->arch, "driver", d->driver, "compiler",
                  d->compiler, "modelled", d->modelled, "gate", session_gate(c->session), "sm_count",
                  (json_int_t)d->facts.sm_count, "max_shared", (json_int_t)d->facts.max_shared,
                  "max_memory", (json_int_t)d->facts.max_memory));
    put(batch, key, memory_json(c->session->htg, c->order));
    return store_commit(c->session->store, batch, err);
}
