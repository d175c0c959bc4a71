/* SPDX-License-Identifier: MIT */
#include "agent/replay.h"
#include "agent/campaign_internal.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/htg_seed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    const struct recording *recording;
    struct device_info device;
    int64_t memory_order; /* of the last memory that was taken */
    struct replay_result result;
};

static const json_t *find(const json_t *records, const struct run *run, int64_t seq)
{
    auto_arena struct arena *arena = arena_new();
    return json_object_get(records, record_attempt_key(arena, run->campaign->id, run->task->name,
                                                       seq));
}

bool replay_has_choice(const struct run *run, int64_t seq)
{
    return find(run->campaign->replay->recording->choices, run, seq) != NULL;
}

bool replay_has_attempt(const struct run *run, int64_t seq)
{
    return find(run->campaign->replay->recording->attempts, run, seq) != NULL;
}

/* An attempt's `extra` is JSON in a string. */
static json_t *extra_of(const json_t *attempt)
{
    const char *text = json_string_value(json_object_get(attempt, "extra"));
    return json_loads(text ? text : "{}", 0, NULL);
}

int64_t replay_order(const struct run *run)
{
    const struct recording *r = run->campaign->replay->recording;
    if (run->phase == RUN_PHASE_NEXT) {
        const json_t *choice = find(r->choices, run, run_next_seq(run));
        return choice ? json_integer_value(json_object_get(choice, "order")) : -1;
    }
    const json_t *attempt = find(r->attempts, run, run->step.seq);
    json_t *extra = attempt ? extra_of(attempt) : NULL;
    int64_t order = extra ? json_integer_value(json_object_get(extra, "order")) : -1;
    json_decref(extra);
    return order;
}

bool replay_park(struct run *run)
{
    if (!run->campaign->replay) {
        return false;
    }
    run->parked = !run->released;
    run->released = false;
    return run->parked;
}

static int take_strategies(struct campaign *c, const json_t *memory, struct err *err)
{
    const json_t *list = json_object_get(memory, "strategies"), *one;
    struct htg *htg = c->session->htg;
    size_t i;
    int r = 0;
    json_array_foreach(list, i, one) {
        const char *id = json_string_value(json_object_get(one, "id"));
        if (r == 0 && id && htg_find_strategy(htg, id) < 0) {
            r = htg_seed_strategy(htg, one, err);
        }
    }
    return r;
}

static int take_memory(struct campaign *c, const json_t *memory, struct err *err)
{
    const json_t *list = json_object_get(memory, "stats"), *one;
    size_t i;
    if (json_object_get(memory, "left_out")) {
        return err_set(err, ERR_INVALID, "the memory that it began with (%lld statistics) was too large "
                       "to be kept", (long long)json_integer_value(json_object_get(memory, "left_out")));
    }
    int r = take_strategies(c, memory, err);
    json_array_foreach(list, i, one) {
        const char *key = json_string_value(json_array_get(one, 0));
        struct tally t = { .n = json_integer_value(json_array_get(one, 1)),
                           .failures = json_integer_value(json_array_get(one, 2)),
                           .mean = json_number_value(json_array_get(one, 3)),
                           .m2 = json_number_value(json_array_get(one, 4)) };
        r = r < 0 ? r : htg_stat_set(c->session->htg, key ? key : "", &t, err);
    }
    return r;
}

/* The memories that were read before the choice or lesson with this order. */
static int take_memories(struct campaign *c, int64_t order, struct err *err)
{
    struct replay *replay = c->replay;
    const char *key;
    json_t *memory;
    for (;;) {
        const json_t *next = NULL;
        int64_t least = INT64_MAX;
        json_object_foreach(replay->recording->devices, key, memory) {
            const json_t *at = json_object_get(memory, "order");
            int64_t n = at ? json_integer_value(at) : -1;
            if (n > replay->memory_order && n <= order && n < least) {
                least = n;
                next = memory;
            }
        }
        if (!next) {
            return 0;
        }
        replay->memory_order = least;
        int r = take_memory(c, next, err);
        if (r < 0) {
            return r;
        }
    }
}

