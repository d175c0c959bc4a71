/* SPDX-License-Identifier: MIT */
/*
 * Calls over real sockets, to a provider that behaves badly on purpose. What each behaviour must come
 * to is a row of a table: after how many tries, with which code, and what the error must speak of.
 */
#include "base/file.h"
#include "base/util.h"
#include "tests/llm_rig.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { TRY_TOKENS = 64 + 11 + 16 + 8 + 16 + 100 }; /* of what the rig asks, see llm_worst_tokens */

struct expected {
    const char *script;
    int code, tries;
    bool fatal;
    const char *speaks_of; /* in the error, or in the text if code is 0 */
    int unsure;            /* tries that may have been billed */
};

static const struct expected both[] = {
    { "ok", 0, 1, false, "an answer", 0 },
    { "blank", 0, 1, false, "an answer", 0 },
    { "late", 0, 1, false, "an answer", 0 }, /* later after its head than an answer may stall */
    { "429,ok", 0, 2, false, "an answer", 0 },
    { "500,503,ok", 0, 3, false, "an answer", 0 },
    { "529,ok", 0, 2, false, "an answer", 0 },
    { "routed,ok", 0, 2, false, "an answer", 0 },
    { "429", ERR_BUSY, 3, false, "slow down", 0 },
    { "429long", ERR_BUSY, 1, false, "come tomorrow", 0 },
    { "500", ERR_PROTOCOL, 3, false, "in trouble", 0 },
    { "final", ERR_INVALID, 1, false, "don't come back", 0 },
    { "401", ERR_ENVIRONMENT, 1, true, "_API_KEY", 0 },
    { "402", ERR_ENVIRONMENT, 1, true, "credit", 0 },
    { "403", ERR_ENVIRONMENT, 1, true, "not for you", 0 },
    { "404", ERR_ENVIRONMENT, 1, true, "no such model", 0 },
    { "400", ERR_INVALID, 1, false, "too long by far", 0 },
    { "413", ERR_TOOBIG, 1, false, "too large", 0 },
    { "quota", ERR_ENVIRONMENT, 1, true, "quota", 0 },
    { "credit", ERR_ENVIRONMENT, 1, true, "credit", 0 },
    { "redirect", ERR_ENVIRONMENT, 1, true, "/elsewhere", 0 },
    { "length", 0, 1, false, "an answer", 0 },
    { "504,ok", 0, 2, false, "an answer", 1 },
    { "cut,ok", 0, 2, false, "an answer", 1 },
    { "reset,ok", 0, 2, false, "an answer", 1 },
    { "truncated,ok", 0, 2, false, "an answer", 1 },
    { "cut", ERR_PROTOCOL, 2, false, "in the middle", 2 },
    { "reset", ERR_PROTOCOL, 2, false, "before it answered", 2 },
    { "truncated", ERR_PROTOCOL, 2, false, "isn't JSON", 2 },
    { "garbage", ERR_PROTOCOL, 2, false, "HTTP", 2 },
    { "html", ERR_PROTOCOL, 2, false, "text/html", 2 },
    { "list", ERR_PROTOCOL, 2, false, "object", 2 },
    { "shapeless", ERR_PROTOCOL, 2, false, "expected an", 2 },
    { "badzip", ERR_PROTOCOL, 2, false, "broken", 2 },
    { "stall", ERR_TIMEOUT, 2, false, "no byte for", 2 },
    { "bomb", ERR_TOOBIG, 1, false, "limit of 1048576 bytes", 1 },
    { "huge", ERR_TOOBIG, 1, false, "limit of 1048576 bytes", 1 },
    { "flood", ERR_TOOBIG, 1, false, "larger", 1 },
};

