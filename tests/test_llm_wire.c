/* SPDX-License-Identifier: MIT */
/* The two wire formats without a wire: bodies to the byte, answers, errors, addresses. */
#include "agent/llm_internal.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct llm_message messages[] = {
    { "system", "rules" }, { "user", "do \"it\"" }, { "assistant", "done" }, { "user", "again" }
};
static const struct llm_request request = { .key = "k", .messages = messages, .n = 4 };

static void check_body(const struct llm_wire *wire, const struct llm_shape *shape, const char *want)
{
    auto_buf struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(wire->body(&request, shape, &out), 0);
    assert_string_equal(out.at, want);
    buf_done(&out);
    buf_init(&out, 50);
    assert_int_equal(wire->body(&request, shape, &out), ERR_TOOBIG);
}

static void test_bodies(void **state)
{
    (void)state;
    struct llm_shape shape = { .model = "m", .max_tokens = 5, .temperature = 1.5 };
    check_body(&llm_openai, &shape,
               "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"rules\"},{\"role\":"
               "\"user\",\"content\":\"do \\\"it\\\"\"},{\"role\":\"assistant\",\"content\":\"done\"},"
               "{\"role\":\"user\",\"content\":\"again\"}],\"max_completion_tokens\":5,\"temperature\":"
               "1.5}");
    check_body(&llm_anthropic, &shape,
               "{\"model\":\"m\",\"max_tokens\":5,\"temperature\":1.0,\"system\":[{\"type\":\"text\","
               "\"text\":\"rules\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":"
               "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"do \\\"it\\\"\",\"cache_control\":"
               "{\"type\":\"ephemeral\"}}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
               "\"text\":\"done\"}]},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
               "\"again\"}]}]}");
    shape.old_max_tokens = shape.temperature_refused = true;
    auto_buf struct buf out;
    buf_init(&out, 1 << 16);
    llm_openai.body(&request, &shape, &out);
    assert_non_null(strstr(out.at, "\"max_tokens\":5}"));
    assert_null(strstr(out.at, "temperature"));
}

/* Blocks without text are refused by the provider; a turn of them is left out. */
static void test_blank_messages(void **state)
{
    (void)state;
    static const struct llm_message blank[] = { { "system", " " }, { "user", "a" }, { "assistant", "\n" },
                                                { "user", "b" } };
    static const struct llm_request q = { .key = "k", .messages = blank, .n = 4 };
    struct llm_shape shape = { .model = "m", .max_tokens = 5, .temperature = NAN };
    auto_buf struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(llm_anthropic.body(&q, &shape, &out), 0);
    assert_string_equal(out.at, "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\","
                                "\"content\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":"
                                "{\"type\":\"ephemeral\"}}]},{\"role\":\"user\",\"content\":[{\"type\":"
                                "\"text\",\"text\":\"b\"}]}]}");
}

/* Reads an answer, or says why it isn't one. */
static int read_answer(const struct llm_wire *wire, const char *text, struct arena *arena,
                       struct llm_answer *ret, struct err *err)
{
    json_t *json = NULL;
    int r = llm_wire_parse(text, strlen(text), &json, err);
    r = r < 0 ? r : wire->read(json, arena, ret, err);
    json_decref(json);
    return r;
}

static void test_openai_answers(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
        enum llm_stop stop;
        bool usage_known;
    } cases[] = {
        { "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":"
          "{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":8},"
          "\"completion_tokens_details\":{\"reasoning_tokens\":3}}}", "hi", LLM_STOP_END, true },
        { "{\"choices\":[{\"message\":{\"content\":null},\"finish_reason\":\"length\"}],\"usage\":null}",
          "", LLM_STOP_LENGTH, false },
        { "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}",
          "no", LLM_STOP_REFUSED, false },
        { "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"content_filter\"}]}", "",
          LLM_STOP_FILTERED, false },
        { "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
          "\"image\"},{\"type\":\"text\",\"text\":\"b\"}]},\"finish_reason\":\"tool_calls\"}]}", "ab",
          LLM_STOP_OTHER, false },
        { "{\"choices\":[{\"message\":{\"content\":\"a\\u0000b\"},\"finish_reason\":null}]}", "a?b",
          LLM_STOP_OTHER, false },
        /* counts that can't be: not taken over */
        { "{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":-1,"
          "\"completion_tokens\":5}}", "x", LLM_STOP_OTHER, false },
        { "{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":1,"
          "\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":2}}}", "x",
          LLM_STOP_OTHER, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_arena struct arena *arena = arena_new();
        struct llm_answer a;
        assert_int_equal(read_answer(&llm_openai, cases[i].body, arena, &a, NULL), 0);
        assert_string_equal(a.text, cases[i].text);
        assert_int_equal(a.len, strlen(a.text));
        assert_int_equal(a.stop, cases[i].stop);
        assert_int_equal(a.usage_known, cases[i].usage_known);
        assert_int_equal(a.usage.in, cases[i].usage_known ? 10 : 0);
        assert_int_equal(a.usage.cached, cases[i].usage_known ? 8 : 0);
        assert_int_equal(a.usage.reasoning, cases[i].usage_known ? 3 : 0);
    }
}

