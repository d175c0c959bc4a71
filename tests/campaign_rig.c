/* SPDX-License-Identifier: MIT */
#include "tests/campaign_rig.h"
#include "base/file.h"
#include "base/util.h"
#include "memory/verify.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utime.h>
#include <cmocka.h>

void campaign_rig_open(struct campaign_rig *rig)
{
    struct err err = { 0 };
    if (session_open(&rig->session, &rig->options,
                     SESSION_STORE | SESSION_MEMORY | SESSION_EVALUATOR, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

void campaign_rig_reopen(struct campaign_rig *rig)
{
    session_close(&rig->session);
    campaign_rig_open(rig);
}

int campaign_rig_setup(void **state)
{
    struct campaign_rig *rig = xcalloc(1, sizeof(*rig));
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/warpsmith-test-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->store, sizeof(rig->store), "%s/store", rig->folder);
    snprintf(rig->spool, sizeof(rig->spool), "spool:%s/spool", rig->folder);
    rig->options = (struct options) { .gpu = "0", .store = rig->store, .llm = "offline", .jobs = 1 };
    setenv("WARPSMITH_WORKER", WS_BIN_DIR "/fake_worker", 1);
    setenv("OPENAI_API_KEY", "sk-test-1234567890", 1);
    llm_options_init(&rig->model);
    campaign_rig_open(rig);
    *state = rig;
    return 0;
}

int campaign_rig_teardown(void **state)
{
    struct campaign_rig *rig = *state;
    session_close(&rig->session);
    if (rig->faked) {
        fake_provider_stop(&rig->fake);
    }
    folder_remove(rig->folder, NULL);
    free(rig);
    return 0;
}

char *campaign_rig_reply(const char *mark, const char *strategy)
{
    struct catalog_family family;
    assert_int_equal(catalog_family("softmax", &family, NULL), 0);
    const struct candidate *c = family.variants[1];
    auto_free char *plan = json_compact(c->plan->json);
    char *reply = xprintf("Here it is.\n\n```cuda\n// %s\n%s\n```\n\n```json\n%s\n```\n\nstrategy: %s\n",
                          mark, c->source, plan, strategy);
    catalog_family_done(&family);
    return reply;
}

void campaign_rig_fake(struct campaign_rig *rig, const char *more)
{
    auto_free char *arguments = xstrdup(more ? more : "");
    for (int i = 0; i < 4; i++) {
        auto_free char *mark = xprintf("answer %d", i);
        auto_free char *reply = campaign_rig_reply(mark, "new: another way: it is faster so");
        auto_free char *path = xprintf("%s/answer%d", rig->folder, i);
        assert_int_equal(file_write(path, reply, strlen(reply), NULL), 0);
        char *longer = xprintf("%s --answer %s", arguments, path);
        free(arguments);
        arguments = longer;
    }
    fake_provider_start(&rig->fake, arguments);
    rig->faked = true;
    rig->model.base_url = rig->fake.url;
    rig->model.retries = 2;
}

struct campaign_options campaign_rig_options(struct campaign_rig *rig, const char *const *tasks,
                                             size_t n)
{
    return (struct campaign_options) { .tasks = tasks, .n_tasks = n, .tuner = "none", .seed = 7,
                                       .llm = rig->faked ? "openai:gpt-test" : rig->spool, .steps = 3,
                                       .tune_budget = 0, .repairs = -1, .plateau = 100,
                                       .no_wait = !rig->faked, .model = &rig->model };
}

struct campaign *campaign_rig_start(struct campaign_rig *rig, const struct campaign_options *options)
{
    struct campaign *c = NULL;
    struct err err = { 0 };
    if (campaign_new(&rig->session, options, NULL, &c, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return c;
}

static int finish(struct campaign *c, struct campaign_result *ret, struct err *err)
{
    static char why[256];
    int r = campaign_run(c, err);
    if (ret) {
        campaign_result(c, 0, ret);
        snprintf(why, sizeof(why), "%s", ret->why);
        *ret = (struct campaign_result) { .status = ret->status, .why = why,
                                          .attempts = ret->attempts, .accepted = ret->accepted };
    }
    campaign_free(c);
    return r;
}

int campaign_rig_run(struct campaign_rig *rig, const struct campaign_options *options,
                     char ret_id[32], struct campaign_result *ret, struct err *err)
{
    struct campaign *c = campaign_rig_start(rig, options);
    snprintf(ret_id, 32, "%s", campaign_id(c));
    return finish(c, ret, err);
}

int campaign_rig_resume(struct campaign_rig *rig, const char *id,
                        const struct campaign_options *changes, struct campaign_result *ret,
                        struct err *err)
{
    struct campaign *c = NULL;
    struct err own = { 0 };
    if (campaign_resume(&rig->session, id, changes, NULL, &c, &own) < 0) {
        fail_msg("%s", err_text(&own));
    }
    return finish(c, ret, err);
}

/* Put there by rename, and old enough to be believed at once. */
static void put_answer(struct campaign_rig *rig, const char *key, const char *reply)
{
    auto_free char *part = xprintf("%s/answer.part", rig->folder);
    auto_free char *path = xprintf("%s/in/%s.txt", rig->spool + strlen("spool:"), key);
    struct utimbuf old = { 1000000000, 1000000000 };
    assert_int_equal(file_write(part, reply, strlen(reply), NULL), 0);
    assert_int_equal(utime(part, &old), 0);
    assert_int_equal(rename(part, path), 0);
}

static size_t answer(struct campaign_rig *rig, const char *tail, const char *reply)
{
    auto_free char *out = xprintf("%s/out", rig->spool + strlen("spool:"));
    struct dirent **found = NULL;
    int n = scandir(out, &found, NULL, alphasort);
    size_t answered = 0;
    for (int i = 0; i < n; i++) {
        char key[300];
        snprintf(key, sizeof(key), "%s", found[i]->d_name);
        size_t len = strlen(key);
        free(found[i]);
        if (len < 6 || strcmp(key + len - 5, ".json") != 0) {
            continue;
        }
        key[len - 5] = '\0';
        auto_free char *in = xprintf("%s/in/%s.txt", rig->spool + strlen("spool:"), key);
        bool wanted = !tail || (len - 5 > strlen(tail) && str_eq(key + len - 5 - strlen(tail), tail));
        if (wanted && !file_exists(in)) {
            put_answer(rig, key, reply);
            answered++;
        }
    }
    free(found);
    return answered;
}

size_t campaign_rig_answer(struct campaign_rig *rig, const char *reply)
{
    return answer(rig, NULL, reply);
}

bool campaign_rig_answer_one(struct campaign_rig *rig, const char *tail, const char *reply)
{
    return answer(rig, tail, reply) == 1;
}

void campaign_rig_ledger(struct campaign_rig *rig, const char *id, struct ledger_line *ret)
{
    auto_arena struct arena *arena = arena_new();
    struct ledger_line *lines;
    size_t n;
    struct err err = { 0 };
    if (ledger_read(rig->session.store, id, arena, &lines, &n, ret, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

void campaign_rig_verify(struct campaign_rig *rig)
{
    auto_arena struct arena *arena = arena_new();
    struct verify_report report;
    assert_int_equal(store_verify(rig->session.store, arena, &report, NULL), 0);
    if (report.n_problems) {
        fail_msg("%s", report.problems[0]);
    }
}