static void check(const char *spec, const struct expected *e)
{
    struct fake_provider provider;
    auto_free char *arguments = xprintf("--script %s", e->script);
    fake_provider_start(&provider, arguments);
    struct llm_options options;
    llm_rig_options(&options, spec, provider.url);
    options.reply_max = 1 << 20;
    struct llm_kept kept;
    llm_rig_once(&options, &kept);
    fake_provider_stop(&provider);
    const struct llm_reply *r = &kept.reply;
    const char *said = e->code ? r->error : r->text;
    if (r->code != e->code || r->tries != e->tries || r->fatal != e->fatal
        || !strstr(said, e->speaks_of) || r->tokens_unsure != e->unsure * TRY_TOKENS
        || strstr(r->error, "sk-secret")) {
        fail_msg("%s %s: code %d (%d), tries %d (%d), fatal %d (%d), unsure %ld, \"%s\"", spec,
                 e->script, r->code, e->code, r->tries, e->tries, r->fatal, e->fatal,
                 (long)r->tokens_unsure, said);
    }
    llm_kept_done(&kept);
}

static void test_behaviours(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        check("openai:fake-1", &both[i]);
        check("anthropic:fake-1", &both[i]);
    }
}

static void ask_fake(const char *spec, const char *arguments, struct llm_options *options,
                     struct llm_kept *ret)
{
    struct fake_provider provider;
    fake_provider_start(&provider, arguments);
    options->spec = spec;
    options->base_url = provider.url;
    llm_rig_once(options, ret);
    fake_provider_stop(&provider);
}

static void test_waits(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        double least_s;
    } cases[] = { { "429after,ok", 0.95 }, { "429date,ok", 0.9 }, { "429ms,ok", 0.29 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_options options;
        struct llm_kept kept;
        llm_rig_options(&options, NULL, NULL);
        auto_free char *arguments = xprintf("--script %s", cases[i].script);
        uint64_t before = clock_ns();
        ask_fake("openai:m", arguments, &options, &kept);
        double took = (double)(clock_ns() - before) / 1e9;
        assert_int_equal(kept.reply.code, 0);
        if (took < cases[i].least_s || took > 30) {
            fail_msg("%s: came back after %g s", cases[i].script, took);
        }
        llm_kept_done(&kept);
    }
}

/* The model refuses temperature and the older name of max_tokens: learned once, for all calls. */
static void test_learns_the_shape(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int tries;
    } cases[] = { { "openai:m", 3 }, { "anthropic:m", 2 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_provider provider;
        struct llm_options options;
        struct llm_kept kept;
        struct llm *llm;
        uv_loop_t loop;
        fake_provider_start(&provider, "--script picky");
        llm_rig_options(&options, cases[i].spec, provider.url);
        options.temperature = 0.5;
        uv_loop_init(&loop);
        assert_int_equal(llm_open(&loop, &options, &llm, NULL), 0);
        llm_rig_ask(&loop, llm, "first", &kept);
        assert_int_equal(kept.reply.code, 0);
        assert_int_equal(kept.reply.tries, cases[i].tries);
        llm_kept_done(&kept);
        llm_rig_ask(&loop, llm, "second", &kept);
        assert_int_equal(kept.reply.tries, 1);
        llm_kept_done(&kept);
        llm_rig_close(&loop, llm);
        fake_provider_stop(&provider);
    }
}

static void test_stops(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum llm_stop openai, anthropic;
    } cases[] = { { "ok", LLM_STOP_END, LLM_STOP_END },
                  { "length", LLM_STOP_LENGTH, LLM_STOP_LENGTH },
                  { "refusal", LLM_STOP_REFUSED, LLM_STOP_REFUSED },
                  { "filter", LLM_STOP_FILTERED, LLM_STOP_REFUSED } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int k = 0; k < 2; k++) {
            struct llm_options options;
            struct llm_kept kept;
            llm_rig_options(&options, NULL, NULL);
            auto_free char *arguments = xprintf("--script %s", cases[i].script);
            ask_fake(k ? "anthropic:m" : "openai:m", arguments, &options, &kept);
            assert_int_equal(kept.reply.code, 0);
            assert_int_equal(kept.reply.stop, k ? cases[i].anthropic : cases[i].openai);
            assert_true(kept.reply.usage_known);
            assert_true(kept.reply.usage.in > 0 && kept.reply.usage.out > 0);
            assert_string_equal(kept.reply.model, "fake-1");
            assert_string_equal(kept.reply.request_id, "req_200");
            llm_kept_done(&kept);
        }
    }
}

