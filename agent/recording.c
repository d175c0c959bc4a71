/* SPDX-License-Identifier: MIT */
#include "agent/recording.h"
#include "agent/catalog.h"
#include "agent/ledger.h"
#include "agent/llm_record.h"
#include "agent/provider_model.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    struct store *store;
    FILE *out;
    const char *campaign;
    struct campaign_record record;
    json_t *extra;  /* the record's */
    json_t *done;   /* set of "db/key": what was written */
    bool failed;
};

static void put_line(struct writer *w, json_t *json)
{
    auto_free char *text = json_compact(json);
    json_decref(json);
    w->failed = fprintf(w->out, "%s\n", text) < 0 || w->failed;
}

static void put_file(struct writer *w, const char *path, const char *text, size_t len)
{
    put_line(w, json_pack("{s:s, s:s, s:o}", "kind", "file", "path", path, "text",
                          json_text(text, len)));
}

static int copy_file(struct writer *w, const char *from, const char *path, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    int r = file_read(from, JREAD_TEXT_MAX, &text, &len, err);
    if (r == 0) {
        put_file(w, path, text, len);
    }
    return r;
}

static void put_candidate(struct writer *w, const char *folder, const struct candidate *c)
{
    auto_free char *source = xprintf("%s/kernel.cu", folder);
    auto_free char *document = xprintf("%s/plan.json", folder);
    auto_free char *plan = json_pretty(c->plan->json);
    put_file(w, source, c->source, c->source_len);
    put_file(w, document, plan, strlen(plan));
}

static int put_item(struct writer *w, enum store_db db, const struct store_item *item,
                    struct err *err)
{
    auto_free char *name = xprintf("%s/%s", store_db_name(db), item->key);
    if (json_object_get(w->done, name)) {
        return 0;
    }
    json_t *value = NULL;
    int r = db == STORE_DB_CANDIDATES ? 0 : jread_parse(item->at, item->len, &value, err);
    if (r < 0) {
        return err_wrap(err, "%s", name);
    }
    if (db == STORE_DB_CANDIDATES) { /* a document and the source behind it */
        json_object_set_new(w->done, name, json_true());
        put_line(w, json_pack("{s:s, s:s, s:s, s:o}", "kind", "record", "db", store_db_name(db), "key",
                              item->key, "text", json_text(item->at, item->len)));
        return 0;
    }
    if (db == STORE_DB_CALLS) { /* the words are in the line of its own */
        json_object_set_new(value, "request", json_string(""));
    }
    json_object_set_new(w->done, name, json_true());
    put_line(w, json_pack("{s:s, s:s, s:s, s:o}", "kind", "record", "db", store_db_name(db), "key",
                          item->key, "value", value));
    return 0;
}

static int put_key(struct writer *w, enum store_db db, const char *key, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    if (!key || !*key) {
        return 0;
    }
    int r = store_get(w->store, db, key, arena, &at, &len, err);
    if (r < 0) {
        return r == ERR_NOTFOUND ? err_set(err, r, "%s/%s is missing", store_db_name(db), key) : r;
    }
    return put_item(w, db, &(struct store_item) { key, at, len }, err);
}

static int put_prefix(struct writer *w, enum store_db db, const char *prefix, struct err *err)
{
    enum { PAGE = 64 };
    auto_free char *after = NULL;
    for (;;) {
        auto_arena struct arena *arena = arena_new();
        struct store_item *items;
        size_t n;
        int r = store_scan(w->store, db, prefix, after, PAGE, arena, &items, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++) {
            r = put_item(w, db, &items[i], err);
        }
        if (r < 0 || n < PAGE) {
            return r;
        }
        free(after);
        after = xstrdup(items[n - 1].key);
    }
}

