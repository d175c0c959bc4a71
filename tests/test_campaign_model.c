/* SPDX-License-Identifier: MIT */
/*
 * Campaigns that ask a model: through a spool whose other side is this test, and through a fake
 * provider over HTTP. Workers are instant (fake_worker); store, graph, prompts and replies are real.
 */
#include "agent/provider_model.h"
#include "agent/report.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "memory/record.h"
#include "tests/campaign_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

static const char *const softmax[] = { "softmax" };
#define INVENTED "new: two rows a block: it hides latency"

static void get_attempt(struct campaign_rig *rig, const char *id, int64_t seq, struct arena *arena,
                        struct attempt_record *ret)
{
    struct err err = { 0 };
    if (record_get_attempt(rig->session.store, id, "softmax", seq, arena, ret, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

/* Prose, then a candidate that doesn't compile, then a good one, each in a process of its own. */
static void test_spool_correction_and_repair(void **state)
{
    struct campaign_rig *rig = *state;
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .no_wait = true };
    struct campaign_result r;
    struct ledger_line cost;
    char id[32];
    auto_free char *broken = campaign_rig_reply("FAKE_COMPILE_ERROR", INVENTED);
    auto_free char *good = campaign_rig_reply("good", INVENTED);
    o.steps = 1;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    assert_string_equal(r.status, "waiting");
    const char *const replies[] = { "I would rather talk about it.", broken, good };
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        campaign_rig_ledger(rig, id, &cost);
        assert_int_equal(cost.calls, (int64_t)i + 1);
        assert_int_equal(cost.open, 1);
        assert_int_equal(campaign_rig_answer(rig, replies[i]), 1);
        campaign_rig_reopen(rig);
        assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    }
    assert_string_equal(r.status, "done");
    assert_int_equal(r.attempts, 2);
    assert_int_equal(r.accepted, 2);
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.calls, 3);
    assert_int_equal(cost.answered, 3);
    assert_int_equal(cost.open, 0);
    assert_int_equal(cost.corrections, 1);
    assert_int_equal(cost.repairs, 1);
    assert_int_equal(cost.unknown, 3); /* plain text says nothing of tokens */
    assert_true(cost.usd_unsure == 0); /* a spool's request lies there once, however often it is taken up */
    auto_arena struct arena *arena = arena_new();
    struct attempt_record a;
    get_attempt(rig, id, 1, arena, &a);
    assert_string_equal(a.status, "accepted");
    assert_non_null(strstr(a.extra, "\"repairs\":1"));
    struct call_record call;
    assert_int_equal(record_get_call(rig->session.store, id, "softmax", 1, 2, arena, &call, NULL), 0);
    struct llm_message messages[LLM_MESSAGES_MAX];
    size_t n;
    assert_int_equal(model_request_read(rig->session.store, call.request, arena, messages,
                                        LLM_MESSAGES_MAX, &n, NULL), 0);
    assert_non_null(strstr(messages[n - 1].text, "a fake one")); /* the compiler's own words */
    campaign_rig_verify(rig);
}

static const char *question(struct campaign_rig *rig, const char *id, int64_t seq,
                            struct arena *arena)
{
    struct call_record call;
    struct llm_message messages[LLM_MESSAGES_MAX];
    size_t n;
    assert_int_equal(record_get_call(rig->session.store, id, "softmax", seq, 0, arena, &call, NULL), 0);
    assert_int_equal(model_request_read(rig->session.store, call.request, arena, messages,
                                        LLM_MESSAGES_MAX, &n, NULL), 0);
    return messages[1].text;
}

