/* SPDX-License-Identifier: MIT */
#include "agent/ledger.h"
#include "base/jread.h"
#include "base/util.h"

#include <string.h>

static const char *text_of(const json_t *json, const char *key, struct arena *arena)
{
    const char *s = json_string_value(json_object_get(json, key));
    return arena_strdup(arena, s ? s : "");
}

void call_extra_read(const char *text, struct arena *arena, struct call_extra *ret)
{
    json_t *json = json_loads(text && *text ? text : "{}", 0, NULL);
    *ret = (struct call_extra) {
        .key = text_of(json, "key", arena),
        .stop = text_of(json, "stop", arena),
        .kind = text_of(json, "kind", arena),
        .request_id = text_of(json, "request_id", arena),
        .sends = json_integer_value(json_object_get(json, "sends")),
        .usage_known = json_is_true(json_object_get(json, "usage_known")),
        .usd_known = json_is_true(json_object_get(json, "usd_known")),
        .tokens_reserved = json_integer_value(json_object_get(json, "tokens_reserved")),
        .tokens_bound = json_integer_value(json_object_get(json, "tokens_bound")),
        .tokens_unsure = json_integer_value(json_object_get(json, "tokens_unsure")),
        .written = json_integer_value(json_object_get(json, "written")),
        .reasoning = json_integer_value(json_object_get(json, "reasoning")),
        .usd_unsure = json_number_value(json_object_get(json, "usd_unsure")),
    };
    json_decref(json);
}

char *call_extra_text(const struct call_extra *x)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:f}", "key", x->key, "stop",
        x->stop, "kind", x->kind, "request_id", x->request_id, "sends", (json_int_t)x->sends,
        "usage_known", x->usage_known, "usd_known", x->usd_known, "tokens_reserved",
        (json_int_t)x->tokens_reserved, "tokens_bound", (json_int_t)x->tokens_bound, "tokens_unsure",
        (json_int_t)x->tokens_unsure, "written", (json_int_t)x->written, "reasoning",
        (json_int_t)x->reasoning, "usd_unsure", x->usd_unsure);
    char *text = json_canonical(json);
    json_decref(json);
    return text;
}

static void add_call(struct ledger_line *line, const struct call_record *c, struct arena *arena)
{
    struct call_extra x;
    call_extra_read(c->extra, arena, &x);
    line->calls++;
    line->corrections += str_eq(x.kind, "correction");
    line->repairs += str_eq(x.kind, "repair");
    line->usd_unsure += x.usd_unsure;
    line->tokens_unsure += x.tokens_unsure;
    if (str_eq(c->state, "intent")) {
        line->open++;
        line->usd_reserved += c->reserved_usd;
        line->tokens_reserved += x.tokens_reserved;
    } else {
        bool answered = str_eq(c->state, "answered");
        line->answered += answered;
        line->failed += !answered; /* one whose reply was too long has its price all the same */
        line->usd += c->usd;
        line->tokens_in += c->tokens_in;
        line->tokens_cached += c->tokens_cached;
        line->tokens_out += c->tokens_out;
        line->unpriced += answered && !x.usd_known;
        line->unknown += answered && !x.usage_known;
        line->tokens_bound += x.usage_known ? 0 : x.tokens_bound;
    }
}

static void add_attempt(struct ledger_line *line, const struct attempt_record *a)
{
    json_t *extra = json_loads(a->extra && *a->extra ? a->extra : "{}", 0, NULL);
    line->attempts++;
    line->accepted += str_eq(a->status, "accepted");
    line->device_s += json_number_value(json_object_get(extra, "device_s"));
    json_decref(extra);
}

