/* SPDX-License-Identifier: MIT */
/*
 * The report of a campaign on instant workers, and of records that were made up to do harm: the
 * page refers to nothing outside itself, and what comes from outside stays text.
 */
#include "agent/campaign.h"
#include "agent/report.h"
#include "base/file.h"
#include "base/util.h"
#include "memory/record.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HOSTILE "</pre></title></svg><script>alert(1)</script><img src=x onerror=\"y\">'&\x01"
#define HOSTILE_ESCAPED                                                                            \
    "&lt;/pre&gt;&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x "     \
    "onerror=&quot;y&quot;&gt;&#39;&amp;"

struct fixture {
    char folder[64], store[96], page[96];
    struct options options;
    struct session session;
    struct err err;
};

static void open_session(struct fixture *f, int parts)
{
    struct err err = { 0 };
    if (session_open(&f->session, &f->options, parts, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/warpsmith-report-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->store, sizeof(f->store), "%s/store", f->folder);
    snprintf(f->page, sizeof(f->page), "%s/report.html", f->folder);
    f->options = (struct options) { .gpu = "0", .store = f->store, .llm = "offline", .jobs = 1 };
    setenv("WARPSMITH_WORKER", WS_BIN_DIR "/fake_worker", 1);
    open_session(f, SESSION_STORE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    session_close(&f->session); /* its loop is empty, or it aborts */
    folder_remove(f->folder, NULL);
    free(f);
    return 0;
}

/* The page; the caller frees it. */
static char *write_page(struct fixture *f, const char *campaign)
{
    char *text = NULL;
    if (report_write(f->session.store, campaign, f->page, &f->err) < 0) {
        fail_msg("%s", err_text(&f->err));
    }
    assert_int_equal(file_read(f->page, 64 << 20, &text, NULL, &f->err), 0);
    return text;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) {
        n++;
    }
    return n;
}

/* Nothing to load, nothing to run, and every element that is opened is closed. */
static void assert_sound(const char *page)
{
    static const char *const foreign[] = {
        "<script", "<link", "<img", "<iframe", "<object", "<embed", "<base", "<form", "<meta http",
        "http://", "https://", "url(", "@import", " src=\"", " href=", " onload=", "javascript:",
    };
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        if (strstr(page, foreign[i])) {
            fail_msg("the page holds %s", foreign[i]);
        }
    }
    static const char *const pairs[][2] = {
        { "<svg ", "</svg>" },         { "<table>", "</table>" },   { "<pre", "</pre>" },
        { "<details>", "</details>" }, { "<figure>", "</figure>" }, { "<div", "</div>" },
        { "<span", "</span>" },        { "<title>", "</title>" },   { "<text ", "</text>" },
        { "<h2>", "</h2>" },           { "<h3>", "</h3>" },         { "<summary>", "</summary>" },
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (count(page, pairs[i][0]) != count(page, pairs[i][1])) {
            fail_msg("%zu %s, %zu %s", count(page, pairs[i][0]), pairs[i][0],
                     count(page, pairs[i][1]), pairs[i][1]);
        }
    }
}

static void test_campaign_on_instant_workers(void **state)
{
    struct fixture *f = *state;
    session_close(&f->session);
    open_session(f, SESSION_STORE | SESSION_MEMORY | SESSION_EVALUATOR);
    const char *const tasks[] = { "softmax", "gelu" };
    struct campaign_options o = { .tasks = tasks, .n_tasks = 2, .llm = "offline", .seed = 3,
                                  .steps = 4, .tune_budget = 4 };
    struct campaign *c = NULL;
    assert_int_equal(campaign_new(&f->session, &o, NULL, &c, &f->err), 0);
    assert_int_equal(campaign_run(c, &f->err), 0);
    auto_free char *page = write_page(f, campaign_id(c));
    assert_sound(page);
    assert_non_null(strstr(page, campaign_id(c)));
    assert_non_null(strstr(page, "<h2>softmax</h2>"));
    assert_non_null(strstr(page, "<h2>gelu</h2>"));
    assert_int_equal(count(page, "class=modelled"), 2); /* the instant worker measures nothing */
    assert_null(strstr(page, "Measured"));
    for (size_t i = 0; i < 2; i++) {
        struct campaign_result r;
        campaign_result(c, i, &r);
        char hex[ID_HEX];
        id_hex(&r.best->id, hex);
        assert_non_null(strstr(page, hex)); /* the proof names what was judged */
        assert_true(r.attempts > 2);
        auto_free char *tile = xprintf("%lld of %lld", (long long)r.accepted, (long long)r.attempts);
        assert_non_null(strstr(page, tile));
    }
    assert_non_null(strstr(page, "Why these directions"));
    assert_non_null(strstr(page, "drawn with"));
    assert_non_null(strstr(page, " configs by "));
    assert_non_null(strstr(page, "<span class=a>"));
    campaign_free(c);
}

