/* SPDX-License-Identifier: MIT */
#include "agent/kernelbench_protocol.h"
#include "base/jread.h"
#include "base/jwrite.h"
#include "base/util.h"
#include "evaluator/aside.h"
#include "evaluator/protocol.h"
#include "evaluator/pytorch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROTOCOL_VERSION = 3, RULES = 2 };
static const double excessive = 10; /* KernelBench's mark for a closer look */

static const enum protocol_rule every[RULES] = { PROTOCOL_RULE_KB, PROTOCOL_RULE_VERIFIED };
static const char *const baselines[RULES] = { "eager", "eager_tf32" };

struct asking {
    struct kernelbench_protocol_request request;
    kernelbench_protocol_cb done;
    void *ud;
    json_t *results;
    json_t *times[RULES]; /* PyTorch's, by rule */
    size_t rule;          /* whose time is being asked for */
    uv_timer_t later;
};

int kernelbench_rules_parse(const struct options *o, struct kernelbench_rules *ret, struct err *err)
{
    struct kernelbench_rules rules = { .exact = o->exact_inputs };
    auto_free char *copy = xstrdup(o->protocol ? o->protocol : "strict");
    char *save = NULL;
    for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        bool *rule = str_eq(name, "strict") ? &rules.strict
            : str_eq(name, "kb")            ? &rules.kb
            : str_eq(name, "verified")      ? &rules.verified
                                            : NULL;
        if (!rule) {
            return err_set(err, ERR_INVALID, "--protocol: \"%.40s\" is none of strict, kb, verified", name);
        }
        *rule = true;
    }
    if (!rules.strict && !rules.kb && !rules.verified) {
        return err_set(err, ERR_INVALID, "--protocol names nothing to judge by: strict, kb, verified");
    }
    *ret = rules;
    return 0;
}

bool kernelbench_verified_has(const struct problem *p)
{
    return p->level != 2 || (p->id != 23 && p->id != 80 && p->id != 83);
}

static bool wanted(const struct asking *a, size_t rule)
{
    const struct kernelbench_rules *rules = &a->request.rules;
    return every[rule] == PROTOCOL_RULE_KB
        ? rules->kb
        : rules->verified && kernelbench_verified_has(a->request.problem);
}

static const char *torch_version(const struct asking *a)
{
    const json_t *hello = pytorch_hello(evaluator_oracle(a->request.evaluator));
    const char *version = json_string_value(json_object_get(hello, "torch"));
    return version ? version : "";
}

/* What an answer depends on. PyTorch's time doesn't on task and candidate, but on the problem's file. */
static char *key_of(const struct asking *a, size_t rule, bool baseline)
{
    const struct kernelbench_protocol_request *q = &a->request;
    const struct device_info *d = evaluator_device(q->evaluator);
    const char *torch = torch_version(a);
    char how[64], hex[ID_HEX];
    snprintf(how, sizeof(how), "%d %s %s", PROTOCOL_VERSION, protocol_rule_name(every[rule]),
             baseline ? "baseline" : q->rules.exact ? "exact" : "own");
    const struct id *of[] = { baseline ? &q->problem->hash : &q->task->id,
                              baseline ? &q->problem->hash : &q->candidate->id };
    const struct id_part parts[] = {
        { of[0]->bytes, sizeof(of[0]->bytes) }, { of[1]->bytes, sizeof(of[1]->bytes) },
        { d->uuid, strlen(d->uuid) }, { d->name, strlen(d->name) }, { d->driver, strlen(d->driver) },
        { d->compiler, strlen(d->compiler) }, { torch, strlen(torch) }, { how, strlen(how) },
    };
    struct id id;
    id_of_parts(parts, ARRAY_LEN(parts), &id);
    id_hex(&id, hex);
    return xprintf("protocol/%s", hex);
}

static json_t *known(const struct asking *a, enum store_db db, const char *key)
{
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    json_t *json = NULL;
    struct store *store = a->request.session->store;
    bool fresh = a->request.fresh && db == STORE_DB_VERDICTS; /* PyTorch's time stays as it is */
    if (fresh || !store || store_get(store, db, key, arena, &at, &len, NULL) < 0
        || jread_parse(at, len, &json, NULL) < 0) {
        return NULL;
    }
    return json;
}

static void keep(const struct asking *a, enum store_db db, const char *key, const json_t *json)
{
    struct err err = { 0 };
    if (!a->request.session->store) {
        return;
    }
    auto_free char *text = json_compact(json);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, db, key, text, strlen(text));
    if (store_commit(a->request.session->store, batch, &err) < 0) { /* lost, it is asked for again */
        log_line(a->request.session->log, LOG_LEVEL_WARN, "kernelbench", "not kept: %s", err_text(&err));
    }
}

/* Adds what PyTorch takes, and how many times faster the candidate is by the rounded means, as both
 * protocols publish them. */