static void add_line(struct ledger_line *sum, const struct ledger_line *x)
{
    sum->calls += x->calls;
    sum->answered += x->answered;
    sum->failed += x->failed;
    sum->open += x->open;
    sum->corrections += x->corrections;
    sum->repairs += x->repairs;
    sum->tokens_in += x->tokens_in;
    sum->tokens_cached += x->tokens_cached;
    sum->tokens_out += x->tokens_out;
    sum->tokens_unsure += x->tokens_unsure;
    sum->unknown += x->unknown;
    sum->tokens_bound += x->tokens_bound;
    sum->unpriced += x->unpriced;
    sum->usd += x->usd;
    sum->usd_unsure += x->usd_unsure;
    sum->usd_reserved += x->usd_reserved;
    sum->tokens_reserved += x->tokens_reserved;
    sum->attempts += x->attempts;
    sum->accepted += x->accepted;
    sum->device_s += x->device_s;
}

/* Walks the records of a campaign in pages, so that its prompts and replies are never all in memory. */
static int walk_calls(struct store *store, const char *campaign, const char *task,
                      struct ledger_line *line, struct err *err)
{
    enum { PAGE = 64 };
    auto_free char *after = NULL;
    for (;;) {
        auto_arena struct arena *arena = arena_new();
        const char *parts[] = { campaign, task };
        auto_free char *prefix = xprintf("%s/", record_key(arena, parts, task ? 2 : 1));
        struct store_item *items;
        size_t n;
        int r = store_scan(store, STORE_DB_CALLS, prefix, after, PAGE, arena, &items, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++) {
            struct call_record record;
            r = record_read_call(&items[i], arena, &record, err);
            if (r == 0) {
                add_call(line, &record, arena);
            }
        }
        if (r < 0 || n < PAGE) {
            return r;
        }
        free(after);
        after = xstrdup(items[n - 1].key);
    }
}

static int walk_attempts(struct store *store, const char *campaign, const char *task,
                         struct ledger_line *line, struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct attempt_record *records;
    size_t n;
    int r = record_list_attempts(store, campaign, task, arena, &records, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        add_attempt(line, &records[i]);
    }
    return r;
}

/* The names that its records stand under: a task that was given as a folder has one of its own. */
static void read_names(const struct campaign_record *record, struct arena *arena,
                       struct ledger_line *lines)
{
    json_t *extra = json_loads(record->extra && *record->extra ? record->extra : "{}", 0, NULL);
    const json_t *names = json_object_get(extra, "names");
    for (size_t i = 0; i < record->n_tasks; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const char *slash = strrchr(record->tasks[i], '/');
        lines[i].task = arena_strdup(arena, name    ? name
                                         : slash && slash[1] ? slash + 1
                                                             : record->tasks[i]);
    }
    json_decref(extra);
}

int ledger_read(struct store *store, const char *campaign, struct arena *arena,
                struct ledger_line **ret, size_t *ret_n, struct ledger_line *ret_total,
                struct err *err)
{
    struct campaign_record record;
    int r = record_get_campaign(store, campaign, arena, &record, err);
    if (r < 0) {
        return r == ERR_NOTFOUND
            ? err_set(err, r, "no campaign \"%s\" in %s; warpsmith report lists them", campaign,
                      store_path(store))
            : r;
    }
    struct ledger_line *lines = arena_alloc(arena, record.n_tasks + 1, sizeof(*lines));
    struct ledger_line total = { .task = "all" };
    read_names(&record, arena, lines);
    for (size_t i = 0; r == 0 && i < record.n_tasks; i++) {
        r = walk_calls(store, campaign, lines[i].task, &lines[i], err);
        r = r < 0 ? r : walk_attempts(store, campaign, lines[i].task, &lines[i], err);
        add_line(&total, &lines[i]);
    }
    if (r < 0) {
        return r;
    }
    *ret = lines;
    *ret_n = record.n_tasks;
    *ret_total = total;
    return 0;
}

int ledger_budget(struct store *store, const char *campaign, struct budget *budget,
                  struct err *err)
{
    struct ledger_line sum = { 0 };
    int r = walk_calls(store, campaign, NULL, &sum, err);
    if (r < 0) {
        return r;
    }
    /* An open call may have been billed already, whatever becomes of it now. */
    budget->usd_spent = sum.usd + sum.usd_unsure + sum.usd_reserved;
    budget->tokens_spent = sum.tokens_in + sum.tokens_out + sum.tokens_unsure + sum.tokens_bound
        + sum.tokens_reserved;
    return 0;
}
