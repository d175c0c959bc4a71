/* SPDX-License-Identifier: MIT */
/*
 * Replays: a campaign is run, its record written, and `warpsmith replay` decides it all again. The
 * kept records of tests/cases/replay must decide as they did when they were made; one that no longer
 * does says that selection, learning or the pipeline decides otherwise now: look, then make it anew
 * (report --record; WARPSMITH_KEEP_RECORD=FILE test_replay for the one that is made here) if that was
 * meant.
 */
#include "agent/recording.h"
#include "base/file.h"
#include "base/util.h"
#include "tests/campaign_rig.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

/* Exit code of `warpsmith replay PATH`; what it said, in *ret_text. */
static int replay(struct campaign_rig *rig, const char *path, char **ret_text)
{
    auto_free char *log = xprintf("%s/replay.log", rig->folder);
    auto_free char *line = xprintf("'%s/warpsmith' replay '%s' --store '%s/none' >'%s' 2>&1", WS_BIN_DIR,
                                   path, rig->folder, log);
    int status = system(line);
    size_t len;
    assert_int_equal(file_read(log, 1 << 20, ret_text, &len, NULL), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Softmax and gelu at once, two samples a step; for gelu the answers are wrong and are mended in vain.
 * A tuner that asks the model gets the same answers. */
static char *make_record(struct campaign_rig *rig, const char *tuner)
{
    static const char *const tasks[] = { "softmax", "gelu" };
    campaign_rig_fake(rig, "--latency 3 --script ok,ok,refusal,ok");
    struct campaign_options o = campaign_rig_options(rig, tasks, 2);
    struct err err = { 0 };
    char id[32];
    o.samples = 2;
    o.tuner = tuner;
    o.tune_budget = tuner ? 12 : 3;
    if (campaign_rig_run(rig, &o, id, NULL, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    const char *keep = getenv("WARPSMITH_KEEP_RECORD");
    char *path = keep ? xstrdup(keep) : xprintf("%s/record.jsonl", rig->folder);
    if (recording_write(rig->session.store, id, path, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return path;
}

static void test_decides_the_same(void **state)
{
    struct campaign_rig *rig = *state;
    auto_free char *path = make_record(rig, "hybrid");
    auto_free char *text = NULL;
    int code = replay(rig, path, &text);
    if (code != 0) {
        fail_msg("%s", text);
    }
    assert_non_null(strstr(text, "8 choices and 14 attempts of 2 tasks"));
}

/* The first occurrence of `what` in a line that holds `mark` becomes `with`. */
static char *change(struct campaign_rig *rig, const char *path, const char *mark, const char *what,
                    const char *with)
{
    auto_free char *text = NULL;
    size_t len;
    assert_int_equal(file_read(path, 64 << 20, &text, &len, NULL), 0);
    char *line = strstr(text, mark);
    assert_non_null(line);
    while (line > text && line[-1] != '\n') {
        line--;
    }
    char *at = strstr(line, what);
    assert_non_null(at);
    auto_free char *changed = xprintf("%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
    char *to = xprintf("%s/changed.jsonl", rig->folder);
    assert_int_equal(file_write(to, changed, strlen(changed), NULL), 0);
    return to;
}

static void expect_change(struct campaign_rig *rig, const char *path, const char *mark,
                          const char *what, const char *with, int code, const char *said)
{
    auto_free char *changed = change(rig, path, mark, what, with);
    auto_free char *text = NULL;
    assert_int_equal(replay(rig, changed, &text), code);
    if (!strstr(text, said)) {
        fail_msg("\"%s\" isn't in: %s", said, text);
    }
}

static void test_differences_are_named(void **state)
{
    struct campaign_rig *rig = *state;
    auto_free char *path = make_record(rig, NULL);
    expect_change(rig, path, "/softmax/000001\",\"value\":{\"format\":1,\"order\"", "\"probability\":0.",
                  "\"probability\":0.1", 1, "probability: the record has 0.1");
    expect_change(rig, path, "\"db\":\"attempts\"", "\"status\":\"accepted\"",
                  "\"status\":\"incorrect\"", 1,
                  "the record has \"incorrect\", now it is \"accepted\"");
    expect_change(rig, path, "\"kind\":\"recording\"", "\"format\":1", "\"format\":2", 3,
                  "it has format 2");
    expect_change(rig, path, "\"kind\":\"file\"", "kernels/memory/", "../../memory/", 2,
                  "isn't a file of a record");
    expect_change(rig, path, "\"kind\":\"recording\"", "recording", "something", 2,
                  "it isn't a campaign's record");
}

static void test_kept_records(void **state)
{
    struct campaign_rig *rig = *state;
    const char *folder = WS_SOURCE_DIR "/tests/cases/replay";
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    struct dirent *entry;
    size_t n = 0;
    while ((entry = readdir(dir))) {
        auto_free char *path = xprintf("%s/%s", folder, entry->d_name);
        auto_free char *text = NULL;
        if (entry->d_name[0] == '.') {
            continue;
        }
        n++;
        if (replay(rig, path, &text) != 0) {
            fail_msg("%s: %s", entry->d_name, text);
        }
    }
    closedir(dir);
    assert_true(n > 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: a peer may go */
#define TEST(name) cmocka_unit_test_setup_teardown(name, campaign_rig_setup, campaign_rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_decides_the_same),
        TEST(test_differences_are_named),
        TEST(test_kept_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