bool replay_turn(struct campaign *c)
{
    struct run *first = NULL;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < c->n_runs; i++) {
        struct run *run = &c->runs[i];
        if (run->phase == RUN_PHASE_DONE) {
            continue;
        }
        if (!run->parked) {
            return false;
        }
        int64_t order = replay_order(run);
        if (!first || order < least) {
            first = run;
            least = order;
        }
    }
    struct err err = { 0 };
    if (!first || c->stopping) {
        return false;
    }
    if (least >= 0 && take_memories(c, least, &err) < 0) {
        campaign_fail(c, err.code, err_text(&err));
        return false;
    }
    first->released = true;
    first->ready = true;
    run_step(first);
    return true;
}

/* Where two documents differ first; "" if nowhere. `path` has room for the place. */
static bool differ(const json_t *was, const json_t *now, char *path, size_t size, char *ret,
                   size_t ret_size)
{
    size_t len = strlen(path);
    if (json_is_object(was) && json_is_object(now)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)was, key, value) {
            snprintf(path + len, size - len, "%s%s", len ? "." : "", key);
            if (differ(value, json_object_get(now, key), path, size, ret, ret_size)) {
                return true;
            }
            path[len] = '\0';
        }
        if (json_object_size(was) == json_object_size(now)) {
            return false;
        }
    } else if (json_is_array(was) && json_is_array(now)) {
        for (size_t i = 0; i < MIN(json_array_size(was), json_array_size(now)); i++) {
            snprintf(path + len, size - len, "[%zu]", i);
            if (differ(json_array_get(was, i), json_array_get(now, i), path, size, ret, ret_size)) {
                return true;
            }
            path[len] = '\0';
        }
        snprintf(ret, ret_size, "%s: the record has %zu entries, now there are %zu", path,
                 json_array_size(was), json_array_size(now));
        return json_array_size(was) != json_array_size(now);
    } else if (now && json_equal(was, now)) {
        return false;
    }
    auto_free char *a = was ? json_compact(was) : NULL;
    auto_free char *b = now ? json_compact(now) : NULL;
    snprintf(ret, ret_size, "%s: the record has %.200s, now it is %.200s", *path ? path : "all",
             a ? a : "nothing", b ? b : "nothing");
    return true;
}

static int check(struct run *run, const char *what, int64_t seq, const json_t *was,
                 const json_t *now)
{
    char path[512] = "", text[1024];
    if (!differ(was, now, path, sizeof(path), text, sizeof(text))) {
        return 0;
    }
    auto_free char *full = xprintf("task %s: %s %lld: %s", run->task->name, what, (long long)seq, text);
    campaign_fail(run->campaign, ERR_INVALID, full);
    return ERR_INVALID;
}

int replay_check_choice(struct run *run, const char *text)
{
    struct replay *replay = run->campaign->replay;
    json_t *now = json_loads(text, 0, NULL);
    int r = check(run, "choice", run->step.seq,
                  find(replay->recording->choices, run, run->step.seq), now);
    replay->result.choices += r == 0;
    json_decref(now);
    return r;
}

/* An attempt as a document without what a clock or a queue decided. */
static json_t *comparable(const json_t *attempt)
{
    json_t *copy = json_deep_copy(attempt);
    json_t *extra = extra_of(attempt);
    json_object_del(extra, "device_s");
    json_t *samples = json_object_get(json_object_get(extra, "tuning"), "samples");
    json_t *set = json_object(); /* samples come in the order in which they were measured */
    size_t i;
    json_t *one;
    json_array_foreach(samples, i, one) {
        json_object_set(set, json_string_value(json_object_get(one, "config")), one);
    }
    if (samples) {
        json_object_set(json_object_get(extra, "tuning"), "samples", set);
    }
    json_decref(set);
    json_object_set_new(copy, "extra", extra);
    return copy;
}

int replay_check_attempt(struct run *run, int64_t seq)
{
    struct campaign *c = run->campaign;
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    struct err err = { 0 };
    int r = store_get(c->session->store, STORE_DB_ATTEMPTS,
                      record_attempt_key(arena, c->id, run->task->name, seq), arena, &at, &len, &err);
    if (r < 0) {
        campaign_fail(c, r, "an attempt that was just kept is missing");
        return r;
    }
    const json_t *was = find(c->replay->recording->attempts, run, seq);
    json_t *now = json_loadb(at, len, 0, NULL);
    json_t *a = was ? comparable(was) : NULL, *b = comparable(now);
    r = check(run, "attempt", seq, a, b);
    c->replay->result.attempts += r == 0;
    json_decref(a);
    json_decref(b);
    json_decref(now);
    return r;
}