static void test_anthropic_answers(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum llm_stop stop;
    } cases[] = { { "\"end_turn\"", LLM_STOP_END },        { "\"stop_sequence\"", LLM_STOP_END },
                  { "\"max_tokens\"", LLM_STOP_LENGTH },   { "\"refusal\"", LLM_STOP_REFUSED },
                  { "\"model_context_window_exceeded\"", LLM_STOP_LENGTH },
                  { "\"pause_turn\"", LLM_STOP_OTHER },    { "null", LLM_STOP_OTHER } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_arena struct arena *arena = arena_new();
        struct llm_answer a;
        auto_free char *body = xprintf(
            "{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"},"
            "{\"type\":\"redacted_thinking\",\"data\":\"x\"},{\"type\":\"text\",\"text\":\"hi \"},{\"type\":"
            "\"text\",\"text\":\"you\"}],\"stop_reason\":%s,\"usage\":{\"input_tokens\":1,"
            "\"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":300,\"output_tokens\":4,"
            "\"cache_creation\":{\"ephemeral_5m_input_tokens\":20}}}", cases[i].reason);
        assert_int_equal(read_answer(&llm_anthropic, body, arena, &a, NULL), 0);
        assert_string_equal(a.text, "hi you");
        assert_int_equal(a.stop, cases[i].stop);
        assert_true(a.usage_known);
        assert_int_equal(a.usage.in, 321);
        assert_int_equal(a.usage.cached, 300);
        assert_int_equal(a.usage.written, 20);
        assert_int_equal(a.usage.out, 4);
        assert_string_equal(a.id, "msg_1");
    }
}

static void test_no_answers(void **state)
{
    (void)state;
    static const struct {
        const struct llm_wire *wire;
        const char *body, *speaks_of;
    } cases[] = {
        { &llm_openai, "", "isn't JSON" },
        { &llm_openai, "nonsense", "\"nonsense\"" },
        { &llm_openai, "[1]", "object" },
        { &llm_openai, "{}", "choices[0].message" },
        { &llm_openai, "{\"choices\":{}}", "choices[0].message" },
        { &llm_openai, "{\"choices\":[{\"message\":{\"content\":5}}]}", "got an integer" },
        { &llm_openai, "{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", "isn't JSON" },
        { &llm_anthropic, "{\"content\":\"text\"}", "expected an array" },
        { &llm_anthropic, "{\"choices\":[]}", "got nothing" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_arena struct arena *arena = arena_new();
        struct llm_answer a;
        struct err err = { 0 };
        assert_int_equal(read_answer(cases[i].wire, cases[i].body, arena, &a, &err), ERR_PROTOCOL);
        if (!strstr(err.text, cases[i].speaks_of)) {
            fail_msg("case %zu: %s", i, err.text);
        }
    }
}

static void test_problems(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message, *code, *type;
    } cases[] = {
        { "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}", "m", "c", "t" },
        { "{\"type\":\"error\",\"error\":{\"type\":\"t\",\"message\":\"m\"},\"request_id\":\"r\"}", "m",
          "", "t" },
        { "{\"error\":{\"message\":\"m\",\"code\":404}}", "m", "404", "" },
        { "{\"error\":\"m\"}", "m", "", "" },
        { "{\"object\":\"error\",\"message\":\"m\",\"type\":\"t\",\"code\":400}", "m", "400", "t" },
        { "{\"detail\":\"m\"}", "m", "", "" },
        { "{\"error\":{\"message\":\"a\\nb\\u001b[31mc\\u0000 d\"}}", "a b [31mc d", "", "" },
    };
    struct llm_problem p;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *json = NULL;
        assert_int_equal(llm_wire_parse(cases[i].body, strlen(cases[i].body), &json, NULL), 0);
        assert_true(llm_wire_problem(json, &p));
        assert_string_equal(p.message, cases[i].message);
        assert_string_equal(p.code, cases[i].code);
        assert_string_equal(p.type, cases[i].type);
        json_decref(json);
    }
    json_t *none = json_object();
    assert_false(llm_wire_problem(none, &p));
    json_decref(none);
}