static void put_campaign(struct fixture *f, const char *text)
{
    const char *const tasks[] = { text };
    struct campaign_record record = { .id = "c1", .status = "running", .device = text, .llm = text,
                                      .n_tasks = 1, .tasks = tasks, .error = text,
                                      .started_s = 1700000000, .extra = "{}" };
    struct store_batch *batch = store_batch_new();
    assert_int_equal(record_put_campaign(batch, &record, &f->err), 0);
    assert_int_equal(store_commit(f->session.store, batch, &f->err), 0);
}

/* Attempt `seq` with a candidate and, unless `status` is a word of the agent's, a verdict. */
static void put_attempt(struct fixture *f, int64_t seq, const char *status, const char *text)
{
    auto_free char *source = xprintf("// %s\nint line_%lld;\n", text, (long long)seq);
    struct id id;
    char hex[ID_HEX];
    id_of_bytes(source, strlen(source), &id);
    id_hex(&id, hex);
    struct candidate_record candidate = { .id = hex, .source = source, .plan = text };
    struct verdict verdict = { .detail = text, .phase = text, .modelled = false, .device = text,
                               .relation = text, .sol = 0.5, .sol_bound = text, .driver = text,
                               .compiler = text, .arch = text, .task = text, .candidate = text,
                               .speedup = 2, .time = { .median_us = 10, .n = 1 } };
    bool judged = verdict_status_parse(status, &verdict.status);
    json_t *extra = json_pack("{s:s, s:{s:s, s:[{s:s, s:s, s:f}, {s:s, s:s}]}}", "title", text,
                              "tuning", "algorithm", text, "samples", "config", text, "status",
                              text, "us", 5.0, "config", text, "status", text);
    auto_free char *extra_text = json_compact(extra);
    json_decref(extra);
    struct attempt_record record = { .campaign = "c1", .task = text, .seq = seq,
                                     .candidate = judged ? hex : "", .verdict = judged ? hex : "",
                                     .direction = text, .strategy = text, .status = status,
                                     .extra = extra_text };
    struct store_batch *batch = store_batch_new();
    json_t *json = verdict_json(&verdict);
    auto_free char *verdict_text = json_compact(json);
    json_decref(json);
    if (judged) {
        store_batch_put(batch, STORE_DB_VERDICTS, hex, verdict_text, strlen(verdict_text));
        assert_int_equal(record_put_candidate(batch, &candidate, &f->err), 0);
    }
    if (record_put_attempt(batch, &record, &f->err) < 0
        || store_commit(f->session.store, batch, &f->err) < 0) {
        fail_msg("%s", err_text(&f->err));
    }
}

static void test_hostile_text_stays_text(void **state)
{
    struct fixture *f = *state;
    put_campaign(f, HOSTILE);
    put_attempt(f, 0, "accepted", HOSTILE);
    put_attempt(f, 1, "incorrect", HOSTILE);
    put_attempt(f, 2, "bad_reply", HOSTILE);
    put_attempt(f, 3, "accepted", HOSTILE);
    auto_free char *page = write_page(f, "c1");
    assert_sound(page);
    /* Device, provider and error; per attempt direction, strategy, title, dots; sources and plan. */
    assert_in_range(count(page, HOSTILE_ESCAPED), 25, 200);
    assert_null(strchr(page, '\x01'));
    assert_int_equal(count(page, "alert(1)"), count(page, "script&gt;alert(1)&lt;/script"));
    assert_int_equal(count(page, "onerror="), count(page, "onerror=&quot;"));
}

