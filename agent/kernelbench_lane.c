/* SPDX-License-Identifier: MIT */
/*
 * One device's way through the problems of a run:
 *
 *     TIMES (PyTorch's own) -> JUDGE (strictly, those without a verdict) -> PROTOCOLS -> FACTS (how the
 *     reference ran) -> KEEP -> the next
 *
 * A lane waits for one kind of thing at a time, and PyTorch is never timed while a candidate is. Callbacks
 * store what came, and when nothing is awaited any more the lane goes on.
 */
#include "agent/kernelbench_run.h"
#include "base/jread.h"
#include "base/jwrite.h"
#include "base/util.h"
#include "evaluator/aside.h"
#include "memory/record.h"

#include <stdlib.h>
#include <string.h>

enum stage { STAGE_NEXT, STAGE_TIMES, STAGE_JUDGE, STAGE_PROTOCOLS, STAGE_FACTS, STAGE_KEEP, STAGE_DONE };

struct lane {
    struct running *run;
    struct session *session; /* the device's */
    struct item *item;       /* in hand */
    enum stage stage;
    size_t waiting, compiling;
    bool advancing;
    json_t *missing; /* names of PyTorch's times that are to be measured */
    int code;
    struct err err;
};

static void advance(struct lane *lane);

static void put(struct lane *lane, enum store_db db, const char *key, const json_t *json)
{
    struct err err = { 0 };
    auto_free char *text = json_compact(json);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, db, key, text, strlen(text));
    if (store_commit(lane->session->store, batch, &err) < 0) { /* lost, it is asked for again */
        log_line(lane->session->log, LOG_LEVEL_WARN, "kernelbench", "not kept: %s", err_text(&err));
    }
}

static json_t *get(struct lane *lane, enum store_db db, const char *key)
{
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    json_t *json = NULL;
    if (lane->run->options.fresh || store_get(lane->session->store, db, key, arena, &at, &len, NULL) < 0
        || jread_parse(at, len, &json, NULL) < 0) {
        return NULL;
    }
    return json;
}

static void arrived(struct lane *lane)
{
    lane->waiting--;
    advance(lane);
}

/* PyTorch's own time by one variant depends on the problem, the device and the versions. */
static char *times_key(const struct lane *lane, const char *variant)
{
    const struct device_info *d = session_device(lane->session);
    char hex[ID_HEX];
    id_hex(&lane->item->problem->hash, hex);
    return xprintf("pytorch/%s/%s/%s/%s/%s", d->uuid, d->driver, kernelbench_run_torch(lane->session), variant, hex);
}

static void on_times(void *ud, int code, const json_t *answer, const char *error)
{
    struct lane *lane = ud;
    const char *why = json_string_value(json_object_get(answer, "error")), *variant;
    json_t *times = json_object_get(answer, "baselines"), *time;
    json_object_foreach(times, variant, time)
    {
        auto_free char *key = times_key(lane, variant);
        json_object_set(lane->item->times, variant, time);
        if (!json_object_get(time, "error")) {
            put(lane, STORE_DB_DEVICES, key, time);
        }
    }
    if (code < 0 || !times) {
        lane->item->unmeasured = arena_strdup(lane->run->arena, why ? why : error ? error : err_name(code));
    }
    arrived(lane);
}

static json_t *times_question(void *ud)
{
    struct lane *lane = ud;
    const struct problem *p = lane->item->problem;
    char hex[ID_HEX];
    id_hex(&p->hash, hex);
    return json_pack("{s:s,s:s,s:s,s:O}", "kind", "baseline", "problem", p->path, "hash", hex, "variants",
                     lane->missing);
}

/* Those that the store has, and the rest asked for. The other rules bring their own. */
static void begin_times(struct lane *lane)
{
    struct running *run = lane->run;
    struct item *item = lane->item;
    const char *wanted = run->options.pytorch ? run->options.pytorch : run->rules.strict ? "eager,eager_tf32" : "none";
    bool nothing = !item->task || !item->n;
    if (session_device(lane->session)->modelled || nothing || str_eq(wanted, "none")) {
        return;
    }
    auto_free char *copy = xstrdup(wanted);
    char *save = NULL;
    item->times = json_object();
    json_array_clear(lane->missing);
    for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        auto_free char *key = times_key(lane, name);
        json_t *known = get(lane, STORE_DB_DEVICES, key);
        if (known) {
            json_object_set_new(item->times, name, known);
        } else {
            json_array_append_new(lane->missing, json_string(name));
        }
    }
    if (json_array_size(lane->missing)) {
        lane->waiting++;
        evaluator_aside(lane->session->evaluator, times_question, on_times, lane);
    }
}