/* The line that `--llm replay:FILE` reads. */
static int put_call(struct writer *w, const struct call_record *c, struct arena *arena,
                    struct err *err)
{
    struct llm_message messages[LLM_MESSAGES_MAX];
    struct call_extra x;
    size_t n;
    if (!str_eq(c->state, "answered")) {
        return 0;
    }
    call_extra_read(c->extra, arena, &x);
    int r = model_request_read(w->store, c->request, arena, messages, LLM_MESSAGES_MAX, &n, err);
    if (r < 0) {
        return r;
    }
    struct llm_request request = { .key = x.key, .messages = messages, .n = n };
    struct llm_reply reply = { .error = "", .text = c->reply, .len = strlen(c->reply),
                               .usage = { .in = c->tokens_in, .cached = c->tokens_cached,
                                          .written = x.written, .out = c->tokens_out,
                                          .reasoning = x.reasoning },
                               .usage_known = x.usage_known,
                               .usd = x.usd_known ? c->usd : (double)NAN,
                               .model = c->model, .request_id = x.request_id, .tries = 1 };
    for (int stop = LLM_STOP_END; stop <= LLM_STOP_OTHER; stop++) {
        if (str_eq(x.stop, llm_stop_name((enum llm_stop)stop))) {
            reply.stop = (enum llm_stop)stop;
        }
    }
    auto_buf struct buf line;
    buf_init(&line, RECORDING_LINE_MAX);
    r = llm_record_call(&request, &reply, &line);
    if (r < 0) {
        return err_set(err, r, "call %s: its line is too long", x.key);
    }
    w->failed = fwrite(line.at, 1, line.len, w->out) != line.len || w->failed;
    return 0;
}

static int put_calls(struct writer *w, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    auto_free char *prefix = xprintf("%s/", w->campaign);
    struct call_record *calls;
    size_t n;
    int r = record_list_calls(w->store, w->campaign, NULL, arena, &calls, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = put_call(w, &calls[i], arena, err);
    }
    return r < 0 ? r : put_prefix(w, STORE_DB_CALLS, prefix, err);
}

/* A tuned form that lost wasn't always kept (replay_ended_as). */
static int put_judged(struct writer *w, const json_t *one, const struct attempt_record *a,
                      struct err *err)
{
    const char *candidate = json_string_value(json_array_get(one, 0));
    int r = put_key(w, STORE_DB_CANDIDATES, candidate, err);
    if (r == ERR_NOTFOUND && candidate && !str_eq(candidate, a->candidate)) {
        return 0;
    }
    return r < 0 ? r : put_key(w, STORE_DB_VERDICTS, json_string_value(json_array_get(one, 1)), err);
}

/* What one attempt stands on: its candidates and verdicts. What its tuning brought is its own. */
static int put_attempt(struct writer *w, const struct attempt_record *a, struct err *err)
{
    json_t *extra = json_loads(a->extra && *a->extra ? a->extra : "{}", 0, NULL);
    const json_t *judged = json_object_get(extra, "judged"), *one;
    size_t i;
    int r = put_key(w, STORE_DB_CANDIDATES, a->candidate, err);
    r = r < 0 ? r : put_key(w, STORE_DB_VERDICTS, a->verdict, err);
    json_array_foreach(judged, i, one) {
        r = r < 0 ? r : put_judged(w, one, a, err);
    }
    json_decref(extra);
    return r;
}

static const char *option(const struct writer *w, const char *name)
{
    return json_string_value(json_object_get(w->extra, name));
}

static int put_start(struct writer *w, const struct task *task, const char *base, struct err *err)
{
    struct catalog_family family = { 0 };
    struct candidate *given = NULL;
    const struct candidate *start = NULL;
    bool offline = str_eq(w->record.llm, "offline");
    int r = catalog_family(task->family, &family, err);
    for (size_t i = 0; r == 0 && i < family.n && (offline || i == 0); i++) {
        auto_free char *folder = xprintf("kernels/%s/%s", task->family, family.variants[i]->name);
        put_candidate(w, folder, family.variants[i]);
    }
    if (r == 0 && option(w, "start")) {
        r = catalog_candidate(option(w, "start"), task->family, &given, err);
    }
    start = given ? given : family.n ? family.variants[0] : NULL;
    if (r == 0 && start) {
        char hex[ID_HEX];
        id_hex(&start->id, hex);
        if (base && *base && !str_eq(base, hex)) {
            r = err_set(err, ERR_INVALID, "task %s: it began from candidate %.12s, but %s is %.12s now: "
                        "write the record with the program and files that ran it", task->name, base,
                        given ? option(w, "start") : start->name, hex);
        } else if (given) {
            put_candidate(w, "start", given);
        }
    }
    candidate_free(given);
    catalog_family_done(&family);
    return r;
}