/* One byte every 20 ms: the whole time is what bounds it. And nothing at all. */
static void test_slow_and_silent(void **state)
{
    (void)state;
    static const char *const scripts[] = { "--script drip", "--script silent" };
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct llm_options options;
        struct llm_kept kept;
        llm_rig_options(&options, NULL, NULL);
        options.timeout_s = 1;
        options.repeats = 0;
        ask_fake("openai:m", scripts[i], &options, &kept);
        assert_int_equal(kept.reply.code, ERR_TIMEOUT);
        assert_int_equal(kept.reply.tries, 1);
        assert_non_null(strstr(kept.reply.error, "--llm-timeout"));
        llm_kept_done(&kept);
    }
}

static void test_nobody_there(void **state)
{
    (void)state;
    static const struct {
        const char *url, *speaks_of;
    } cases[] = { { "http://127.0.0.1:1", "no connection" },
                  { "http://no.such.host.invalid", "no connection" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_options options;
        struct llm_kept kept;
        llm_rig_options(&options, "openai:m", cases[i].url);
        unsetenv("OPENAI_API_KEY"); /* plain HTTP to another machine */
        llm_rig_once(&options, &kept);
        setenv("OPENAI_API_KEY", "sk-secret", 1);
        assert_int_equal(kept.reply.code, ERR_ENVIRONMENT);
        assert_true(kept.reply.fatal);
        assert_int_equal(kept.reply.tries, 3);
        assert_int_equal(kept.reply.tokens_unsure, 0);
        assert_non_null(strstr(kept.reply.error, cases[i].speaks_of));
        llm_kept_done(&kept);
    }
}

struct crowd {
    size_t answered, failed;
    uv_loop_t loop;
};

static void count(void *ud, const struct llm_reply *reply)
{
    struct crowd *c = ud;
    c->answered += reply->code == 0;
    c->failed += reply->code != 0;
}

/* Asks `n` things at once and cancels every 7th of them if told. */
static void ask_many(struct crowd *c, struct llm *llm, size_t n, bool cancel)
{
    static const struct llm_message message = { "user", "question" };
    struct llm_call **calls = xcalloc(n, sizeof(struct llm_call *));
    for (size_t i = 0; i < n; i++) {
        auto_free char *key = xprintf("key-%zu", i);
        struct llm_request request = { .key = key, .messages = &message, .n = 1, .temperature = NAN };
        assert_int_equal(llm_ask(llm, &request, count, c, &calls[i], NULL), 0);
    }
    assert_int_equal(llm_pending(llm), n);
    for (size_t i = 0; cancel && i < n; i += 7) {
        llm_cancel(calls[i]);
    }
    free(calls);
    while (llm_pending(llm) && uv_run(&c->loop, UV_RUN_ONCE)) {
    }
}

static void test_hundreds_in_flight(void **state)
{
    (void)state;
    enum { N = 600 };
    struct fake_provider provider;
    struct llm_options options;
    struct llm *llm;
    struct crowd crowd = { .answered = 0 };
    fake_provider_start(&provider, "--latency 200");
    llm_rig_options(&options, "openai:m", provider.url);
    options.max_in_flight = 300;
    uv_loop_init(&crowd.loop);
    assert_int_equal(llm_open(&crowd.loop, &options, &llm, NULL), 0);
    uint64_t before = clock_ns();
    ask_many(&crowd, llm, N, true);
    assert_int_equal(crowd.answered, N - (N + 6) / 7);
    assert_int_equal(crowd.failed, 0);
    assert_true((double)(clock_ns() - before) / 1e9 < 60); /* one after the other: 103 s */
    llm_rig_close(&crowd.loop, llm);
    fake_provider_stop(&provider);
}

/* A provider that takes ten calls at a time and turns the others away: all get through in the end. How
 * many tries one needs depends on the machine. */
static void test_crowd(void **state)
{
    (void)state;
    struct fake_provider provider;
    struct llm_options options;
    struct llm *llm;
    struct crowd crowd = { .answered = 0 };
    fake_provider_start(&provider, "--latency 5 --crowd 10");
    llm_rig_options(&options, "openai:m", provider.url);
    options.retries = 20;
    uv_loop_init(&crowd.loop);
    assert_int_equal(llm_open(&crowd.loop, &options, &llm, NULL), 0);
    ask_many(&crowd, llm, 100, false);
    assert_int_equal(crowd.answered, 100);
    llm_rig_close(&crowd.loop, llm);
    fake_provider_stop(&provider);
}

/* A third of all requests goes wrong in some way; with retries enough, every call is answered. */
static void test_chaos(void **state)
{
    (void)state;
    struct fake_provider provider;
    struct llm_options options;
    struct llm *llm;
    struct crowd crowd = { .answered = 0 };
    fake_provider_start(&provider, "--latency 2 --chaos 7:33");
    llm_rig_options(&options, "openai:m", provider.url);
    options.retries = options.repeats = 20;
    uv_loop_init(&crowd.loop);
    assert_int_equal(llm_open(&crowd.loop, &options, &llm, NULL), 0);
    ask_many(&crowd, llm, 200, false);
    assert_int_equal(crowd.answered, 200);
    llm_rig_close(&crowd.loop, llm);
    fake_provider_stop(&provider);
}

/* Closing with calls in every state: queued, in flight, waiting to be tried again. */
static void test_close_in_the_middle(void **state)
{
    (void)state;
    static const struct llm_message message = { "user", "question" };
    struct fake_provider provider;
    struct llm_options options;
    struct llm *llm;
    struct llm_call *call;
    struct crowd crowd = { .answered = 0 };
    fake_provider_start(&provider, "--latency 50 --chaos 3:60");
    llm_rig_options(&options, "openai:m", provider.url);
    options.max_in_flight = 20;
    options.retries = 1000;
    options.backoff_s = 5;
    uv_loop_init(&crowd.loop);
    assert_int_equal(llm_open(&crowd.loop, &options, &llm, NULL), 0);
    for (int i = 0; i < 100; i++) {
        auto_free char *key = xprintf("key-%d", i);
        struct llm_request request = { .key = key, .messages = &message, .n = 1, .temperature = NAN };
        assert_int_equal(llm_ask(llm, &request, count, &crowd, &call, NULL), 0);
    }
    while (!crowd.answered && uv_run(&crowd.loop, UV_RUN_ONCE)) {
    }
    size_t told = crowd.answered + crowd.failed;
    llm_close(llm);
    uv_run(&crowd.loop, UV_RUN_DEFAULT);
    assert_int_equal(crowd.answered + crowd.failed, told);
    assert_int_equal(uv_loop_close(&crowd.loop), 0);
    fake_provider_stop(&provider);
}

/* What left: the key where it belongs, the call's key as idempotency key on every try. */
static void test_what_is_sent(void **state)
{
    (void)state;
    auto_free char *folder = llm_rig_folder(), *log = xprintf("%s/log", folder), *text = NULL;
    auto_free char *arguments = xprintf("--script 429,ok --log %s", log);
    struct llm_options options;
    struct llm_kept kept;
    llm_rig_options(&options, NULL, NULL);
    ask_fake("openai:m", arguments, &options, &kept);
    llm_kept_done(&kept);
    assert_int_equal(file_read(log, 1 << 20, &text, NULL, NULL), 0);
    assert_non_null(strstr(text, "{\"event\":\"asked\",\"key\":\"key-1\",\"behaviour\":\"429\","
                                 "\"authorized\":true}"));
    assert_non_null(strstr(text, "{\"event\":\"asked\",\"key\":\"key-1\",\"behaviour\":\"ok\","
                                 "\"authorized\":true}"));
    folder_remove(folder, NULL);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    setenv("OPENAI_API_KEY", "sk-secret", 1);
    setenv("ANTHROPIC_API_KEY", "sk-secret", 1);
    setenv("no_proxy", "127.0.0.1,no.such.host.invalid", 1); /* whatever this machine's proxy is */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behaviours),       cmocka_unit_test(test_waits),
        cmocka_unit_test(test_learns_the_shape), cmocka_unit_test(test_stops),
        cmocka_unit_test(test_slow_and_silent),  cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_hundreds_in_flight), cmocka_unit_test(test_chaos), cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_close_in_the_middle), cmocka_unit_test(test_what_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