static void on_judged(void *ud, int code, const struct verdict *v, const char *error)
{
    struct entry *e = ud;
    struct lane *lane = e->item->lane;
    if (code < 0) {
        e->error = xstrdup(error ? error : err_name(code));
    } else {
        e->verdict = verdict_json(v);
        if (verdict_status_final(v->status)) {
            put(lane, STORE_DB_VERDICTS, e->key, e->verdict);
        }
    }
    arrived(lane);
}

/* All of a problem at once: what one compiles while another is on the device is time won. */
static void begin_judging(struct lane *lane)
{
    const struct running *run = lane->run;
    struct item *item = lane->item;
    for (size_t i = 0; run->rules.strict && item->task && i < item->n; i++) {
        struct entry *e = &item->entries[i];
        if (!e->candidate || e->verdict || e->error) {
            continue;
        }
        e->key = xstrdup(session_verdict_key(lane->session, run->arena, item->task, e->candidate, NULL));
        e->verdict = get(lane, STORE_DB_VERDICTS, e->key);
        e->known = e->verdict != NULL;
        if (!e->known) {
            struct judge_request request = { .task = item->task, .candidate = e->candidate,
                                             .depth = JUDGE_DEPTH_FULL,
                                             .deadline_ms = (uint64_t)(run->options.deadline_s * 1000) };
            lane->waiting++;
            evaluator_judge(lane->session->evaluator, &request, on_judged, e);
        }
    }
}

static void on_protocols(void *ud, const json_t *results)
{
    struct entry *e = ud;
    e->protocols = json_deep_copy(results);
    arrived(e->item->lane);
}

/* Other rules say something of whatever ran at all: they may take what the strict one doesn't. Of a
 * campaign's attempts only the best is of interest. */
static bool wants_protocols(const struct running *run, const struct item *item, const struct entry *e)
{
    static const char *const never_ran[] = { "compile_error", "plan_error", "unsupported", "timeout", "crash" };
    const char *status = json_string_value(json_object_get(e->verdict, "status"));
    bool wanted = (run->rules.kb || run->rules.verified) && e->candidate && !e->error;
    for (size_t i = 0; status && i < ARRAY_LEN(never_ran); i++) {
        wanted = wanted && !str_eq(status, never_ran[i]);
    }
    return wanted && (!run->campaign || e == kernelbench_item_best(item));
}

static void begin_protocols(struct lane *lane)
{
    const struct running *run = lane->run;
    struct item *item = lane->item;
    for (size_t i = 0; item->task && i < item->n; i++) {
        struct entry *e = &item->entries[i];
        if (!wants_protocols(run, item, e)) {
            continue;
        }
        struct kernelbench_protocol_request request = {
            .session = lane->session, .evaluator = lane->session->evaluator, .rules = run->rules,
            .problem = item->problem, .task = item->task, .candidate = e->candidate,
            .deadline_ms = (uint64_t)(run->options.deadline_s * 1000), .fresh = run->options.fresh,
        };
        lane->waiting++;
        kernelbench_protocol(&request, on_protocols, e);
    }
}

static void on_facts(void *ud, int code, const json_t *answer, const char *error)
{
    struct lane *lane = ud;
    (void)error;
    if (code == 0 && json_object_get(answer, "method")) {
        lane->item->facts = json_deep_copy(answer);
        json_object_del(lane->item->facts, "ok");
    }
    arrived(lane);
}

/* By how much PyTorch's f32 misses double, and what took its time; the oracle forgets it then. */
static void begin_facts(struct lane *lane)
{
    const struct item *item = lane->item;
    if (!item->task || !item->n) {
        return;
    }
    const char *file = strrchr(item->problem->path, '/') + 1;
    auto_free char *path = item->folder ? xprintf("%s/%s", item->folder, file) : xstrdup(item->problem->path);
    lane->waiting++;
    pytorch_ask(evaluator_oracle(lane->session->evaluator),
                json_pack("{s:s,s:s}", "kind", "facts", "problem", path), 0, on_facts, lane);
}

static void count(struct running *run, const struct item *item)
{
    bool said = item->code == ERR_UNSUPPORTED || item->code == ERR_NOTFOUND || item->code == ERR_CANCELED;
    run->troubled += item->why && !said;
    for (size_t i = 0; i < item->n; i++) {
        const struct entry *e = &item->entries[i];
        run->accepted += kernelbench_item_accepted(e);
        run->troubled += e->error != NULL;
        run->known += e->known;
        run->judged += e->verdict && !e->known;
    }
}

