/* SPDX-License-Identifier: MIT */
/*
 * Replies that propose configs: every file in tests/cases/tune_reply is one. Lines of "key: value" up to
 * "====", then the reply as it came. configs: all that must be read, in order, "NAME=VALUE ..." between
 * bars; fault, note: must be part of one (no notes: there must be none); base: none. Four configs are
 * asked for, and the space's own is known already.
 */
#include "agent/tune_reply.h"
#include "agent/tune/tune_config.h"
#include "base/file.h"
#include "base/util.h"
#include "tests/tune_rig.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CASES_MIN = 20, KEYS_MAX = 12, MOST = 4 };

static bool is_own(const void *ud, const uint16_t *config)
{
    const struct tune_space *space = ud;
    return memcmp(space->own, config, space->n * sizeof(*config)) == 0;
}

static void read_reply(const struct tune_space *space, const char *text, size_t len, bool base,
                       struct arena *arena, struct tune_reply *ret)
{
    struct tune_reply_input input = { .text = text, .len = len, .space = space,
                                      .base = base ? space->own : NULL, .known = is_own,
                                      .ud = space, .most = MOST };
    tune_reply_parse(&input, arena, ret);
}

static bool has_note(const struct tune_reply *reply, const char *part)
{
    bool has = false;
    for (size_t i = 0; i < reply->n_notes; i++) {
        has = has || strstr(reply->notes[i], part);
    }
    return has;
}

static void check_configs(const struct tune_space *space, const struct tune_reply *reply,
                          const char *wanted, const char *file)
{
    auto_buf struct buf text;
    buf_init(&text, 1 << 16);
    buf_puts(&text, "");
    for (size_t i = 0; i < reply->n; i++) {
        buf_puts(&text, i ? " | " : "");
        tune_config_text(space, reply->configs + i * space->n, &text);
    }
    if (!str_eq(text.at ? text.at : "", wanted)) {
        fail_msg("%s: read \"%s\", not \"%s\"; fault \"%s\"", file, text.at ? text.at : "", wanted,
                 reply->fault);
    }
    assert_int_equal(reply->n == 0, *reply->fault != '\0');
}

static void run_case(struct tune_space *space, const char *file)
{
    auto_arena struct arena *arena = arena_new();
    auto_free char *text = NULL;
    size_t len, noted = 0;
    assert_int_equal(file_read(file, 1 << 20, &text, &len, NULL), 0);
    char *reply_text = strstr(text, "====\n");
    assert_non_null(reply_text);
    *reply_text = '\0';
    reply_text += strlen("====\n");
    struct tune_reply reply;
    bool base = !strstr(text, "base: none\n");
    space->has_own = base;
    read_reply(space, reply_text, strlen(reply_text), base, arena, &reply);
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *value = strchr(line, ':') + 1;
        value += *value == ' ';
        if (str_prefix(line, "configs:")) {
            check_configs(space, &reply, value, file);
        } else if (str_prefix(line, "fault:") && !strstr(reply.fault, value)) {
            fail_msg("%s: the fault is \"%s\"", file, reply.fault);
        } else if (str_prefix(line, "note:")) {
            noted++;
            if (!has_note(&reply, value)) {
                fail_msg("%s: no note says \"%s\", the first is \"%s\"", file, value,
                         reply.n_notes ? reply.notes[0] : "");
            }
        }
    }
    if (!noted && reply.n_notes) {
        fail_msg("%s: a note that shouldn't be: %s", file, reply.notes[0]);
    }
}

static void test_cases(void **state)
{
    (void)state;
    struct tune_space *space = tune_rig_space(true);
    glob_t files;
    assert_int_equal(glob(WS_SOURCE_DIR "/tests/cases/tune_reply/*.txt", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= CASES_MIN);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        run_case(space, files.gl_pathv[i]);
    }
    globfree(&files);
    tune_space_free(space);
}

/* Sizes: a reply over the cap, more configs than are looked at, more reasons than are kept. */
static void test_limits(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    struct tune_space *space = tune_rig_space(true);
    struct tune_reply reply;
    char *large = arena_alloc(arena, TUNE_REPLY_MAX + 2, 1);
    memset(large, '[', TUNE_REPLY_MAX + 1);
    read_reply(space, large, TUNE_REPLY_MAX + 1, true, arena, &reply);
    assert_int_equal(reply.n, 0);
    assert_non_null(strstr(reply.fault, "1048576 are allowed"));
    read_reply(space, large, TUNE_REPLY_MAX, true, arena, &reply);
    assert_int_equal(reply.found, 0);
    auto_buf struct buf text;
    buf_init(&text, 1 << 20);
    buf_puts(&text, "{\"configs\":[");
    for (int i = 0; i < 2 * TUNE_REPLY_CONFIGS; i++) {
        buf_printf(&text, "%s{\"BLOCK\":%d}", i ? "," : "", 3000 + i);
    }
    buf_puts(&text, ",{\"BLOCK\":512}]}");
    read_reply(space, text.at, text.len, true, arena, &reply);
    assert_int_equal(reply.found, 2 * TUNE_REPLY_CONFIGS + 1);
    assert_int_equal(reply.n, 0);
    assert_int_equal(reply.n_passed, TUNE_REPLY_CONFIGS);
    assert_int_equal(reply.n_notes, TUNE_REPLY_NOTES);
    for (size_t i = 0; i < reply.n_notes; i++) {
        assert_true(strlen(reply.notes[i]) <= TUNE_REPLY_NOTE_MAX);
    }
    tune_space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
