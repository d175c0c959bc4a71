/* SPDX-License-Identifier: MIT */
/*
 * Searches that a language model proposes for, through a spool whose other side is this test and a fake
 * provider over HTTP: rounds, corrections, failures that cost the model and not the search, answers that
 * are never asked for twice, budgets. Times are made up (tune_rig.h).
 */
#include "agent/tune_desk.h"
#include "agent/tune_model.h"
#include "base/file.h"
#include "base/util.h"
#include "tests/campaign_rig.h"
#include "tests/tune_rig.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NEAR "{\"configs\":[{\"BLOCK\":512},{\"BLOCK\":512,\"VEC\":4},{\"BLOCK\":96}]}"
#define BEST "{\"configs\":[{\"BLOCK\":512,\"VEC\":4,\"UNROLL\":4,\"STAGED\":1,\"MODE\":\"swizzled\"}]}"
#define PROSE "I would rather talk about it."

/* One search from the start, as a command runs it. */
struct search {
    const char *algorithm, *flags;
    size_t budget;
    /* What came of it. */
    int code;
    size_t n;
    double best_us;
    char note[700], id[16];
    struct err err;
};

static int drive(struct search *s, struct campaign_rig *rig, const struct tune_space *space,
                 struct tuner *tuner, struct tune_model *model)
{
    uint16_t config[TUNE_PARAMS_MAX];
    while (!tuner_done(tuner)) {
        if (tuner_ask(tuner, 1, config)) {
            assert_int_equal(tuner_tell(tuner, config, tune_rig_time(space, config), NULL), 0);
            continue;
        }
        assert_true(tuner_waits(tuner) >= 0);
        int r = tune_model_round(model, tuner, &rig->session.loop, true, &s->err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void run_search(struct campaign_rig *rig, struct search *s)
{
    struct tune_space *space = tune_rig_space(true);
    struct tune_desk *desk = NULL;
    struct tuner *tuner = NULL;
    const struct tuner_options t = { .algorithm = s->algorithm, .budget = s->budget, .seed = 3,
                                     .flags = s->flags };
    if (tuner_new(space, &t, &tuner, &s->err) < 0
        || tune_desk_open(&rig->session, "the rig", "rig", "no device", &desk, &s->err) < 0) {
        fail_msg("%s", err_text(&s->err));
    }
    const struct tune_model_options o = { .desk = tune_desk_model(desk), .task_name = "rig", .seq = 2,
                                          .first_call = 10, .space = space, .about = "the rig's space",
                                          .unit = "us", .budget = s->budget };
    struct tune_model *model = tune_model_new(&o);
    s->err = (struct err) { 0 };
    s->code = drive(s, rig, space, tuner, model);
    const struct tuner_sample *samples, *best = tuner_best(tuner);
    s->n = tuner_samples(tuner, &samples);
    s->best_us = best ? best->time : 0;
    snprintf(s->note, sizeof(s->note), "%s", tune_model_note(model));
    snprintf(s->id, sizeof(s->id), "%s", tune_desk_id(desk));
    tune_model_free(model);
    tuner_free(tuner);
    tune_desk_close(desk, s->code == ERR_BUSY ? "waiting" : "done");
    tune_space_free(space);
}

/* The last message of a call's request. */
static const char *question(struct campaign_rig *rig, const char *id, int64_t number,
                            struct arena *arena)
{
    struct call_record call;
    struct llm_message messages[LLM_MESSAGES_MAX];
    size_t n = 0;
    struct err err = { 0 };
    if (record_get_call(rig->session.store, id, "rig", 2, number, arena, &call, &err) < 0
        || model_request_read(rig->session.store, call.request, arena, messages, LLM_MESSAGES_MAX, &n,
                              &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return messages[n - 1].text;
}

/* Every step in a process of its own, as far as the store can tell; the last finds all its answers. */
static void test_rounds_through_a_spool(void **state)
{
    struct campaign_rig *rig = *state;
    struct search s = { .algorithm = "llm", .flags = "random=4,configs=6", .budget = 40 };
    struct ledger_line cost;
    static const char *const answers[] = { NEAR, BEST, NEAR };
    rig->options.llm = rig->spool;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        run_search(rig, &s);
        assert_int_equal(s.code, ERR_BUSY);
        assert_non_null(strstr(s.err.text, "a reply is awaited in "));
        campaign_rig_ledger(rig, s.id, &cost);
        assert_int_equal(cost.calls, (int64_t)i + 1);
        assert_int_equal(cost.open, 1);
        assert_int_equal(campaign_rig_answer(rig, answers[i]), 1);
        campaign_rig_reopen(rig);
    }
    run_search(rig, &s);
    assert_int_equal(s.code, ERR_BUSY); /* an answer of known configs only is asked about again */
    assert_int_equal(campaign_rig_answer(rig, PROSE), 1);
    run_search(rig, &s);
    assert_int_equal(s.code, 0);
    assert_float_equal(s.best_us, 50, 1e-9); /* the rig's optimum, which the second answer names */
    assert_non_null(strstr(s.note, "round 2: There is no list of configs"));
    assert_int_equal(s.n, 40); /* and the search went on without it */
    campaign_rig_ledger(rig, s.id, &cost);
    assert_int_equal(cost.calls, 4);
    assert_int_equal(cost.answered, 4);
    assert_int_equal(cost.corrections, 1);
    auto_arena struct arena *arena = arena_new();
    const char *first = question(rig, s.id, 10, arena), *second = question(rig, s.id, 12, arena);
    assert_non_null(strstr(first, "BLOCK (powers of two): 64, 128, 256, 512, 1024\n"));
    assert_non_null(strstr(first, "{\"BLOCK\":256,\"VEC\":1,\"UNROLL\":1,\"STAGED\":0,\"MODE\":\"plain\"}"));
    assert_null(strstr(first, "# Passed over"));
    assert_non_null(strstr(first, "Up to 6 configs"));
    assert_non_null(strstr(second, "BLOCK=512 VEC=4\n")); /* what it proposed, with its time */
    assert_non_null(strstr(second, "{\"BLOCK\":96}: BLOCK: 96 is not one of"));
    assert_non_null(strstr(question(rig, s.id, 15, arena), "it was tried already"));
    campaign_rig_verify(rig);
    struct search again = { .algorithm = "llm", .flags = "random=4,configs=6", .budget = 40 };
    campaign_rig_reopen(rig);
    run_search(rig, &again); /* nothing is asked a second time */
    assert_int_equal(again.code, 0);
    assert_int_equal(again.n, 40);
    assert_string_equal(again.id, s.id);
    campaign_rig_ledger(rig, s.id, &cost);
    assert_int_equal(cost.calls, 4);
}

static void test_hybrid_over_http(void **state)
{
    struct campaign_rig *rig = *state;
    struct ledger_line cost;
    auto_free char *path = xprintf("%s/configs", rig->folder);
    auto_free char *arguments = xprintf("--answer %s", path);
    assert_int_equal(file_write(path, BEST, strlen(BEST), NULL), 0);
    fake_provider_start(&rig->fake, arguments);
    rig->faked = true;
    rig->options.llm = "openai:gpt-test";
    rig->options.base_url = rig->fake.url;
    struct search s = { .algorithm = "hybrid", .flags = "random=2", .budget = 25 };
    run_search(rig, &s);
    assert_int_equal(s.code, 0);
    assert_int_equal(s.n, 25);
    assert_float_equal(s.best_us, 50, 1e-9);
    assert_string_equal(s.note, "");
    campaign_rig_ledger(rig, s.id, &cost);
    assert_int_equal(cost.calls, 1);
    assert_true(cost.tokens_in > 0);
    campaign_rig_verify(rig);
}

/* What goes wrong costs the model, not the search; and the result says what it was. */
static void fails_with(void **state, const char *script, int64_t tokens, const char *note,
                       int64_t calls)
{
    struct campaign_rig *rig = *state;
    struct ledger_line cost;
    auto_free char *path = xprintf("%s/configs", rig->folder);
    auto_free char *arguments = xprintf("--script %s --answer %s", script, path);
    assert_int_equal(file_write(path, PROSE, strlen(PROSE), NULL), 0);
    fake_provider_start(&rig->fake, arguments);
    rig->faked = true;
    rig->options.llm = "openai:gpt-test";
    rig->options.base_url = rig->fake.url;
    rig->options.tokens = tokens;
    struct search s = { .algorithm = "hybrid", .budget = 30 };
    run_search(rig, &s);
    assert_int_equal(s.code, 0);
    assert_int_equal(s.n, 30);
    if (!strstr(s.note, note)) {
        fail_msg("the note is \"%s\"", s.note);
    }
    assert_non_null(strstr(s.note, "the search went on without the model"));
    campaign_rig_ledger(rig, s.id, &cost);
    assert_int_equal(cost.calls, calls);
    campaign_rig_verify(rig);
}

static void test_server_error(void **state) { fails_with(state, "final", 0, "don't come back", 1); }
static void test_bad_key(void **state) { fails_with(state, "401", 0, "round 0: ", 1); }
static void test_refusal(void **state) { fails_with(state, "refusal", 0, "I won't", 1); }
static void test_prose(void **state) { fails_with(state, "ok", 0, "no list of configs", 2); }
static void test_budget(void **state) { fails_with(state, "ok", 100, "token", 0); }

/* Of the first softmax variant: some of them are random ones that were tried before the answer came. */
static char *every_config(void)
{
    struct buf text;
    buf_init(&text, 4096);
    for (int i = 0; i < 15; i++) {
        buf_printf(&text, "%s{\"BLOCK\":%d,\"ROW_BLOCK\":%d}", i ? "," : "{\"configs\":[", 64 << i % 5,
                   32 << i / 5);
    }
    buf_puts(&text, "]}");
    return buf_take(&text);
}

/* A campaign's tuner asks the campaign's model: same record, same budget; and no-wait knows of it. */
static void test_campaign(void **state)
{
    struct campaign_rig *rig = *state;
    static const char *const softmax[] = { "softmax" };
    struct campaign_options o = campaign_rig_options(rig, softmax, 1);
    struct campaign_options changes = { .steps = -1, .no_wait = true };
    struct campaign_result r;
    struct ledger_line cost;
    char id[32];
    o.steps = 1;
    o.tuner = "hybrid";
    o.tune_budget = 14; /* the space has 15 */
    assert_int_equal(campaign_rig_run(rig, &o, id, &r, NULL), 0);
    assert_string_equal(r.status, "waiting"); /* for the start's configs */
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.open, 1);
    auto_free char *all = every_config();
    assert_true(campaign_rig_answer_one(rig, ".000000.50", all));
    campaign_rig_reopen(rig);
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_string_equal(r.status, "waiting"); /* for a candidate */
    auto_free char *good = campaign_rig_reply("good", "new: a way: it is faster");
    assert_true(campaign_rig_answer_one(rig, ".000001.00", good));
    campaign_rig_reopen(rig);
    assert_int_equal(campaign_rig_resume(rig, id, &changes, &r, NULL), 0);
    assert_string_equal(r.status, "done");
    assert_int_equal(r.accepted, 2);
    campaign_rig_ledger(rig, id, &cost);
    assert_int_equal(cost.answered, 2);
    auto_arena struct arena *arena = arena_new();
    struct attempt_record a;
    assert_int_equal(record_get_attempt(rig->session.store, id, "softmax", 0, arena, &a, NULL), 0);
    assert_non_null(strstr(a.extra, "\"algorithm\":\"hybrid\""));
    assert_null(strstr(a.extra, "went on without"));
    struct call_record call;
    struct llm_message messages[LLM_MESSAGES_MAX];
    size_t n;
    assert_int_equal(record_get_call(rig->session.store, id, "softmax", 0, 50, arena, &call, NULL), 0);
    assert_int_equal(model_request_read(rig->session.store, call.request, arena, messages,
                                        LLM_MESSAGES_MAX, &n, NULL), 0);
    static const char *const parts[] = { "# The device", "# The task", "# The kernel", "row_stats",
                                         "# The tunables", "BLOCK (powers of two): 64, 128",
                                         "# The base config", "# Your turn", "Up to " };
    const char *at = messages[1].text;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        at = strstr(at, parts[i]);
        if (!at) {
            fail_msg("\"%s\" is missing, or not where it belongs", parts[i]);
        }
    }
    campaign_rig_verify(rig);
}

static void never(void *ud, const struct tune_proposals *proposals)
{
    (void)ud;
    (void)proposals;
    fail_msg("a dropped call was answered");
}

/* A call in flight is dropped; its intent stays, and the loop empties. */
static void test_dropped_in_flight(void **state)
{
    struct campaign_rig *rig = *state;
    fake_provider_start(&rig->fake, "--latency 60000");
    rig->faked = true;
    rig->options.llm = "openai:gpt-test";
    rig->options.base_url = rig->fake.url;
    struct tune_space *space = tune_rig_space(true);
    struct tuner *tuner = NULL;
    struct tune_desk *desk = NULL;
    struct err err = { 0 };
    const struct tuner_options t = { .algorithm = "llm", .budget = 20 };
    assert_int_equal(tuner_new(space, &t, &tuner, &err), 0);
    for (int moment = 0; moment < 12; moment++) {
        assert_int_equal(tune_desk_open(&rig->session, "dropped", "rig", "none", &desk, &err), 0);
        const struct tune_model_options o = { .desk = tune_desk_model(desk), .task_name = "rig",
                                              .seq = moment, .space = space, .about = "a", .unit = "us",
                                              .budget = 20 };
        struct tune_model *model = tune_model_new(&o);
        tune_model_ask(model, tuner, 0, never, NULL);
        for (int turn = 0; turn < moment; turn++) {
            uv_run(&rig->session.loop, UV_RUN_NOWAIT);
        }
        tune_model_free(model);
        assert_int_equal(tune_desk_model(desk)->asking, 0);
        tune_desk_close(desk, "canceled");
        campaign_rig_reopen(rig); /* closes the loop, which must be empty */
    }
    tuner_free(tuner);
    tune_space_free(space);
}

static void test_desks(void **state)
{
    struct campaign_rig *rig = *state;
    struct tune_desk *one = NULL, *two = NULL;
    struct err err = { 0 };
    rig->options.llm = rig->spool;
    assert_int_equal(tune_desk_open(&rig->session, "same", "rig", "none", &one, &err), 0);
    assert_int_equal(tune_desk_open(&rig->session, "same", "rig", "none", &two, &err), ERR_BUSY);
    assert_int_equal(tune_desk_open(&rig->session, "other", "rig", "none", &two, &err), 0);
    assert_string_not_equal(tune_desk_id(one), tune_desk_id(two));
    tune_desk_close(two, "done");
    tune_desk_close(one, "done");
    rig->options.usd = 1;
    rig->options.llm = "openai:unheard-of";
    assert_int_equal(tune_desk_open(&rig->session, "same", "rig", "none", &one, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "--usd: no price is known"));
    rig->options.llm = "oracle";
    assert_int_equal(tune_desk_open(&rig->session, "same", "rig", "none", &one, &err), ERR_INVALID);
}

static void test_no_key(void **state)
{
    struct campaign_rig *rig = *state;
    struct search s = { .algorithm = "llm", .budget = 20 };
    struct ledger_line cost;
    unsetenv("OPENAI_API_KEY");
    rig->options.llm = "openai:gpt-test";
    run_search(rig, &s);
    assert_int_equal(s.code, 0);
    assert_int_equal(s.n, 20);
    assert_non_null(strstr(s.note, "OPENAI_API_KEY"));
    campaign_rig_ledger(rig, s.id, &cost);
    assert_int_equal(cost.calls, 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
#define T(f) cmocka_unit_test_setup_teardown(f, campaign_rig_setup, campaign_rig_teardown)
    const struct CMUnitTest tests[] = {
        T(test_rounds_through_a_spool), T(test_hybrid_over_http), T(test_server_error),
        T(test_bad_key), T(test_refusal), T(test_prose), T(test_budget), T(test_campaign), T(test_dropped_in_flight),
        T(test_desks), T(test_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
