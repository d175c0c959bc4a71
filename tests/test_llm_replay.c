/* SPDX-License-Identifier: MIT */
/* Recorded calls: what is written is read back the same; a campaign that goes another way is told where. */
#include "agent/llm_record.h"
#include "base/file.h"
#include "base/util.h"
#include "tests/llm_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct llm_message messages[] = { { "system", "rules" }, { "user", "the question is long" } };

static struct llm_request request_of(const char *key)
{
    return (struct llm_request) { .key = key, .messages = messages, .n = 2, .temperature = NAN };
}

/* Two answers, one failure, one line of somebody else's. */
static void write_record(const char *file, const char *extra)
{
    auto_buf struct buf out;
    struct llm_request one = request_of("one"), two = request_of("two"), three = request_of("three");
    struct llm_reply answer = {
        .text = "``` cuda\n\"\xc3\xbc\"", .stop = LLM_STOP_LENGTH, .usd = 0.125, .usd_unsure = 0.5,
        .tokens_unsure = 77, .usage = { .in = 9, .cached = 4, .written = 1, .out = 6, .reasoning = 2 },
        .usage_known = true, .model = "m-1", .request_id = "r-1", .tries = 3, .error = "" };
    struct llm_reply plain = { .text = "plain", .usd = NAN, .model = "", .request_id = "", .error = "" };
    struct llm_reply failure = { .code = ERR_BUSY, .error = "slow down", .usd = NAN, .text = "",
                                 .model = "", .request_id = "" };
    buf_init(&out, 1 << 20);
    assert_int_equal(llm_record_call(&one, &answer, &out), 0);
    buf_puts(&out, "{\"kind\":\"verdict\",\"whatever\":1}\n\n");
    assert_int_equal(llm_record_call(&two, &plain, &out), 0);
    assert_int_equal(llm_record_call(&three, &failure, &out), 0);
    buf_puts(&out, extra);
    assert_int_equal(file_write(file, out.at, out.len, NULL), 0);
    buf_done(&out);
    buf_init(&out, 20);
    assert_int_equal(llm_record_call(&one, &answer, &out), ERR_TOOBIG);
}

/* Asks `request` of the record. */
static void replay(const char *file, const struct llm_request *request, struct llm_kept *ret)
{
    auto_free char *spec = xprintf("replay:%s", file);
    struct llm_options options;
    struct llm *llm;
    struct llm_call *call;
    uv_loop_t loop;
    struct err err = { 0 };
    uv_loop_init(&loop);
    llm_rig_options(&options, spec, NULL);
    if (llm_open(&loop, &options, &llm, &err) < 0) {
        fail_msg("%s", err.text);
    }
    *ret = (struct llm_kept) { .called = 0 };
    assert_int_equal(llm_ask(llm, request, llm_keep, ret, &call, NULL), 0);
    assert_int_equal(ret->called, 0);
    assert_int_equal(llm_waiting(llm), 0);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends by itself */
    assert_int_equal(ret->called, 1);
    assert_true(llm_worst_usd(llm, request) == 0);
    llm_rig_close(&loop, llm);
}

static void test_same_again(void **state)
{
    (void)state;
    auto_free char *folder = llm_rig_folder(), *file = xprintf("%s/record", folder);
    struct llm_request one = request_of("one"), two = request_of("two"), three = request_of("three");
    struct llm_kept kept;
    write_record(file, "");
    replay(file, &one, &kept);
    const struct llm_reply *r = &kept.reply;
    assert_int_equal(r->code, 0);
    assert_string_equal(r->text, "``` cuda\n\"\xc3\xbc\"");
    assert_int_equal(r->len, strlen(r->text));
    assert_int_equal(r->stop, LLM_STOP_LENGTH);
    assert_true(r->usage_known && r->usage.in == 9 && r->usage.cached == 4 && r->usage.written == 1
                && r->usage.out == 6 && r->usage.reasoning == 2);
    assert_true(r->usd == 0.125 && r->usd_unsure == 0.5 && r->tokens_unsure == 77 && r->tries == 3);
    assert_string_equal(r->model, "m-1");
    assert_string_equal(r->request_id, "r-1");
    llm_kept_done(&kept);
    replay(file, &two, &kept);
    assert_string_equal(r->text, "plain");
    assert_true(!r->usage_known && isnan(r->usd));
    llm_kept_done(&kept);
    replay(file, &three, &kept);
    assert_int_equal(r->code, ERR_BUSY);
    assert_string_equal(r->error, "slow down");
    llm_kept_done(&kept);
    folder_remove(folder, NULL);
}