/* What the tuner found of the parent, and with what values each attempt ran; after a resume, too. */
static void test_question_has_the_tuning(void **state)
{
    struct campaign_rig *rig = *state;
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .no_wait = true };
    struct campaign_result r;
    char id[32];
    auto_free char *good = campaign_rig_reply("good", INVENTED);
    o.steps = 2;
    o.tuner = "random";
    o.tune_budget = 3;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    auto_arena struct arena *arena = arena_new();
    const char *text = question(rig, id, 1, arena), *line = strstr(text, "\ntuner: 3 combinations");
    assert_non_null(line);
    assert_non_null(strstr(line, "; fastest BLOCK="));
    assert_non_null(strstr(text, "The tuner measures up to 3 combinations"));
    assert_int_equal(campaign_rig_answer(rig, good), 1);
    campaign_rig_reopen(rig);
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    text = question(rig, id, 2, arena);
    assert_non_null(strstr(text, "\ntuner: 3 combinations"));
    const char *tried = strstr(text, "# Tried so far");
    assert_non_null(tried);
    assert_non_null(strstr(strstr(tried, "#1 from #0"), " with BLOCK="));
}

static void test_samples_are_siblings(void **state)
{
    struct campaign_rig *rig = *state;
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .no_wait = true };
    struct campaign_result r;
    struct ledger_line cost;
    char id[32];
    auto_free char *one = campaign_rig_reply("one", INVENTED);
    auto_free char *two = campaign_rig_reply("two", INVENTED);
    auto_free char *broken = campaign_rig_reply("FAKE_COMPILE_ERROR", INVENTED);
    o.steps = 1;
    o.samples = 3;
    o.repairs = 0;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.open, 3);
    assert_true(campaign_rig_answer_one(rig, ".000001.00", one));
    assert_true(campaign_rig_answer_one(rig, ".000002.00", broken));
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_string_equal(r.status, "waiting"); /* for the third */
    assert_int_equal(r.attempts, 1);
    assert_true(campaign_rig_answer_one(rig, ".000003.00", two));
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_string_equal(r.status, "done");
    assert_int_equal(r.attempts, 4);
    assert_int_equal(r.accepted, 3);
    auto_arena struct arena *arena = arena_new();
    struct attempt_record a[4];
    size_t learned = 0;
    for (int i = 0; i < 4; i++) {
        get_attempt(rig, id, i, arena, &a[i]);
        learned += a[i].n_learned > 0;
    }
    assert_int_equal(learned, 3); /* each sample teaches, the start doesn't */
    assert_string_equal(a[1].parent, a[0].candidate);
    assert_string_equal(a[2].parent, a[0].candidate);
    assert_string_equal(a[3].parent, a[0].candidate);
    assert_string_equal(a[1].direction, a[3].direction);
    assert_string_equal(a[2].status, "compile_error");
    campaign_rig_verify(rig);
}

static void test_many_calls_over_http(void **state)
{
    struct campaign_rig *rig = *state;
    campaign_rig_fake(rig, "--latency 5");
    const char *const tasks[] = { "softmax", "gelu" };
    struct campaign_options o = campaign_rig_options(rig, tasks, 1);
    struct campaign_result r;
    struct ledger_line cost;
    char id[32];
    o.steps = 4;
    o.samples = 2;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    assert_int_equal(r.attempts, 9);
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.answered, 8);
    assert_int_equal(cost.failed, 0);
    assert_true(cost.tokens_in > 0 && cost.tokens_out > 0);
    assert_int_equal(cost.unknown, 0);
    assert_true(cost.usd_unsure == 0);
    campaign_rig_verify(rig);
}

static void test_budget_of_tokens_is_never_overshot(void **state)
{
    struct campaign_rig *rig = *state;
    campaign_rig_fake(rig, NULL);
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_result r;
    struct ledger_line cost;
    char id[32];
    o.steps = 50;
    o.tokens = 120000; /* a prompt's bytes and 16,384 tokens of answer are reserved for a call */
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    assert_non_null(strstr(r.why, "tokens"));
    campaign_rig_ledger(rig, id, &cost);
    assert_true(cost.answered >= 1);
    assert_true(cost.tokens_in + cost.tokens_out + cost.tokens_unsure <= o.tokens);
    assert_int_equal(cost.open, 0);
    /* With more to spend it goes on from there. */
    struct campaign_options changes = { .steps = 2, .tokens = 10000000 };
    int64_t before = r.attempts;
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_true(r.attempts >= before);
    o.tokens = 100;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.calls, 0);
}