/* A step that brought nothing to judge is shown as what it was, and never as accepted. */
static void test_attempts_without_a_verdict(void **state)
{
    struct fixture *f = *state;
    put_campaign(f, "t");
    put_attempt(f, 0, "bad_reply", "t");
    auto_free char *page = write_page(f, "c1");
    assert_sound(page);
    assert_non_null(strstr(page, "No attempt was accepted."));
    assert_non_null(strstr(page, "bad_reply"));
    assert_null(strstr(page, "<td>accepted"));
}

static void test_empty_campaigns(void **state)
{
    struct fixture *f = *state;
    put_campaign(f, "t");
    auto_free char *empty = write_page(f, "c1");
    assert_sound(empty);
    assert_non_null(strstr(empty, "No attempt was finished yet."));
    put_attempt(f, 0, "incorrect", "t");
    auto_free char *none = write_page(f, "c1");
    assert_sound(none);
    assert_non_null(strstr(none, "No attempt was accepted."));
    assert_null(strstr(none, "Proof"));
    put_attempt(f, 1, "accepted", "t");
    auto_free char *one = write_page(f, "c1");
    assert_sound(one);
    assert_non_null(strstr(one, "Proof"));
    assert_int_equal(report_write(f->session.store, "c2", f->page, &f->err), ERR_NOTFOUND);
    assert_non_null(strstr(f->err.text, "c2"));
}

static void del(struct fixture *f, enum store_db db, const char *key)
{
    struct store_batch *batch = store_batch_new();
    store_batch_del(batch, db, key);
    assert_int_equal(store_commit(f->session.store, batch, &f->err), 0);
}

/* What an attempt refers to and the store hasn't: an error that names both. */
static void test_damaged_references(void **state)
{
    struct fixture *f = *state;
    put_campaign(f, "t");
    put_attempt(f, 0, "accepted", "t");
    put_attempt(f, 1, "incorrect", "t");
    auto_arena struct arena *arena = arena_new();
    struct attempt_record first;
    assert_int_equal(record_get_attempt(f->session.store, "c1", "t", 0, arena, &first, &f->err), 0);
    char *keep = arena_strdup(arena, first.candidate);
    const struct {
        enum store_db db;
        const char *what;
    } cases[] = { { STORE_DB_CANDIDATES, "candidates" }, { STORE_DB_VERDICTS, "verdict" } };
    assert_int_equal(file_write(f->page, "an older page", 13, &f->err), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        del(f, cases[i].db, keep);
        assert_int_equal(report_write(f->session.store, "c1", f->page, &f->err), ERR_NOTFOUND);
        assert_non_null(strstr(f->err.text, "campaign c1: task t: attempt 0: "));
        assert_non_null(strstr(f->err.text, cases[i].what));
        assert_non_null(strstr(f->err.text, keep));
    }
    auto_free char *page = NULL;
    assert_int_equal(file_read(f->page, 100, &page, NULL, &f->err), 0);
    assert_string_equal(page, "an older page"); /* no half of a page in its place */
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_VERDICTS, keep, "{\"status\": \"splendid\"}", 22);
    assert_int_equal(store_commit(f->session.store, batch, &f->err), 0);
    assert_int_equal(report_write(f->session.store, "c1", f->page, &f->err), ERR_INVALID);
    assert_non_null(strstr(f->err.text, "attempt 0: verdict"));
    assert_non_null(strstr(f->err.text, "splendid"));
}

/* A choice explains; where it can't be read the page does without. */
static void test_damaged_choice_costs_only_itself(void **state)
{
    struct fixture *f = *state;
    put_campaign(f, "t");
    put_attempt(f, 0, "accepted", "t");
    auto_arena struct arena *arena = arena_new();
    const char *const damaged[] = { "{", "[]", "{\"choice\": 1}", "{\"choice\": {\"format\": 1}}" };
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        struct store_batch *batch = store_batch_new();
        store_batch_put(batch, STORE_DB_CHOICES, record_attempt_key(arena, "c1", "t", 0),
                        damaged[i], strlen(damaged[i]));
        assert_int_equal(store_commit(f->session.store, batch, &f->err), 0);
        auto_free char *page = write_page(f, "c1");
        assert_sound(page);
        assert_null(strstr(page, "drawn with"));
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: a peer may go */
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_campaign_on_instant_workers),
        T(test_hostile_text_stays_text),
        T(test_attempts_without_a_verdict),
        T(test_empty_campaigns),
        T(test_damaged_references),
        T(test_damaged_choice_costs_only_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
