/* SPDX-License-Identifier: MIT */
#include "agent/session.h"
#include "agent/catalog.h"
#include "agent/ceilings_keep.h"
#include "base/jread.h"
#include "base/util.h"
#include "evaluator/pytorch.h"
#include "graph/htg_seed.h"
#include "memory/node.h"

#include <stdlib.h>
#include <string.h>

enum { SCAN_PAGE = 4096 };

static int load_stats(struct session *s, struct err *err)
{
    auto_free char *after = NULL;
    for (;;) {
        auto_arena struct arena *arena = arena_new();
        struct store_item *items;
        size_t n;
        int r = store_scan(s->store, STORE_DB_STATS, "", after, SCAN_PAGE, arena, &items, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++) {
            struct store_stat stat;
            r = store_stat_read(&items[i], &stat, err);
            struct tally tally = { .n = (int64_t)stat.n, .failures = (int64_t)stat.failures,
                                   .mean = stat.mean, .m2 = stat.m2 };
            r = r < 0 ? r : htg_stat_set(s->htg, items[i].key, &tally, err);
        }
        if (r < 0) {
            return r;
        }
        if (n < SCAN_PAGE) {
            return 0;
        }
        free(after);
        after = xstrdup(items[n - 1].key);
    }
}

/* Examples that won: {"strategy", "candidate", "context", "gain"} under kind "example". */
static int load_example(struct session *s, const char *text, struct err *err)
{
    json_t *json = NULL;
    int r = jread_parse(text, strlen(text), &json, err);
    if (r < 0) {
        return r;
    }
    const char *strategy = "", *candidate = "", *context = "";
    struct htg_example example = { 0 };
    r = jread_string(json, "strategy", true, NULL, &strategy, err);
    r = r < 0 ? r : jread_string(json, "candidate", true, NULL, &candidate, err);
    r = r < 0 ? r : jread_string(json, "context", true, NULL, &context, err);
    r = r < 0 ? r : jread_real(json, "gain", true, -10, 10, NULL, &example.gain, err);
    r = r < 0 ? r : context_parse(context, &example.context, err);
    if (r == 0) {
        snprintf(example.candidate, sizeof(example.candidate), "%s", candidate);
        /* A strategy that this program no longer ships is no error. */
        if (htg_find_strategy(s->htg, strategy) >= 0) {
            r = htg_add_example(s->htg, strategy, &example, err);
        }
    }
    json_decref(json);
    return r;
}

static int load_nodes(struct session *s, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct node_record *items;
    size_t n;
    int r = node_list(s->store, NULL, arena, &items, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (str_eq(items[i].kind, "example")) {
            r = load_example(s, items[i].json, err);
        } else if (str_eq(items[i].kind, "strategy") && htg_find_strategy(s->htg, items[i].id) < 0) {
            json_t *json = NULL;
            r = jread_parse(items[i].json, strlen(items[i].json), &json, err);
            r = r < 0 ? r : htg_seed_strategy(s->htg, json, err);
            json_decref(json);
        }
        if (r < 0) {
            err_wrap(err, "store %s: node %s/%s", store_path(s->store), items[i].kind, items[i].id);
        }
    }
    return r;
}

static int open_memory(struct session *s, struct err *err)
{
    int r = catalog_memory(&s->htg, err);
    if (r == 0 && s->store) {
        r = load_nodes(s, err);
        r = r < 0 ? r : load_stats(s, err);
    }
    return r;
}

static int open_evaluator(struct session *s, const char *gpu, bool oracle, struct err *err)
{
    auto_free char *cache = s->store ? xprintf("%s/images", store_path(s->store)) : NULL;
    struct evaluator_options options = {
        .gpu = gpu,
        .compile_workers = (size_t)s->options->jobs,
        .cache = cache,
        .oracle = oracle,
        .log = s->log,
    };
    int r = evaluator_open(session_loop(s), &options, &s->evaluator, err);
    if (r == 0) {
        ceilings_keep(s);
    }
    return r;
}

int session_evaluator(struct session *s, bool oracle, struct err *err)
{
    return open_evaluator(s, s->options->gpu, oracle, err);
}

/* One more device's session, behind `last`. */
static int open_next(struct session *s, struct session **last, const char *gpu, bool oracle, struct err *err)
{
    struct session *one = xcalloc(1, sizeof(*one));
    *one = (struct session) { .options = s->options, .log = s->log, .store = s->store, .htg = s->htg, .first = s };
    int r = open_evaluator(one, gpu, oracle, err);
    for (const struct session *at = s; r == 0 && at; at = at->more) {
        const struct device_info *d = session_device(at), *mine = session_device(one);
        r = !str_eq(d->uuid, mine->uuid) || d->modelled
            ? 0 : err_set(err, ERR_INVALID, "--gpu: device %s is named twice", gpu);
    }
    if (r < 0) {
        evaluator_close(one->evaluator);
        free(one);
        return r;
    }
    (*last)->more = one;
    *last = one;
    return 0;
}