static void test_reshape(void **state)
{
    (void)state;
    static const struct {
        struct llm_problem problem;
        bool old, reshaped, cold, becomes_old;
    } cases[] = {
        { { .message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                       "'max_completion_tokens' instead.", .param = "max_tokens",
            .code = "unsupported_parameter" }, true, true, false, false },
        /* it was another call that asked in the old way: this one is fine as it is */
        { { .message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                       "'max_completion_tokens' instead.", .param = "max_tokens",
            .code = "unsupported_parameter" }, false, false, false, false },
        { { .message = "Unrecognized request argument supplied: max_completion_tokens" }, false, true,
          false, true },
        { { .message = "`temperature` is deprecated for this model." }, false, true, true, false },
        { { .message = "max_tokens is too large: 100000. This model supports at most 16384 completion "
                       "tokens", .param = "max_tokens", .code = "invalid_value" }, true, false, false,
          true },
        { { .message = "messages: unknown role" }, true, false, false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_shape shape = { .temperature = 0.5, .old_max_tokens = cases[i].old };
        bool reshaped = llm_wire_reshape(&cases[i].problem, &shape);
        if (reshaped != cases[i].reshaped || shape.temperature_refused != cases[i].cold
            || shape.old_max_tokens != cases[i].becomes_old) {
            fail_msg("case %zu", i);
        }
    }
    struct llm_shape without = { .temperature = NAN };
    assert_false(llm_wire_reshape(&cases[3].problem, &without)); /* none was sent */
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *base, *want; /* NULL: refused */
        bool has_key;
    } cases[] = {
        { "https://api.openai.com", "https://api.openai.com/v1/chat/completions", true },
        { "https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions", true },
        { "https://router.example/api/v1", "https://router.example/api/v1/chat/completions", true },
        { "http://localhost:8000", "http://localhost:8000/v1/chat/completions", true },
        { "http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1/chat/completions", true },
        { "http://node7:8000", "http://node7:8000/v1/chat/completions", false },
        { "https://x.example/openai/deployments/d/chat/completions?api-version=1",
          "https://x.example/openai/deployments/d/chat/completions?api-version=1", true },
        { "http://node7:8000", NULL, true },
        { "http://localhost.evil.example", NULL, true },
        { "http://127.0.0.1.evil.example", NULL, true },
        { "https://me:secret@host", NULL, false },
        { "ftp://host", NULL, false },
        { "https://", NULL, false },
        { "https:///v1", NULL, false },
        { "api.openai.com", NULL, false },
        { "https://host/\r\nX: y", NULL, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *url = NULL;
        struct err err = { 0 };
        int r = llm_send_url(&llm_openai, cases[i].base, cases[i].has_key, &url, &err);
        if (cases[i].want ? r < 0 || !str_eq(url, cases[i].want) : r != ERR_INVALID) {
            fail_msg("%s: %s%s", cases[i].base, url ? url : "", err.text);
        }
        assert_null(strstr(err.text, "secret"));
    }
}

/* Text from outside becomes one line that a terminal can show. */
static void test_quote(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *want;
        size_t size;
    } cases[] = { { " a\n\n b\tc ", "a b c", 64 }, { "\x1b[1mred", "[1mred", 64 },
                  { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 64 }, { "x\xff\xc3", "x", 64 },
                  { "abcdefghij", "abcde", 10 }, { "", "", 16 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char ret[64];
        llm_wire_quote(cases[i].bytes, strlen(cases[i].bytes), ret, cases[i].size);
        assert_string_equal(ret, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),     cmocka_unit_test(test_blank_messages),
        cmocka_unit_test(test_openai_answers),
        cmocka_unit_test(test_anthropic_answers), cmocka_unit_test(test_no_answers),
        cmocka_unit_test(test_problems),   cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_addresses),  cmocka_unit_test(test_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
