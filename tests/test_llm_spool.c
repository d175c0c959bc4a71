/* SPDX-License-Identifier: MIT */
/* Questions and answers as files: every form of an answer, and every way of putting it there wrong. */
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"
#include "tests/llm_rig.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct rig {
    char *folder, *spec;
    uv_loop_t loop;
    struct llm *llm;
};

static void rig_open(struct rig *r)
{
    struct llm_options options;
    struct err err = { 0 };
    llm_rig_options(&options, r->spec, NULL);
    options.reply_max = 1 << 20;
    uv_loop_init(&r->loop);
    if (llm_open(&r->loop, &options, &r->llm, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static int set_up(void **state)
{
    struct rig *r = xcalloc(1, sizeof(*r));
    r->folder = llm_rig_folder();
    r->spec = xprintf("spool:%s", r->folder);
    rig_open(r);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    llm_rig_close(&r->loop, r->llm);
    folder_remove(r->folder, NULL);
    free(r->folder);
    free(r->spec);
    free(r);
    return 0;
}

/* Into DIR/in, as an answerer should: beside, then renamed; with an age. */
static void put(const struct rig *r, const char *name, const char *text, int age_s)
{
    auto_free char *beside = xprintf("%s/in/.%s.part", r->folder, name);
    auto_free char *path = xprintf("%s/in/%s", r->folder, name);
    assert_int_equal(file_write(beside, text, strlen(text), NULL), 0);
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= age_s;
    times[1] = times[0];
    utimensat(AT_FDCWD, beside, times, 0);
    assert_int_equal(rename(beside, path), 0);
}

static bool is_there(const struct rig *r, const char *name)
{
    auto_free char *path = xprintf("%s/%s", r->folder, name);
    struct stat st;
    return lstat(path, &st) == 0;
}

static struct llm_call *ask(struct rig *r, const char *key, struct llm_kept *kept)
{
    static const struct llm_message messages[] = { { "system", "rules" }, { "user", "q\n\"x\"" } };
    struct llm_request request = { .key = key, .messages = messages, .n = 2, .temperature = NAN };
    struct llm_call *call;
    struct err err = { 0 };
    *kept = (struct llm_kept) { .called = 0 };
    if (llm_ask(r->llm, &request, llm_keep, kept, &call, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return call;
}

/* Turns the loop until somebody must answer, for the given time after that at least. */
static void turn(struct rig *r, size_t waiting, double least_s)
{
    uint64_t began = clock_ns();
    while (llm_waiting(r->llm) != waiting || (double)(clock_ns() - began) < least_s * 1e9) {
        uv_run(&r->loop, UV_RUN_NOWAIT);
        usleep(1000);
        assert_true((double)(clock_ns() - began) < 30e9);
    }
}

static void wait_for(struct rig *r, struct llm_kept *kept)
{
    uint64_t began = clock_ns();
    while (!kept->called) {
        uv_run(&r->loop, UV_RUN_NOWAIT);
        usleep(1000);
        assert_true((double)(clock_ns() - began) < 30e9);
    }
}

static const char chat[] = "{\"id\":\"c1\",\"model\":\"m1\",\"choices\":[{\"message\":{\"content\":\"hi\"},"
                           "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,"
                           "\"completion_tokens\":3}}";
static const char message[] = "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":"
                              "\"hi\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":5,"
                              "\"cache_read_input_tokens\":2,\"output_tokens\":3}}";

static void test_request_is_a_batch_line(void **state)
{
    struct rig *r = *state;
    struct llm_kept kept;
    ask(r, "c1.softmax.000001.00", &kept);
    turn(r, 1, 0);
    assert_string_equal(llm_where(r->llm) + strlen(r->folder), "/in");
    auto_free char *path = xprintf("%s/out/c1.softmax.000001.00.json", r->folder), *text = NULL;
    assert_int_equal(file_read(path, 1 << 20, &text, NULL, NULL), 0);
    assert_string_equal(text, "{\"custom_id\":\"c1.softmax.000001.00\",\"method\":\"POST\",\"url\":"
                              "\"/v1/chat/completions\",\"body\":{\"messages\":[{\"role\":\"system\","
                              "\"content\":\"rules\"},{\"role\":\"user\",\"content\":\"q\\n\\\"x\\\"\"}],"
                              "\"max_completion_tokens\":100}}\n");
    put(r, "c1.softmax.000001.00.json", chat, 0);
    wait_for(r, &kept);
    assert_string_equal(kept.text, "hi");
    llm_kept_done(&kept);
}

static void test_forms_of_an_answer(void **state)
{
    struct rig *r = *state;
    static const struct {
        const char *name, *wrap; /* % stands for the body */
        const char *body;
        int64_t in;
    } cases[] = {
        { "json", "%", chat, 7 },
        { "json", "%\n", message, 7 },
        { "json", "{\"id\":\"b\",\"custom_id\":\"KEY\",\"response\":{\"status_code\":200,\"request_id\":"
                  "\"r\",\"body\":%},\"error\":null}\n", chat, 7 },
        { "json", "{\"custom_id\":\"KEY\",\"result\":{\"type\":\"succeeded\",\"message\":%}}", message, 7 },
        { "txt", "%", "hi", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_kept kept;
        auto_free char *key = xprintf("key-%zu", i), *name = xprintf("%s.%s", key, cases[i].name);
        auto_buf struct buf text;
        buf_init(&text, 1 << 20);
        for (const char *c = cases[i].wrap; *c; c++) {
            if (*c == '%') {
                buf_puts(&text, cases[i].body);
            } else if (str_prefix(c, "KEY")) {
                buf_puts(&text, key);
                c += 2;
            } else {
                buf_add(&text, c, 1);
            }
        }
        ask(r, key, &kept);
        turn(r, 1, 0);
        put(r, name, text.at, 0);
        wait_for(r, &kept);
        assert_int_equal(kept.reply.code, 0);
        assert_string_equal(kept.text, "hi");
        assert_int_equal(kept.reply.stop, LLM_STOP_END);
        assert_int_equal(kept.reply.usage.in, cases[i].in);
        assert_int_equal(kept.reply.usage_known, cases[i].in > 0);
        assert_true(isnan(kept.reply.usd));
        llm_kept_done(&kept);
    }
}

/* What can't be an answer is put aside with its reason, and the call goes on waiting. */
static void test_bad_files_are_set_aside(void **state)
{
    struct rig *r = *state;
    auto_free char *large = xcalloc((1 << 20) + 2, 1);
    memset(large, 'x', (1 << 20) + 1);
    const struct {
        const char *name, *text;
    } cases[] = {
        { "json", "{\"choices\":[{\"message\":" },
        { "json", "[]" },
        { "json", "{}" },
        { "json", "{\"custom_id\":\"somebody-else\",\"response\":{\"body\":{}}}" },
        { "json", "{\"choices\":[]}" },
        { "json", "{\"content\":7}" },
        { "json", large },
        { "txt", " \n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_kept kept;
        auto_free char *key = xprintf("key-%zu", i), *name = xprintf("%s.%s", key, cases[i].name);
        auto_free char *bad = xprintf("in/%s.bad", key), *good = xprintf("%s.txt", key);
        ask(r, key, &kept);
        turn(r, 1, 0);
        put(r, name, cases[i].text, 60);
        turn(r, 1, 0.1);
        if (!is_there(r, bad) || kept.called) {
            fail_msg("case %zu: not set aside, called %d: %s", i, kept.called, kept.error);
        }
        put(r, good, "better", 60);
        wait_for(r, &kept);
        assert_string_equal(kept.text, "better");
        llm_kept_done(&kept);
    }
}

static void test_links_and_folders_are_refused(void **state)
{
    struct rig *r = *state;
    struct llm_kept one, two;
    auto_free char *link = xprintf("%s/in/one.txt", r->folder), *made = xprintf("%s/in/two.json", r->folder);
    ask(r, "one", &one);
    ask(r, "two", &two);
    turn(r, 2, 0);
    assert_int_equal(symlink("/etc/hostname", link), 0);
    assert_int_equal(mkdir(made, 0700), 0);
    turn(r, 2, 0.2);
    assert_true(is_there(r, "in/one.bad") && is_there(r, "in/two.bad"));
    put(r, "one.txt", "1", 9);
    put(r, "two.txt", "2", 9);
    wait_for(r, &one);
    wait_for(r, &two);
    assert_string_equal(one.text, "1");
    llm_kept_done(&one);
    llm_kept_done(&two);
}

/* A file still being written is left alone; while it is young nobody outside is waited for. */
static void test_young_files(void **state)
{
    struct rig *r = *state;
    struct llm_kept one, two;
    ask(r, "one", &one);
    ask(r, "two", &two);
    turn(r, 2, 0);
    put(r, "one.txt", "all of it", 0);
    put(r, "two.json", "{\"choices\":[{\"mess", 0);
    turn(r, 0, 0);
    assert_int_equal(one.called + two.called, 0);
    assert_true(is_there(r, "in/two.json"));
    put(r, "two.json", chat, 0);
    wait_for(r, &one);
    wait_for(r, &two);
    assert_string_equal(one.text, "all of it");
    assert_string_equal(two.text, "hi");
    llm_kept_done(&one);
    llm_kept_done(&two);
}

/* After a resume: the request isn't written again, an answer that lies there is used at once. */
static void test_resume(void **state)
{
    struct rig *r = *state;
    struct llm_kept kept;
    auto_free char *path = xprintf("%s/out/one.json", r->folder), *text = NULL;
    llm_cancel(ask(r, "one", &kept));
    llm_close(r->llm);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    assert_true(is_there(r, "out/one.json")); /* cancelling takes nothing back */
    assert_int_equal(file_write(path, "as it was", 9, NULL), 0);
    rig_open(r);
    ask(r, "one", &kept);
    turn(r, 1, 0);
    assert_int_equal(file_read(path, 100, &text, NULL, NULL), 0);
    assert_string_equal(text, "as it was");
    put(r, "two.json", chat, 0);
    struct llm_kept two;
    ask(r, "two", &two);
    wait_for(r, &two);
    assert_false(is_there(r, "out/two.json"));
    assert_int_equal(kept.called, 0);
    llm_kept_done(&two);
}

/* Changes that never end, faster than they settle, don't keep an answer from being seen. */
static void test_busy_folder(void **state)
{
    struct rig *r = *state;
    struct llm_kept kept;
    ask(r, "one", &kept);
    turn(r, 1, 0.1);
    put(r, "one.json", chat, 60);
    uint64_t began = clock_ns();
    while (!kept.called) {
        put(r, "other.txt", "x", 0);
        uv_run(&r->loop, UV_RUN_NOWAIT);
        usleep(2000);
        assert_true((double)(clock_ns() - began) < 20e9);
    }
    assert_string_equal(kept.text, "hi");
    llm_kept_done(&kept);
}

static void test_error_lines_are_answers(void **state)
{
    struct rig *r = *state;
    static const struct {
        const char *text, *speaks_of;
    } cases[] = {
        { "{\"custom_id\":\"KEY0\",\"response\":null,\"error\":{\"code\":\"batch_expired\",\"message\":"
          "\"This request could not be executed\"}}", "batch_expired" },
        { "{\"custom_id\":\"KEY1\",\"response\":{\"status_code\":400,\"body\":{\"error\":{\"message\":"
          "\"no such model\",\"type\":\"invalid_request_error\"}}},\"error\":null}", "no such model" },
        { "{\"custom_id\":\"KEY2\",\"result\":{\"type\":\"errored\",\"error\":{\"type\":\"error\",\"error\":"
          "{\"type\":\"overloaded_error\",\"message\":\"busy\"}}}}", "overloaded_error" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_kept kept;
        auto_free char *key = xprintf("KEY%zu", i), *name = xprintf("%s.json", key);
        ask(r, key, &kept);
        turn(r, 1, 0);
        put(r, name, cases[i].text, 60);
        wait_for(r, &kept);
        assert_int_equal(kept.reply.code, ERR_PROTOCOL);
        assert_non_null(strstr(kept.error, cases[i].speaks_of));
        llm_kept_done(&kept);
    }
}

static void test_unsafe_folders(void **state)
{
    (void)state;
    auto_free char *folder = llm_rig_folder(), *in = xprintf("%s/in", folder);
    auto_free char *spec = xprintf("spool:%s", folder), *nested = xprintf("spool:%s/in/file", folder);
    auto_free char *file = xprintf("%s/in/file", folder);
    const struct {
        const char *spec;
        mode_t mode;
        const char *speaks_of;
    } cases[] = { { spec, 0777, "everybody may write" }, { nested, 0700, "folder" },
                  { "spool:", 0700, "spool:DIR" }, { "spool", 0700, "spool:DIR" } };
    assert_int_equal(folder_make(in, NULL), 0);
    assert_int_equal(file_write(file, "", 0, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct llm_options options;
        struct llm *llm;
        struct err err = { 0 };
        uv_loop_t loop;
        uv_loop_init(&loop);
        chmod(in, cases[i].mode);
        llm_rig_options(&options, cases[i].spec, NULL);
        assert_true(llm_open(&loop, &options, &llm, &err) < 0);
        if (!strstr(err.text, cases[i].speaks_of)) {
            fail_msg("%s", err.text);
        }
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
    folder_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_RIG(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        WITH_RIG(test_request_is_a_batch_line),     WITH_RIG(test_forms_of_an_answer),
        WITH_RIG(test_bad_files_are_set_aside),     WITH_RIG(test_links_and_folders_are_refused),
        WITH_RIG(test_young_files),                 WITH_RIG(test_resume),
        WITH_RIG(test_error_lines_are_answers), WITH_RIG(test_busy_folder),
           cmocka_unit_test(test_unsafe_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