static void test_budget_of_dollars(void **state)
{
    struct campaign_rig *rig = *state;
    campaign_rig_fake(rig, NULL);
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_result r;
    struct ledger_line cost;
    struct campaign *c;
    struct err err = { 0 };
    char id[32];
    o.usd = 3;
    assert_int_equal(campaign_new(&rig->session, &o, NULL, &c, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "--prices"));
    auto_free char *prices = xprintf("%s/prices.json", rig->folder);
    const char *text = "{\"format\":1,\"models\":[{\"name\":\"gpt-test\",\"in\":10,\"cached\":1,\"out\":20}]}";
    assert_int_equal(file_write(prices, text, strlen(text), NULL), 0);
    rig->model.prices = prices;
    o.steps = 50;
    if (campaign_new(&rig->session, &o, NULL, &c, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    campaign_free(c);
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, &err), 0);
    assert_non_null(strstr(r.why, "dollars"));
    campaign_rig_ledger(rig, id, &cost);
    assert_true(cost.usd > 0);
    assert_true(cost.usd + cost.usd_unsure <= o.usd);
}

static void test_wall_clock_is_hard(void **state)
{
    struct campaign_rig *rig = *state;
    campaign_rig_fake(rig, "--latency 20000");
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_result r;
    struct ledger_line cost;
    char id[32];
    o.wall_s = 0.5;
    uint64_t began = clock_ns();
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    assert_true((double)(clock_ns() - began) * 1e-9 < 10); /* far below the latency */
    assert_non_null(strstr(r.why, "wall-clock"));
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.open, 1);
    /* It may have been billed: sent again under its key, and its worst case stays in the ledger. */
    struct fake_provider slow = rig->fake;
    campaign_rig_fake(rig, NULL);
    fake_provider_stop(&slow);
    struct campaign_options changes = { .steps = 1, .wall_s = 1000, .model = &rig->model };
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_string_equal(r.status, "done");
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.calls, 1);
    assert_int_equal(cost.answered, 1);
    assert_true(cost.tokens_unsure > 0);
    campaign_rig_verify(rig);
}

static void test_wrong_key_and_no_network(void **state)
{
    struct campaign_rig *rig = *state;
    campaign_rig_fake(rig, "--script 401,ok");
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .model = &rig->model };
    struct campaign_result r;
    struct err err = { 0 };
    char id[32];
    assert_true(campaign_rig_run(rig, &o, id, &r, &err) < 0);
    assert_non_null(strstr(err.text, "key"));
    assert_null(strstr(err.text, "sk-test"));
    err = (struct err) { 0 };
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, &err), 0);
    assert_int_equal(r.attempts, 4); /* nothing was lost, the start wasn't judged again */
    rig->model.base_url = "http://127.0.0.1:9";
    rig->model.retries = 0;
    o.steps = 5;
    assert_true(campaign_rig_run(rig, &o, id, &r, &err) < 0);
    assert_non_null(strstr(err.text, "no connection"));
    assert_int_equal(r.accepted, 1); /* the start is kept */
    campaign_rig_verify(rig);
}