static int put_task(struct writer *w, const char *name, const char *given, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct task *task = NULL;
    struct attempt_record *attempts;
    struct candidate *baseline = NULL;
    size_t n = 0;
    const char *base = NULL;
    int r = catalog_task(given, &task, err);
    if (r < 0) {
        return r;
    }
    const char *const parts[] = { "task.json", "reference.cu" };
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
        auto_free char *from = xprintf("%s/%s", task->folder, parts[i]);
        auto_free char *path = xprintf("kernelbench/tasks/%s/%s", name, parts[i]);
        r = file_exists(from) ? copy_file(w, from, path, err) : 0;
    }
    r = r < 0 ? r : record_list_attempts(w->store, w->campaign, name, arena, &attempts, &n, err);
    json_t *extra = r == 0 && n ? json_loads(attempts[0].extra, 0, NULL) : NULL;
    base = json_string_value(json_object_get(extra, "base"));
    r = r < 0 ? r : put_start(w, task, base, err);
    json_decref(extra);
    if (r == 0 && option(w, "baseline")) {
        r = catalog_candidate(option(w, "baseline"), task->family, &baseline, err);
        if (r == 0) {
            put_candidate(w, "baseline", baseline);
        }
        candidate_free(baseline);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = put_attempt(w, &attempts[i], err);
    }
    task_free(task);
    return r;
}

static int put_seeds(struct writer *w, struct err *err)
{
    auto_free char *folder = NULL;
    int r = file_find_shipped("kernels/memory", &folder, err);
    struct dirent **found = NULL;
    int n = r < 0 ? 0 : scandir(folder, &found, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        size_t len = strlen(name);
        if (r == 0 && len > 5 && str_eq(name + len - 5, ".json")) {
            auto_free char *from = xprintf("%s/%s", folder, name);
            auto_free char *path = xprintf("kernels/memory/%s", name);
            r = copy_file(w, from, path, err);
        }
        free(found[i]);
    }
    free(found);
    return r;
}

static int put_all(struct writer *w, struct err *err)
{
    const json_t *names = json_object_get(w->extra, "names");
    if (json_array_size(names) != w->record.n_tasks) {
        return err_set(err, ERR_VERSION, "campaign %s was run by an older program, which kept too "
                       "little for a record", w->campaign);
    }
    put_line(w, json_pack("{s:s, s:i, s:s, s:O, s:b, s:b}", "kind", "recording", "format",
                          RECORDING_FORMAT, "campaign", w->campaign, "tasks", names, "start",
                          option(w, "start") != NULL, "baseline", option(w, "baseline") != NULL));
    auto_free char *prefix = xprintf("%s/", w->campaign);
    int r = put_seeds(w, err);
    for (size_t i = 0; r == 0 && i < w->record.n_tasks; i++) {
        r = put_task(w, json_string_value(json_array_get(names, i)), w->record.tasks[i], err);
    }
    r = r < 0 ? r : put_key(w, STORE_DB_CAMPAIGNS, w->campaign, err);
    r = r < 0 ? r : put_key(w, STORE_DB_DEVICES, w->campaign, err);
    r = r < 0 ? r : put_prefix(w, STORE_DB_DEVICES, prefix, err);
    r = r < 0 ? r : put_prefix(w, STORE_DB_CHOICES, prefix, err);
    r = r < 0 ? r : put_prefix(w, STORE_DB_ATTEMPTS, prefix, err);
    return r < 0 ? r : put_calls(w, err);
}

int recording_write(struct store *store, const char *campaign, const char *path, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct writer w = { .store = store, .campaign = campaign };
    int r = record_get_campaign(store, campaign, arena, &w.record, err);
    if (r < 0) {
        return r == ERR_NOTFOUND
            ? err_set(err, r, "no campaign \"%s\" in %s; warpsmith report lists them", campaign,
                      store_path(store))
            : r;
    }
    auto_free char *part = xprintf("%s.part", path);
    w.out = fopen(part, "we");
    if (!w.out) {
        return err_set(err, -errno, "%s: %s", part, strerror(errno));
    }
    w.extra = json_loads(*w.record.extra ? w.record.extra : "{}", 0, NULL);
    w.done = json_object();
    r = put_all(&w, err);
    json_decref(w.extra);
    json_decref(w.done);
    bool closed = fclose(w.out) == 0;
    if (r == 0 && (w.failed || !closed || rename(part, path) < 0)) {
        r = err_set(err, errno ? -errno : -EIO, "%s: %s", path, strerror(errno ? errno : EIO));
    }
    if (r < 0) {
        remove(part);
    }
    return r;
}
