/* SPDX-License-Identifier: MIT */
/* Opening a provider, keys, prices, and what may be asked. */
#include "agent/llm_internal.h"
#include "base/file.h"
#include "base/util.h"
#include "tests/llm_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

/* What llm_open says; "" if it opens. */
static void open_says(const struct llm_options *options, struct err *ret)
{
    uv_loop_t loop;
    struct llm *llm = NULL;
    *ret = (struct err) { 0 };
    uv_loop_init(&loop);
    if (llm_open(&loop, options, &llm, ret) == 0) {
        llm_close(llm);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_specs(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *base_url, *key, *speaks_of; /* NULL: it opens */
    } cases[] = {
        { "openai:gpt-x", NULL, "sk-1", NULL },
        { "openai", NULL, "sk-1", "which model" },
        { "openai:", NULL, "sk-1", "which model" },
        { "openai:gpt-x", NULL, NULL, "OPENAI_API_KEY" },
        { "openai:gpt-x", "http://127.0.0.1:9", NULL, NULL }, /* a server that needs none */
        { "openai:gpt-x", "http://elsewhere:9", "sk-1", "plain HTTP" },
        { "openai:gpt-x", "nonsense", "sk-1", "--base-url" },
        { "openai:gpt-x", NULL, "sk 1", "byte 2" },
        { "openai:gpt-x", NULL, "\n", "holds no key" },
        { "anthropic:c", NULL, NULL, "ANTHROPIC_API_KEY" },
        { "gemini:x", NULL, NULL, "no such provider" },
        { "replay:/no/such/file", NULL, NULL, "/no/such/file" },
        { "replay", NULL, NULL, "replay:FILE" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_options options;
        struct err err;
        llm_rig_options(&options, cases[i].spec, cases[i].base_url);
        unsetenv("ANTHROPIC_API_KEY");
        unsetenv("OPENAI_API_KEY");
        if (cases[i].key) {
            setenv("OPENAI_API_KEY", cases[i].key, 1);
        }
        open_says(&options, &err);
        if (cases[i].speaks_of ? !strstr(err.text, cases[i].speaks_of) : err.text[0] != '\0') {
            fail_msg("%s: %s", cases[i].spec, err.text);
        }
    }
    unsetenv("OPENAI_API_KEY");
}

static void test_key_files(void **state)
{
    (void)state;
    auto_free char *folder = llm_rig_folder(), *file = xprintf("%s/key", folder);
    static const struct {
        const char *text;
        mode_t mode;
        const char *speaks_of, *key;
    } cases[] = {
        { "sk-file\n", 0600, NULL, "sk-file" },
        { "  sk-file \r\n\n", 0400, NULL, "sk-file" },
        { "sk-file\n", 0640, "open to others", NULL },
        { "sk-file\n", 0604, "chmod 600", NULL },
        { "", 0600, "holds no key", NULL },
        { "two\nlines\n", 0600, "byte 3", NULL },
    };
    setenv("OPENAI_API_KEY", "sk-environment", 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_key key;
        struct err err = { 0 };
        assert_int_equal(file_write(file, cases[i].text, strlen(cases[i].text), NULL), 0);
        chmod(file, cases[i].mode);
        int r = llm_key_load(file, "OPENAI_API_KEY", &key, &err);
        if (cases[i].key) {
            assert_int_equal(r, 0);
            assert_string_equal(key.text, cases[i].key);
            assert_non_null(strstr(key.from, file));
            llm_key_done(&key);
        } else if (r >= 0 || !strstr(err.text, cases[i].speaks_of) || strstr(err.text, "sk-")) {
            fail_msg("case %zu: %s", i, err.text);
        }
    }
    struct llm_key key;
    struct err err = { 0 };
    assert_true(llm_key_load(folder, "OPENAI_API_KEY", &key, &err) < 0);
    assert_int_equal(llm_key_load(NULL, "OPENAI_API_KEY", &key, &err), 0);
    assert_string_equal(key.text, "sk-environment");
    llm_key_done(&key);
    unsetenv("OPENAI_API_KEY");
    assert_int_equal(llm_key_load(NULL, "OPENAI_API_KEY", &key, &err), 0);
    assert_null(key.text);
    folder_remove(folder, NULL);
}

static void test_prices(void **state)
{
    (void)state;
    auto_free char *folder = llm_rig_folder(), *file = xprintf("%s/prices", folder);
    static const char text[] = "{\"format\":1,\"models\":[{\"name\":\"small\",\"in\":1,\"out\":2},"
                               "{\"name\":\"claude-opus-4-1\",\"in\":100,\"cached\":10,\"written\":125,"
                               "\"out\":500,\"in_max\":1000}]}";
    static const struct {
        const char *model;
        double in; /* < 0: unknown */
        const char *from;
    } cases[] = {
        { "small", 1, "given" },           { "small-2025-08-07", 1, "given" },
        { "small-20250807", 1, "given" },  { "small-latest", 1, "given" },
        { "small@eu", 1, "given" },        { "small-pro", -1, NULL },
        { "small-2", -1, NULL },           { "smaller", -1, NULL },
        { "claude-opus-4-1", 100, "given" }, /* before the shipped one */
        { "claude-haiku-4-5-20251001", 1, "shipped" },
        { "claude-opus-5-5", 4, "shipped" }, { "claude-opus-5", 5, "shipped" },
        { "", -1, NULL },
    };
    assert_int_equal(file_write(file, text, strlen(text), NULL), 0);
    struct llm_price p;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(llm_price_find(file, cases[i].model, &p, NULL), 0);
        if (p.known != (cases[i].in >= 0) || (p.known && p.in != cases[i].in)
            || (p.known && !strstr(p.from, cases[i].from))) {
            fail_msg("%s: %d %g %s", cases[i].model, p.known, p.in, p.from);
        }
    }
    assert_int_equal(llm_price_find(file, "claude-opus-4-1", &p, NULL), 0);
    struct llm_usage usage = { .in = 1000, .cached = 500, .written = 100, .out = 10 };
    assert_true(fabs(llm_price_of(&p, &usage) - (400 * 100 + 500 * 10 + 100 * 125 + 10 * 500) / 1e6)
                < 1e-12);
    assert_true(fabs(llm_price_worst(&p, 1000, 10) - (1000 * 125 + 10 * 500) / 1e6) < 1e-12);
    assert_true(isnan(llm_price_worst(&p, 1001, 10))); /* the price holds no further */
    usage.in = 1001;
    assert_true(isnan(llm_price_of(&p, &usage)));
    folder_remove(folder, NULL);
}

static void test_bad_price_files(void **state)
{
    (void)state;
    auto_free char *folder = llm_rig_folder(), *file = xprintf("%s/prices", folder);
    static const struct {
        const char *text, *speaks_of;
    } cases[] = {
        { "{", "line 1" },
        { "{\"format\":2,\"models\":[]}", "format" },
        { "{\"format\":1,\"models\":[{\"name\":\"a\",\"in\":1}]}", "\"out\" is missing" },
        { "{\"format\":1,\"models\":[{\"name\":\"a\",\"in\":-1,\"out\":1}]}", "models[0].in" },
        { "{\"format\":1,\"models\":[{\"name\":\"a\",\"in\":1,\"out\":1,\"cache\":1}]}", "cached" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_price p;
        struct err err = { 0 };
        assert_int_equal(file_write(file, cases[i].text, strlen(cases[i].text), NULL), 0);
        assert_true(llm_price_find(file, "a", &p, &err) < 0);
        if (!strstr(err.text, cases[i].speaks_of) || !strstr(err.text, file)) {
            fail_msg("case %zu: %s", i, err.text);
        }
    }
    folder_remove(folder, NULL);
}

/* The bound holds whatever the text: each byte a token, every allowed try billed. */
static void test_worst_price(void **state)
{
    (void)state;
    struct llm_options options;
    struct llm *llm;
    uv_loop_t loop;
    static const struct llm_message messages[] = { { "user", "0123456789" } };
    struct llm_request request = { .key = "k", .messages = messages, .n = 1, .max_tokens = 1000,
                                   .temperature = NAN };
    uv_loop_init(&loop);
    llm_rig_options(&options, "anthropic:claude-haiku-4-5", "http://127.0.0.1:9");
    options.repeats = 2;
    assert_int_equal(llm_open(&loop, &options, &llm, NULL), 0);
    assert_null(llm_price_missing(llm));
    int64_t prompt = 10 + 16 + 64;
    assert_int_equal(llm_worst_tokens(llm, &request), 3 * (prompt + 1000));
    assert_true(fabs(llm_worst_usd(llm, &request) - 3 * ((double)prompt * 1.25 + 1000 * 5) / 1e6) < 1e-12);
    request.max_tokens = 0; /* the options' 100 */
    assert_int_equal(llm_worst_tokens(llm, &request), 3 * (prompt + 100));
    llm_rig_close(&loop, llm);
    uv_loop_init(&loop);
    options.spec = "openai:who-knows";
    assert_int_equal(llm_open(&loop, &options, &llm, NULL), 0);
    assert_true(isnan(llm_worst_usd(llm, &request)));
    assert_non_null(strstr(llm_price_missing(llm), "who-knows"));
    assert_non_null(strstr(llm_price_missing(llm), "--prices"));
    llm_rig_close(&loop, llm);
}

static void ignore(void *ud, const struct llm_reply *reply)
{
    (void)ud;
    (void)reply;
}

static void test_what_may_be_asked(void **state)
{
    (void)state;
    static const struct llm_message good = { "user", "x" }, odd = { "tool", "x" }, rules = { "system", "x" };
    auto_free char *long_key = xcalloc(LLM_KEY_MAX + 2, 1);
    memset(long_key, 'k', LLM_KEY_MAX + 1);
    const struct {
        const char *key;
        const struct llm_message *message;
        size_t n;
        int code;
    } cases[] = {
        { "a.B-9_", &good, 1, 0 },       { "a.B-9_", &good, 1, ERR_EXISTS },
        { "", &good, 1, ERR_INVALID },   { "a/b", &good, 1, ERR_INVALID },
        { "..", &good, 1, ERR_INVALID }, { ".hidden", &good, 1, ERR_INVALID },
        { "a b", &good, 1, ERR_INVALID }, { long_key, &good, 1, ERR_INVALID },
        { "b", &good, 0, ERR_INVALID },  { "b", &odd, 1, ERR_INVALID },
        { "b", &rules, 1, ERR_INVALID }, { "b", &good, 1, 0 },
    };
    struct llm_options options;
    struct llm *llm;
    uv_loop_t loop;
    uv_loop_init(&loop);
    llm_rig_options(&options, "openai:m", "http://127.0.0.1:9");
    assert_int_equal(llm_open(&loop, &options, &llm, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_request request = { .key = cases[i].key, .messages = cases[i].message,
                                       .n = cases[i].n, .temperature = NAN };
        struct llm_call *call;
        int r = llm_ask(llm, &request, ignore, NULL, &call, NULL);
        if (r != cases[i].code) {
            fail_msg("case %zu: %d", i, r);
        }
    }
    assert_int_equal(llm_pending(llm), 2);
    llm_rig_close(&loop, llm);
}

int main(void)
{
    unsetenv("OPENAI_BASE_URL");
    unsetenv("ANTHROPIC_BASE_URL");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specs),       cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_prices),      cmocka_unit_test(test_bad_price_files),
        cmocka_unit_test(test_worst_price), cmocka_unit_test(test_what_may_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