static void test_another_way(void **state)
{
    (void)state;
    static const struct llm_message changed[] = { { "system", "rules" }, { "user", "the question was long" } },
                                    other_role[] = { { "system", "rules" }, { "assistant", "x" } },
                                    more[] = { { "system", "rules" }, { "user", "the question is long" },
                                               { "user", "more" } };
    static const struct {
        const char *key;
        const struct llm_message *messages;
        size_t n;
        int code;
        const char *speaks_of;
    } cases[] = {
        { "one", changed, 2, ERR_INVALID, "messages[1] (user) differs at byte 13: recorded" },
        { "one", other_role, 2, ERR_INVALID, "another role" },
        { "one", more, 3, ERR_INVALID, "2 messages were recorded, now there are 3" },
        { "four", messages, 2, ERR_NOTFOUND, "four" },
    };
    auto_free char *folder = llm_rig_folder(), *file = xprintf("%s/record", folder);
    write_record(file, "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_request request = { .key = cases[i].key, .messages = cases[i].messages,
                                       .n = cases[i].n, .temperature = NAN };
        struct llm_kept kept;
        replay(file, &request, &kept);
        assert_true(kept.reply.fatal);
        if (kept.reply.code != cases[i].code || !strstr(kept.error, cases[i].speaks_of)) {
            fail_msg("case %zu: %s", i, kept.error);
        }
        llm_kept_done(&kept);
    }
    folder_remove(folder, NULL);
}

static void test_broken_records(void **state)
{
    (void)state;
    static const struct {
        const char *extra, *speaks_of;
    } cases[] = {
        { "{\"kind\":\"call\",\"key\":\"one\",\"prompt\":\"x\",\"reply\":{\"text\":\"\"}}", "recorded twice" },
        { "{\"kind\":\"call\",\"key\":\"n\",\"prompt\":\"x\"}", ":6: reply" },
        { "{\"kind\":\"call\",\"key\":\"n\",\"prompt\":\"x\",\"reply\":{\"text\":\"\",\"stop\":\"bored\"}}",
          "bored" },
        { "{\"kind\":\"call\",\"key\":\"n\",\"prompt\":\"x\",\"reply\":{\"text\":\"\",\"usage\":{\"in\":-1}}}",
          "reply.usage.in" },
        { "{\"kind\":\"call\",\"key\":\"n\",\"reply\":{\"text\":\"\"}}", "prompt" },
        { "{\"kind\":\"ca", ":6:" },
    };
    auto_free char *folder = llm_rig_folder(), *file = xprintf("%s/record", folder);
    auto_free char *spec = xprintf("replay:%s", file);
    for (size_t i = 0; i <= ARRAY_LEN(cases); i++) {
        struct llm_options options;
        struct llm *llm;
        struct err err = { 0 };
        uv_loop_t loop;
        write_record(file, i < ARRAY_LEN(cases) ? cases[i].extra : "");
        const char *speaks_of = i < ARRAY_LEN(cases) ? cases[i].speaks_of : "no recorded call";
        if (i == ARRAY_LEN(cases)) {
            assert_int_equal(file_write(file, "\n", 1, NULL), 0);
        }
        uv_loop_init(&loop);
        llm_rig_options(&options, spec, NULL);
        assert_true(llm_open(&loop, &options, &llm, &err) < 0);
        if (!strstr(err.text, speaks_of) || !strstr(err.text, file)) {
            fail_msg("case %zu: %s", i, err.text);
        }
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
    folder_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_another_way),
        cmocka_unit_test(test_broken_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