const char *replay_verdict_key(const struct run *run, int64_t seq, const struct id *candidate,
                               struct arena *arena)
{
    json_t *extra = extra_of(find(run->campaign->replay->recording->attempts, run, seq));
    const char *found = NULL;
    char hex[ID_HEX];
    size_t i;
    json_t *one;
    id_hex(candidate, hex);
    json_array_foreach(json_object_get(extra, "judged"), i, one) {
        const char *judged = json_string_value(json_array_get(one, 0));
        const char *key = json_string_value(json_array_get(one, 1));
        if (judged && key && str_eq(judged, hex)) {
            found = arena_strdup(arena, key);
        }
    }
    json_decref(extra);
    return found;
}

bool replay_ended_as(const struct run *run, int64_t seq, const struct id *candidate)
{
    const json_t *was = find(run->campaign->replay->recording->attempts, run, seq);
    const char *ended = json_string_value(json_object_get(was, "candidate"));
    char hex[ID_HEX];
    id_hex(candidate, hex);
    return ended && str_eq(ended, hex);
}

json_t *replay_tuning(struct run *run, int64_t seq)
{
    json_t *extra = extra_of(find(run->campaign->replay->recording->attempts, run, seq));
    json_t *tuning = json_incref(json_object_get(extra, "tuning"));
    json_decref(extra);
    return tuning;
}

void campaign_replayed(const struct campaign *c, struct replay_result *ret)
{
    *ret = c->replay->result;
}

static int read_device(const json_t *json, struct device_info *ret, int *ret_gate, struct err *err)
{
    const char *name = "", *uuid = "", *arch = "", *driver = "", *compiler = "";
    int64_t gate = 0;
    *ret = (struct device_info) { 0 };
    int r = jread_string(json, "name", true, NULL, &name, err);
    r = r < 0 ? r : jread_string(json, "uuid", true, NULL, &uuid, err);
    r = r < 0 ? r : jread_string(json, "arch", true, NULL, &arch, err);
    r = r < 0 ? r : jread_string(json, "driver", true, NULL, &driver, err);
    r = r < 0 ? r : jread_string(json, "compiler", true, NULL, &compiler, err);
    r = r < 0 ? r : jread_bool(json, "modelled", true, NULL, &ret->modelled, err);
    r = r < 0 ? r : jread_int(json, "gate", true, 0, 1 << 30, NULL, &gate, err);
    r = r < 0 ? r : jread_int(json, "sm_count", true, 1, 1 << 20, NULL, &ret->facts.sm_count, err);
    r = r < 0 ? r : jread_int(json, "max_shared", true, 0, INT64_MAX, NULL, &ret->facts.max_shared,
                              err);
    r = r < 0 ? r : jread_int(json, "max_memory", true, 0, INT64_MAX, NULL, &ret->facts.max_memory,
                              err);
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->uuid, sizeof(ret->uuid), "%s", uuid);
    snprintf(ret->arch, sizeof(ret->arch), "%s", arch);
    snprintf(ret->facts.arch, sizeof(ret->facts.arch), "%s", arch);
    snprintf(ret->driver, sizeof(ret->driver), "%s", driver);
    snprintf(ret->compiler, sizeof(ret->compiler), "%s", compiler);
    *ret_gate = (int)gate;
    return r;
}

int replay_new(struct session *session, const struct recording *recording, struct replay **ret,
               struct err *err)
{
    const json_t *device = json_object_get(recording->devices, recording->campaign);
    struct replay *replay = xcalloc(1, sizeof(*replay));
    replay->recording = recording;
    replay->memory_order = -1;
    int r = device ? read_device(device, &replay->device, &session->recorded_gate, err)
                   : err_set(err, ERR_INVALID, "the record doesn't say on what device it ran");
    if (r < 0) {
        free(replay);
        return r;
    }
    session->recorded = &replay->device;
    *ret = replay;
    return 0;
}

void replay_free(struct replay *replay)
{
    free(replay);
}