/* "0,1" or "all": the first is the session's, each other one has a session beside it. */
static int open_several(struct session *s, bool oracle, struct err *err)
{
    bool all = str_eq(s->options->gpu, "all");
    auto_free char *list = xstrdup(all ? "0" : s->options->gpu);
    char *save = NULL;
    struct session *last = s;
    const char *gpu = strtok_r(list, ",", &save);
    int r = open_evaluator(s, gpu ? gpu : "", oracle, err);
    size_t n = 1;
    while (r == 0 && !all && (gpu = strtok_r(NULL, ",", &save))) {
        r = n++ < SESSION_DEVICES_MAX
            ? open_next(s, &last, gpu, oracle, err)
            : err_set(err, ERR_INVALID, "--gpu: at most %d devices", SESSION_DEVICES_MAX);
    }
    for (bool more = r == 0 && all; more && n < SESSION_DEVICES_MAX; n++) { /* until there's no such device */
        auto_free char *index = xprintf("%zu", n);
        struct err none = { 0 };
        more = open_next(s, &last, index, oracle, &none) == 0;
    }
    return r;
}

uv_loop_t *session_loop(struct session *s)
{
    return s->first ? &s->first->loop : &s->loop;
}

size_t session_devices(const struct session *s)
{
    size_t n = 0;
    for (; s; s = s->more) {
        n++;
    }
    return n;
}

struct session *session_nth(struct session *s, size_t index)
{
    while (index-- > 0) {
        s = s->more;
    }
    return s;
}

int session_open(struct session *s, const struct options *options, int parts, struct err *err)
{
    *s = (struct session) { .options = options, .log = &options->log };
    int r = uv_loop_init(&s->loop);
    if (r < 0) {
        return err_set(err, r, "can't make an event loop: %s", uv_strerror(r));
    }
    s->loop_open = true;
    if (parts & (SESSION_STORE | SESSION_STORE_READ)) {
        struct store_options store = { .loop = &s->loop,
                                       .read_only = (parts & SESSION_STORE_READ) != 0 };
        r = store_open(options->store, &store, &s->store, err);
    }
    r = r == 0 && (parts & SESSION_MEMORY) ? open_memory(s, err) : r;
    bool oracle = (parts & SESSION_ORACLE) != 0;
    r = r < 0 || !(parts & SESSION_EVALUATOR) ? r
        : parts & SESSION_SEVERAL             ? open_several(s, oracle, err)
                                              : session_evaluator(s, oracle, err);
    if (r < 0) {
        session_close(s);
    }
    return r;
}

void session_close(struct session *s)
{
    if (!s->loop_open) {
        return;
    }
    for (const struct session *one = s; one; one = one->more) {
        evaluator_close(one->evaluator);
    }
    store_close(s->store);
    htg_free(s->htg);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    require(uv_loop_close(&s->loop) == 0);
    while (s->more) {
        struct session *next = s->more->more;
        free(s->more);
        s->more = next;
    }
    *s = (struct session) { 0 };
}

const struct device_info *session_device(const struct session *s)
{
    return s->recorded ? s->recorded : evaluator_device(s->evaluator);
}

int session_gate(const struct session *s)
{
    return s->recorded ? s->recorded_gate : EVALUATOR_GATE_VERSION;
}

char *session_verdict_key(const struct session *s, struct arena *arena, const struct task *task,
                          const struct candidate *candidate, const struct candidate *baseline)
{
    const struct device_info *d = session_device(s);
    /* What is right by an oracle depends on its version, too. */
    const json_t *oracle = task->oracle && s->evaluator && evaluator_oracle(s->evaluator)
        ? pytorch_hello(evaluator_oracle(s->evaluator)) : NULL;
    const char *torch = json_string_value(json_object_get(oracle, "torch"));
    char gate[96];
    snprintf(gate, sizeof(gate), "strict %d%s%.48s", session_gate(s), torch ? " PyTorch " : "", torch ? torch : "");
    const struct id_part parts[] = {
        { candidate->id.bytes, sizeof(candidate->id.bytes) },
        { task->id.bytes, sizeof(task->id.bytes) },
        { baseline ? baseline->id.bytes : NULL, baseline ? sizeof(baseline->id.bytes) : 0 },
        { d->uuid, strlen(d->uuid) },
        { d->name, strlen(d->name) },
        { d->driver, strlen(d->driver) },
        { d->compiler, strlen(d->compiler) },
        { gate, strlen(gate) },
    };
    struct id id;
    char hex[ID_HEX];
    id_of_parts(parts, ARRAY_LEN(parts), &id);
    id_hex(&id, hex);
    return arena_strdup(arena, hex);
}

void session_model_options(const struct options *o, struct llm_options *ret)
{
    llm_options_init(ret);
    ret->model = o->model;
    ret->base_url = o->base_url;
    ret->key_file = o->key_file;
    ret->ca_file = o->ca;
    ret->proxy = o->proxy;
    ret->prices = o->prices;
    ret->max_tokens = o->max_tokens;
    ret->temperature = o->temperature;
    ret->timeout_s = o->llm_timeout;
    ret->log = &o->log;
}
