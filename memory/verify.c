/* SPDX-License-Identifier: MIT */
#include "memory/verify.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/node.h"
#include "memory/record.h"
#include "memory/stat_map.h"
#include "memory/store_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Sums of the same numbers in another order: a relative slack far above rounding, far below any
 * increment that was lost or counted twice (n is compared exactly). */
#define SLACK 1e-6

struct check {
    struct store_view view;
    struct verify_report *report;
    struct arena *texts;  /* the caller's */
    struct stat_map anew; /* what STATS should hold */
};

static void problem(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void problem(struct check *c, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (c->report->n_problems < VERIFY_PROBLEMS_MAX) {
        c->report->problems[c->report->n_problems] = arena_strdup(c->texts, text);
    }
    c->report->n_problems++;
}

static void refer(struct check *c, const struct store_item *from, const char *what,
                  enum store_db db, const char *key)
{
    if (!*key) {
        return;
    }
    c->report->references++;
    if (!store_view_has(&c->view, db, key)) {
        problem(c, "%s: its %s %s/%s is missing", from->key, what, store_db_name(db), key);
    }
}

static void check_json(struct check *c, enum store_db db, const struct store_item *item)
{
    struct err err;
    json_t *json;
    if (jread_parse(item->at, item->len, &json, &err) < 0) {
        problem(c, "%s/%s: %s", store_db_name(db), item->key, err.text);
        return;
    }
    json_decref(json);
}

/* A worked example names its candidate. */
static void check_node(struct check *c, const struct store_item *item, struct arena *arena)
{
    struct err err;
    struct node_record node;
    if (node_read(item, arena, &node, &err) < 0) {
        problem(c, "%s", err.text);
        return;
    }
    json_auto_t *value = json_loads(node.json, 0, NULL);
    const char *candidate = json_string_value(json_object_get(value, "candidate"));
    if (candidate) {
        refer(c, item, "candidate", STORE_DB_CANDIDATES, record_key(arena, &candidate, 1));
    }
}

static void check_attempt(struct check *c, const struct store_item *item, struct arena *arena)
{
    struct err err;
    struct attempt_record a;
    if (record_read_attempt(item, arena, &a, &err) < 0) {
        problem(c, "%s", err.text);
        return;
    }
    if (!str_eq(item->key, record_attempt_key(arena, a.campaign, a.task, a.seq))) {
        problem(c, "attempts/%s: it says that it is %s/%s/%lld", item->key, a.campaign, a.task,
                (long long)a.seq);
    }
    refer(c, item, "campaign", STORE_DB_CAMPAIGNS, record_key(arena, &a.campaign, 1));
    refer(c, item, "candidate", STORE_DB_CANDIDATES, a.candidate);
    refer(c, item, "parent", STORE_DB_CANDIDATES, a.parent);
    refer(c, item, "verdict", STORE_DB_VERDICTS, a.verdict);
    for (size_t i = 0; i < a.n_learned; i++) {
        const struct learned *l = &a.learned[i];
        store_stat_observe(&stat_map_at(&c->anew, l->key)->stat, l->gain, l->failed);
    }
}

static void check_call(struct check *c, const struct store_item *item, struct arena *arena)
{
    struct err err;
    struct call_record call;
    if (record_read_call(item, arena, &call, &err) < 0) {
        problem(c, "%s", err.text);
        return;
    }
    if (!str_eq(item->key,
                record_call_key(arena, call.campaign, call.task, call.seq, call.attempt))) {
        problem(c, "calls/%s: its key isn't its own", item->key);
    }
    refer(c, item, "campaign", STORE_DB_CAMPAIGNS, record_key(arena, &call.campaign, 1));
}

static void check_item(struct check *c, enum store_db db, const struct store_item *item,
                       struct arena *arena)
{
    struct err err;
    struct campaign_record campaign;
    struct candidate_record candidate;
    switch (db) {
    case STORE_DB_CAMPAIGNS:
        if (record_read_campaign(item, arena, &campaign, &err) < 0) {
            problem(c, "%s", err.text);
        }
        break;
    case STORE_DB_CANDIDATES:
        if (record_read_candidate(item, arena, &candidate, &err) < 0) {
            problem(c, "%s", err.text);
        }
        break;
    case STORE_DB_ATTEMPTS:
        check_attempt(c, item, arena);
        break;
    case STORE_DB_CALLS:
        check_call(c, item, arena);
        break;
    case STORE_DB_VERDICTS:
    case STORE_DB_CHOICES:
    case STORE_DB_TUNINGS:
    case STORE_DB_DEVICES:
        check_json(c, db, item);
        break;
    case STORE_DB_NODES:
        check_node(c, item, arena);
        break;
    default:
        break;
    }
}

static void differ(struct check *c, const char *key, const struct store_stat *kept,
                   const struct store_stat *anew)
{
    double spread = fabs(anew->m2) + (double)anew->n * anew->mean * anew->mean;
    bool same = kept->n == anew->n && kept->failures == anew->failures &&
                fabs(kept->mean - anew->mean) <= SLACK * (1 + fabs(anew->mean)) &&
                fabs(kept->m2 - anew->m2) <= SLACK * (1 + spread);
    if (!same) {
        problem(
            c,
            "stats/%s: n %lld, failures %lld, mean %.9g, m2 %.9g are kept, but the attempts give "
            "%lld, %lld, %.9g, %.9g",
            key, (long long)kept->n, (long long)kept->failures, kept->mean, kept->m2,
            (long long)anew->n, (long long)anew->failures, anew->mean, anew->m2);
    }
}

static void check_stat(struct check *c, const struct store_item *item)
{
    struct err err;
    struct store_stat kept;
    if (store_stat_read(item, &kept, &err) < 0) {
        problem(c, "%s", err.text);
        return;
    }
    c->report->statistics++;
    struct stat_entry *entry = stat_map_at(&c->anew, item->key);
    entry->seen = true;
    differ(c, item->key, &kept, &entry->stat);
}

static int check_db(struct check *c, enum store_db db, struct err *err)
{
    struct store_cursor cursor;
    int r = store_cursor_open(&c->view, db, "", NULL, &cursor, err);
    while (r >= 0) {
        auto_arena struct arena *arena = arena_new();
        struct store_item item;
        r = store_cursor_next(&cursor, arena, &item, err);
        if (r == 0 || (r < 0 && !item.key)) {
            break;
        }
        c->report->records++;
        if (r < 0) {
            problem(c, "%s", err->text);
            r = 0;
        } else if (db == STORE_DB_STATS) {
            check_stat(c, &item);
        } else {
            check_item(c, db, &item, arena);
        }
    }
    store_cursor_close(&cursor);
    return r;
}

static void check_seen(struct stat_entry *entry, void *user)
{
    struct check *c = user;
    if (!entry->seen && entry->stat.n) {
        problem(c, "stats/%s: the attempts give n %lld, but it is missing", entry->key,
                (long long)entry->stat.n);
    }
}

int store_verify(struct store *store, struct arena *arena, struct verify_report *ret,
                 struct err *err)
{
    struct err own;
    err = err ? err : &own;
    struct verify_report report = {0};
    auto_arena struct arena *scratch = arena_new();
    struct check c = {.report = &report, .texts = arena};
    int r = store_view_begin(store, &c.view, err);
    if (r < 0) {
        return r;
    }
    stat_map_init(&c.anew, scratch);
    /* META holds two plain texts that opening has read; STATS comes when the rest is counted. */
    for (int db = STORE_DB_META + 1; db < STORE_DB_COUNT && r >= 0; db++) {
        r = db == STORE_DB_STATS ? 0 : check_db(&c, (enum store_db)db, err);
    }
    if (r >= 0) {
        int imported = stat_map_add_imported(&c.anew, &c.view, err);
        if (imported < 0) {
            problem(&c, "%s", err->text);
        }
        r = check_db(&c, STORE_DB_STATS, err);
    }
    stat_map_walk(&c.anew, check_seen, &c);
    stat_map_done(&c.anew);
    store_view_end(&c.view);
    if (r < 0) {
        return r;
    }
    *ret = report;
    return 0;
}