static void test_refusals_and_floods_cost_a_sample(void **state)
{
    struct campaign_rig *rig = *state;
    campaign_rig_fake(rig, "--script refusal,flood,ok");
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_result r;
    struct err err = { 0 };
    char id[32];
    if (campaign_rig_run(rig, &o, id, &r, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    auto_arena struct arena *arena = arena_new();
    struct attempt_record a;
    get_attempt(rig, id, 1, arena, &a);
    assert_string_equal(a.status, "refused");
    auto_free char *page = xprintf("%s/report.html", rig->folder);
    auto_free char *text = NULL;
    size_t len;
    assert_int_equal(report_write(rig->session.store, id, page, &err), 0);
    assert_int_equal(file_read(page, 1 << 22, &text, &len, NULL), 0);
    assert_non_null(strstr(text, "refused"));
    assert_non_null(strstr(text, "tokens out"));
    assert_string_equal(a.candidate, "");
    assert_int_equal(a.n_learned, 0);
    get_attempt(rig, id, 2, arena, &a);
    assert_string_equal(a.status, "no_reply");
    get_attempt(rig, id, 3, arena, &a);
    assert_string_equal(a.status, "accepted");
    campaign_rig_verify(rig);
}

static off_t store_bytes(struct campaign_rig *rig)
{
    auto_free char *path = xprintf("%s/data.mdb", rig->store);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* The disk fills up in the middle: what is there stays, and with room again it goes on. */
static void test_full_disk(void **state)
{
    struct campaign_rig *rig = *state;
    campaign_rig_fake(rig, "--latency 5");
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .model = &rig->model };
    struct campaign_result r;
    struct err err = { 0 };
    struct rlimit before, tight;
    char id[32] = "";
    o.steps = 20;
    struct campaign *c = campaign_rig_start(rig, &o);
    snprintf(id, sizeof(id), "%s", campaign_id(c));
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)store_bytes(rig) + 65536;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight);
    int code = campaign_run(c, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    campaign_free(c);
    assert_true(code < 0);
    if (!strstr(err.text, "room") && !strstr(err.text, "large") && !strstr(err.text, "full")) {
        fail_msg("%s", err_text(&err));
    }
    campaign_rig_reopen(rig);
    campaign_rig_verify(rig);
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_int_equal(r.attempts, 21);
    campaign_rig_verify(rig);
}

/* How many steps of a campaign, whose model invents `strategy`, were credited to `id`. */
static size_t credited(struct campaign_rig *rig, const char *id, const char *strategy)
{
    auto_arena struct arena *arena = arena_new();
    struct attempt_record *records;
    size_t n, found = 0;
    assert_int_equal(record_list_attempts(rig->session.store, id, NULL, arena, &records, &n, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        found += str_eq(records[i].strategy, strategy);
    }
    return found;
}

static void play(struct campaign_rig *rig, char id[32], const char *strategy, int64_t steps)
{
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .no_wait = true };
    struct campaign_result r;
    o.steps = steps;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    for (int i = 0; str_eq(r.status, "waiting"); i++) {
        auto_free char *mark = xprintf("try %d", i);
        auto_free char *reply = campaign_rig_reply(mark, strategy);
        assert_int_equal(campaign_rig_answer(rig, reply), 1);
        assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    }
    assert_string_equal(r.status, "done");
}

static void test_what_is_invented_and_wins_is_learned(void **state)
{
    struct campaign_rig *rig = *state;
    char id[32];
    size_t before = htg_strategies(rig->session.htg);
    play(rig, id, "new: whirlpool staging: spin the operands through a spiral of purple buffers", 6);
    size_t after = htg_strategies(rig->session.htg);
    assert_true(after > before);
    const struct htg_strategy *s = htg_strategy(rig->session.htg, after - 1);
    assert_int_equal(s->state, HTG_STATE_PROVISIONAL);
    assert_non_null(strstr(s->guidance, "purple"));
    assert_true(credited(rig, id, s->id) > 0);
    auto_free char *name = xstrdup(s->id);
    campaign_rig_reopen(rig);
    assert_true(htg_find_strategy(rig->session.htg, name) >= 0);
    campaign_rig_verify(rig);
}

static void test_a_paraphrase_is_credited_to_the_seed(void **state)
{
    struct campaign_rig *rig = *state;
    char id[32];
    size_t before = htg_strategies(rig->session.htg);
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .no_wait = true };
    struct campaign_result r;
    o.steps = 1;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    assert_int_equal(store_get(rig->session.store, STORE_DB_CHOICES,
                               record_attempt_key(arena, id, "softmax", 1), arena, &at, &len, NULL), 0);
    json_t *json = json_loadb(at, len, 0, NULL);
    const char *direction = json_string_value(json_object_get(json, "direction"));
    const struct htg_strategy *seed = NULL;
    for (size_t i = 0; !seed; i++) {
        const struct htg_strategy *s = htg_strategy(rig->session.htg, i);
        seed = str_eq(s->direction, direction) ? s : NULL;
    }
    auto_free char *strategy = xprintf("new: %s: %.200s", seed->title, seed->guidance);
    auto_free char *reply = campaign_rig_reply("again", strategy);
    json_decref(json);
    assert_int_equal(campaign_rig_answer(rig, reply), 1);
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_int_equal(htg_strategies(rig->session.htg), before);
    assert_int_equal(credited(rig, id, seed->id), 1);
}