/* Where there's no campaign, whose ledger says it: device seconds of judgements that were made now. */
static json_t *cost_of(const struct item *item)
{
    double device_s = 0;
    for (size_t i = 0; i < item->n; i++) {
        const struct entry *e = &item->entries[i];
        device_s += e->known ? 0 : json_number_value(json_object_get(e->verdict, "device_s"));
    }
    return json_pack("{s:f,s:i,s:f,s:f}", "usd", 0.0, "tokens", 0, "gpu_s", device_s, "wall_s",
                     (double)(clock_ns() - item->began_ns) * 1e-9);
}

/* What it came to is in a file; nothing of it stays in memory. */
static int keep(struct lane *lane)
{
    struct item *item = lane->item;
    item->cost = item->cost || !item->n ? item->cost : cost_of(item);
    int r = kernelbench_item_keep(item, &lane->err);
    count(lane->run, item);
    if (!kernelbench_run_quiet(lane->run)) {
        kernelbench_item_tell(item);
    }
    kernelbench_item_drop(item);
    return r;
}

static void begin(struct lane *lane, enum stage stage)
{
    switch (stage) {
    case STAGE_TIMES:
        begin_times(lane);
        break;
    case STAGE_JUDGE:
        begin_judging(lane);
        break;
    case STAGE_PROTOCOLS:
        begin_protocols(lane);
        break;
    case STAGE_FACTS:
        begin_facts(lane);
        break;
    case STAGE_KEEP:
        lane->code = keep(lane);
        break;
    case STAGE_NEXT:
        break;
    case STAGE_DONE:
        break;
    }
}

/* Of a campaign --wall is the proposing: what came of it is finished. */
static bool time_is_up(const struct running *run)
{
    double most = run->campaign ? 0 : run->options.wall_s;
    return most > 0 && (double)(clock_ns() - run->began_ns) * 1e-9 >= most;
}

static bool take_item(struct lane *lane)
{
    struct running *run = lane->run;
    if (lane->code < 0 || run->next == run->n || time_is_up(run)) {
        return false;
    }
    lane->item = &run->items[run->next++];
    lane->item->lane = lane;
    lane->item->began_ns = clock_ns();
    return true;
}

static void advance(struct lane *lane)
{
    if (lane->advancing) {
        return; /* something called back from inside: the loop below sees to it */
    }
    lane->advancing = true;
    while (!lane->waiting && lane->stage != STAGE_DONE) {
        lane->stage = lane->stage == STAGE_KEEP ? STAGE_NEXT : lane->stage + 1;
        if (lane->stage == STAGE_TIMES && !take_item(lane)) {
            lane->stage = STAGE_DONE;
            lane->run->busy--;
            break;
        }
        begin(lane, lane->stage);
    }
    lane->advancing = false;
}

static void on_image(void *ud, int code, const void *bytes, size_t len, const char *error)
{
    struct lane *lane = ud;
    (void)code; /* the judgement says what is wrong with it */
    (void)bytes;
    (void)len;
    (void)error;
    lane->compiling--;
}

/* What comes later is compiled while the first ones run; whoever takes it finds it in the folder of images. */
static void begin_compiling(struct lane *lane)
{
    const struct running *run = lane->run;
    for (size_t i = (size_t)(lane - run->lanes); i < run->n; i += run->n_lanes) {
        const struct item *item = &run->items[i];
        for (size_t k = 0; item->task && k < item->n && !item->entries[k].verdict; k++) {
            if (item->entries[k].candidate) {
                lane->compiling++;
                evaluator_image(lane->session->evaluator, item->task, item->entries[k].candidate, on_image, lane);
            }
        }
    }
}

/* Whose callbacks still have a lane. */
static bool compiling(const struct running *run)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_lanes; i++) {
        n += run->lanes[i].compiling;
    }
    return n > 0;
}

int kernelbench_lanes(struct running *run, struct err *err)
{
    int r = 0;
    run->n_lanes = session_devices(&run->session);
    run->lanes = xcalloc(run->n_lanes, sizeof(*run->lanes));
    run->busy = run->n_lanes;
    for (size_t i = 0; i < run->n_lanes; i++) {
        run->lanes[i] = (struct lane) { .run = run, .session = session_nth(&run->session, i),
                                         .missing = json_array() };
    }
    for (size_t i = 0; i < run->n_lanes; i++) {
        advance(&run->lanes[i]);
        begin_compiling(&run->lanes[i]);
    }
    while ((run->busy || compiling(run)) && uv_run(&run->session.loop, UV_RUN_ONCE)) {
    }
    for (size_t i = 0; i < run->n_lanes; i++) {
        struct lane *lane = &run->lanes[i];
        r = r < 0 || lane->code == 0 ? r : err_set(err, lane->code, "%s", err_text(&lane->err));
        json_decref(lane->missing);
    }
    if (r == 0 && run->busy) {
        r = err_set(err, ERR_BUG, "the loop ended before the problems did");
    }
    free(run->lanes);
    run->lanes = NULL;
    return r;
}