static void add_time(json_t *one, size_t rule, const json_t *time)
{
    static const char *const names[] = { "mean_us", "std_us", "min_us", "max_us", "n" };
    double mean = json_number_value(json_object_get(one, "mean_us"));
    double base = json_number_value(json_object_get(time, "mean_us"));
    json_object_set_new(one, "baseline", json_string(baselines[rule]));
    if (json_is_string(json_object_get(time, "error"))) {
        json_object_set(one, "unmeasured", json_object_get(time, "error"));
    }
    for (size_t i = 0; i < ARRAY_LEN(names) && base > 0; i++) {
        auto_free char *name = xprintf("baseline_%s", names[i]);
        json_object_set(one, name, json_object_get(time, names[i]));
    }
    if (every[rule] == PROTOCOL_RULE_VERIFIED && base > 0) {
        json_object_set(one, "baseline_bytes", json_object_get(time, "peak_bytes"));
    }
    if (mean > 0 && base > 0) {
        json_object_set_new(one, "speedup", json_real(base / mean));
        if (every[rule] == PROTOCOL_RULE_KB && base / mean > excessive) {
            json_object_set_new(one, "excessive_speedup", json_true());
        }
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct asking *a = handle->data;
    for (size_t i = 0; i < RULES; i++) {
        json_decref(a->times[i]);
    }
    json_decref(a->results);
    free(a);
}

static void on_later(uv_timer_t *timer)
{
    struct asking *a = timer->data;
    for (size_t i = 0; i < RULES; i++) {
        json_t *one = json_object_get(a->results, protocol_rule_name(every[i]));
        if (one && a->times[i]) {
            add_time(one, i, a->times[i]);
        }
    }
    a->done(a->ud, a->results);
    uv_close((uv_handle_t *)timer, on_closed);
}

static void ask_times(struct asking *a);

static void on_time(void *ud, int code, const json_t *answer, const char *error)
{
    struct asking *a = ud;
    const char *why = code < 0 ? error : json_string_value(json_object_get(answer, "error"));
    if (code < 0 || why) {
        a->times[a->rule] = json_pack("{s:o}", "error", json_text(why ? why : "", why ? strlen(why) : 0));
    } else if (answer) {
        auto_free char *key = key_of(a, a->rule, true);
        a->times[a->rule] = json_deep_copy(answer);
        keep(a, STORE_DB_DEVICES, key, answer);
    }
    a->rule = code == ERR_CANCELED ? RULES : a->rule + 1; /* the evaluator is going: nothing more is asked */
    ask_times(a);
}

/* Another candidate of the problem may have asked meanwhile. */
static json_t *time_question(void *ud)
{
    struct asking *a = ud;
    char hex[ID_HEX];
    auto_free char *key = key_of(a, a->rule, true);
    a->times[a->rule] = known(a, STORE_DB_DEVICES, key);
    id_hex(&a->request.problem->hash, hex);
    return a->times[a->rule]
        ? NULL
        : json_pack("{s:s,s:s,s:s,s:s}", "kind", "baseline", "problem", a->request.problem->path, "hash", hex,
                    "rule", protocol_rule_name(every[a->rule]));
}

/* PyTorch's time for what is correct, one rule after the other; then the end. */
static void ask_times(struct asking *a)
{
    const struct kernelbench_protocol_request *q = &a->request;
    for (; a->rule < RULES; a->rule++) {
        const json_t *one = json_object_get(a->results, protocol_rule_name(every[a->rule]));
        const char *status = json_string_value(json_object_get(one, "status"));
        if (!status || !str_eq(status, "correct") || evaluator_device(q->evaluator)->modelled) {
            continue;
        }
        auto_free char *key = key_of(a, a->rule, true);
        a->times[a->rule] = known(a, STORE_DB_DEVICES, key);
        if (a->times[a->rule]) {
            continue;
        }
        evaluator_aside(q->evaluator, time_question, on_time, a);
        return;
    }
    uv_timer_start(&a->later, on_later, 0, 0);
}

/* Would it say the same again? */
static bool is_final(const json_t *one)
{
    enum verdict_status status;
    const char *name = json_string_value(json_object_get(one, "status"));
    return name && (str_eq(name, "correct") || (verdict_status_parse(name, &status) && verdict_status_final(status)));
}

static void on_judged(void *ud, int code, const json_t *results, const char *error)
{
    struct asking *a = ud;
    for (size_t i = 0; i < RULES; i++) {
        const char *name = protocol_rule_name(every[i]);
        const json_t *one = json_object_get(results, name);
        if (!wanted(a, i) || json_object_get(a->results, name)) {
            continue;
        }
        if (code < 0 || !one) {
            const char *why = error ? error : err_name(code);
            json_object_set_new(a->results, name,
                                json_pack("{s:s,s:o}", "status", "error", "detail", json_text(why, strlen(why))));
            continue;
        }
        json_object_set_new(a->results, name, json_deep_copy(one));
        if (is_final(one)) {
            auto_free char *key = key_of(a, i, false);
            keep(a, STORE_DB_VERDICTS, key, one);
        }
    }
    ask_times(a);
}

void kernelbench_protocol(const struct kernelbench_protocol_request *request, kernelbench_protocol_cb done,
                          void *ud)
{
    struct asking *a = xcalloc(1, sizeof(*a));
    *a = (struct asking) { .request = *request, .done = done, .ud = ud, .results = json_object() };
    uv_timer_init(session_loop(request->session), &a->later);
    a->later.data = a;
    if (request->rules.verified && !kernelbench_verified_has(request->problem)) {
        json_object_set_new(a->results, "verified",
                            json_pack("{s:s,s:s,s:b}", "status", "unsupported", "detail", "KernelBench-Verified leaves this "
                                      "problem out: what comes out is zero whatever comes in", "left_out", 1));
    }
    unsigned missing = 0;
    for (size_t i = 0; i < RULES; i++) {
        auto_free char *key = key_of(a, i, false);
        json_t *one = wanted(a, i) ? known(a, STORE_DB_VERDICTS, key) : NULL;
        if (one) {
            json_object_set_new(a->results, protocol_rule_name(every[i]), one);
        } else if (wanted(a, i)) {
            missing |= every[i];
        }
    }
    if (!missing) {
        ask_times(a);
        return;
    }
    struct protocol_request judge = { .task = request->task, .candidate = request->candidate, .rules = missing,
                                      .exact = request->rules.exact, .deadline_ms = request->deadline_ms };
    evaluator_protocol(request->evaluator, &judge, on_judged, a);
}