static void assert_learned(const struct attempt_record *a, const char *what, const char *node)
{
    auto_free char *part = xprintf("%s/%s/", what, node);
    for (size_t i = 0; i < a->n_learned; i++) {
        if (str_prefix(a->learned[i].key, part)) {
            return;
        }
    }
    fail_msg("attempt %lld: nothing learned under %s", (long long)a->seq, part);
}

/* Who goes another way than was asked for teaches of that way, and nothing of the one asked for. */
static void test_another_direction_gets_its_credit(void **state)
{
    struct campaign_rig *rig = *state;
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .no_wait = true };
    struct campaign_result r;
    char id[32];
    auto_free char *known = campaign_rig_reply("known", "programmatic-dependent-launch");
    auto_free char *named = campaign_rig_reply("named", INVENTED "\ndirection: boundary handling");
    auto_free char *lost = campaign_rig_reply("lost", "new: purple whirlpool: stir\ndirection: down the drain");
    const char *const replies[] = { known, named, lost };
    const struct htg *htg = rig->session.htg;
    int index = htg_find_strategy(htg, "programmatic-dependent-launch");
    assert_true(index >= 0);
    auto_free char *own = xstrdup(htg_strategy(htg, (size_t)index)->direction);
    o.steps = 1;
    o.samples = 3;
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    for (int i = 0; i < 3; i++) {
        auto_free char *key = xprintf(".%06d.00", i + 1);
        assert_true(campaign_rig_answer_one(rig, key, replies[i]));
    }
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_string_equal(r.status, "done");
    auto_arena struct arena *arena = arena_new();
    struct attempt_record a[4];
    for (int i = 1; i < 4; i++) {
        get_attempt(rig, id, i, arena, &a[i]);
    }
    assert_string_not_equal(a[1].direction, own); /* what was asked for stays on the record */
    assert_string_not_equal(a[1].direction, "boundary-handling");
    assert_learned(&a[1], "direction", own);
    assert_learned(&a[1], "strategy", "programmatic-dependent-launch");
    assert_learned(&a[2], "direction", "boundary-handling");
    assert_learned(&a[3], "direction", a[3].direction);
    campaign_rig_verify(rig);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: a peer may go */
#define TEST(name) cmocka_unit_test_setup_teardown(name, campaign_rig_setup, campaign_rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_spool_correction_and_repair),
        TEST(test_question_has_the_tuning),
        TEST(test_samples_are_siblings),
        TEST(test_many_calls_over_http),
        TEST(test_budget_of_tokens_is_never_overshot),
        TEST(test_budget_of_dollars),
        TEST(test_wall_clock_is_hard),
        TEST(test_wrong_key_and_no_network),
        TEST(test_refusals_and_floods_cost_a_sample),
        TEST(test_full_disk),
        TEST(test_what_is_invented_and_wins_is_learned),
        TEST(test_a_paraphrase_is_credited_to_the_seed),
        TEST(test_another_direction_gets_its_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
