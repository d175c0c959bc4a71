/* SPDX-License-Identifier: MIT */
/*
 * Campaigns on instant workers (fake_worker) with the real store, the real graph and the shipped
 * kernels: what is decided, what is durable, stopping, resuming, being killed.
 */
#include "agent/campaign.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/util.h"
#include "memory/record.h"
#include "memory/verify.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char folder[64], store[96];
    struct options options;
    struct session session;
};

static void open_session(struct fixture *f)
{
    struct err err = { 0 };
    if (session_open(&f->session, &f->options, SESSION_STORE | SESSION_MEMORY | SESSION_EVALUATOR,
                     &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/warpsmith-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->store, sizeof(f->store), "%s/store", f->folder);
    f->options = (struct options) { .gpu = "0", .store = f->store, .llm = "offline", .jobs = 1 };
    setenv("WARPSMITH_WORKER", WS_BIN_DIR "/fake_worker", 1);
    open_session(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    session_close(&f->session);
    folder_remove(f->folder, NULL);
    free(f);
    return 0;
}

static const char *const one_task[] = { "softmax" };

static struct campaign_options options_for(const char *const *tasks, size_t n)
{
    return (struct campaign_options) { .tasks = tasks, .n_tasks = n, .llm = "offline",
                                       .seed = 7, .steps = -1, .tune_budget = 4 };
}

static struct campaign *start(struct fixture *f, const struct campaign_options *o)
{
    struct campaign *c = NULL;
    struct err err = { 0 };
    if (campaign_new(&f->session, o, NULL, &c, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return c;
}

static void assert_verifies(struct store *store)
{
    auto_arena struct arena *arena = arena_new();
    struct verify_report report;
    assert_int_equal(store_verify(store, arena, &report, NULL), 0);
    if (report.n_problems) {
        fail_msg("%s", report.problems[0]);
    }
    assert_true(report.records > 0);
}

/* The attempts of a task as one line: "start|direction/strategy|...". */
static char *walk(struct fixture *f, const char *campaign, const char *task, size_t *ret_n)
{
    auto_arena struct arena *arena = arena_new();
    struct attempt_record *records;
    assert_int_equal(record_list_attempts(f->session.store, campaign, task, arena, &records, ret_n,
                                          NULL), 0);
    auto_buf struct buf text;
    buf_init(&text, 1 << 16);
    for (size_t i = 0; i < *ret_n; i++) {
        assert_int_equal(records[i].seq, (int64_t)i);
        buf_printf(&text, "%s/%s/%.8s|", records[i].direction, records[i].strategy,
                   records[i].candidate);
    }
    return buf_take(&text);
}

static void test_every_variant_is_tried_once(void **state)
{
    struct fixture *f = *state;
    struct campaign_options o = options_for(one_task, 1);
    struct campaign *c = start(f, &o);
    assert_int_equal(campaign_run(c, NULL), 0);
    struct campaign_result r;
    campaign_result(c, 0, &r);
    struct catalog_family family;
    assert_int_equal(catalog_family("softmax", &family, NULL), 0);
    assert_int_equal(r.attempts, (int64_t)family.n);
    assert_int_equal(r.accepted, r.attempts);
    assert_string_equal(r.status, "done");
    assert_non_null(r.best);
    assert_true(r.verdict->time.median_us > 0);
    catalog_family_done(&family);
    assert_verifies(f->session.store);
    campaign_free(c);
}

static void test_same_seed_same_walk(void **state)
{
    struct fixture *f = *state;
    char *walks[2];
    for (int i = 0; i < 2; i++) {
        /* A store of its own: what the first one learned would change the second. */
        session_close(&f->session);
        snprintf(f->store, sizeof(f->store), "%s/store%d", f->folder, i);
        open_session(f);
        struct campaign_options o = options_for(one_task, 1);
        struct campaign *c = start(f, &o);
        assert_int_equal(campaign_run(c, NULL), 0);
        size_t n;
        walks[i] = walk(f, campaign_id(c), "softmax", &n);
        campaign_free(c);
    }
    assert_string_equal(walks[0], walks[1]);
    free(walks[0]);
    free(walks[1]);
}

struct stopper {
    struct campaign *campaign;
    int after, seen;
};

static void stop_after(void *ud, const struct campaign_event *e)
{
    struct stopper *s = ud;
    if (e->kind == CAMPAIGN_EVENT_SCORED && ++s->seen == s->after) {
        campaign_stop(s->campaign);
    }
}

static void test_stop_and_resume(void **state)
{
    struct fixture *f = *state;
    struct campaign_options o = options_for(one_task, 1);
    struct campaign *c = start(f, &o);
    struct stopper stopper = { c, 2, 0 };
    campaign_on_event(c, stop_after, &stopper);
    struct err err = { 0 };
    assert_int_equal(campaign_run(c, &err), ERR_CANCELED);
    char id[64];
    snprintf(id, sizeof(id), "%s", campaign_id(c));
    campaign_free(c);
    size_t before, after;
    char *first = walk(f, id, "softmax", &before);
    assert_int_equal(before, 2);
    assert_int_equal(campaign_resume(&f->session, id, NULL, NULL, &c, &err), 0);
    assert_int_equal(campaign_run(c, &err), 0);
    char *second = walk(f, id, "softmax", &after);
    assert_true(after > before);
    assert_true(str_prefix(second, first));
    assert_verifies(f->session.store);
    campaign_free(c);
    free(first);
    free(second);
}

static void test_resume_of_a_running_campaign_is_refused(void **state)
{
    struct fixture *f = *state;
    struct campaign_options o = options_for(one_task, 1);
    struct campaign *c = start(f, &o), *again = NULL;
    struct err err = { 0 };
    assert_int_equal(campaign_resume(&f->session, campaign_id(c), NULL, NULL, &again, &err), ERR_BUSY);
    assert_int_equal(campaign_run(c, &err), 0);
    campaign_free(c);
    assert_int_equal(campaign_resume(&f->session, "nosuch", NULL, NULL, &again, &err), ERR_NOTFOUND);
}

static void test_many_tasks_at_once(void **state)
{
    struct fixture *f = *state;
    const char *const tasks[] = { "softmax", "gelu", "matmul", "attention", "layernorm" };
    struct campaign_options o = options_for(tasks, ARRAY_LEN(tasks));
    struct campaign *c = start(f, &o);
    assert_int_equal(campaign_run(c, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        struct campaign_result r;
        campaign_result(c, i, &r);
        assert_string_equal(r.task, tasks[i]);
        assert_true(r.accepted > 1);
    }
    assert_verifies(f->session.store);
    campaign_free(c);
}

static void test_steps_and_budgets_end_it(void **state)
{
    struct fixture *f = *state;
    struct campaign_result r;
    struct campaign_options o = options_for(one_task, 1);
    o.steps = 2;
    struct campaign *c = start(f, &o);
    assert_int_equal(campaign_run(c, NULL), 0);
    campaign_result(c, 0, &r);
    assert_int_equal(r.attempts, 3); /* the start and two steps */
    campaign_free(c);
    o.steps = -1;
    o.wall_s = 1e-9;
    c = start(f, &o);
    assert_int_equal(campaign_run(c, NULL), 0);
    campaign_result(c, 0, &r);
    assert_int_equal(r.attempts, 0);
    assert_non_null(strstr(r.why, "wall-clock"));
    campaign_free(c);
}

static void count_judging(void *ud, const struct campaign_event *event)
{
    *(size_t *)ud += event->kind == CAMPAIGN_EVENT_JUDGING;
}

/* What is spent stays spent: a resume within the same budget measures nothing more. */
static void test_device_seconds_are_hard(void **state)
{
    struct fixture *f = *state;
    struct campaign_options o = options_for(one_task, 1);
    struct campaign_result r;
    struct err err = { 0 };
    char id[32];
    o.gpu_s = 1e-6;
    struct campaign *c = start(f, &o);
    snprintf(id, sizeof(id), "%s", campaign_id(c));
    assert_int_equal(campaign_run(c, NULL), 0);
    campaign_result(c, 0, &r);
    assert_non_null(strstr(r.why, "device seconds"));
    int64_t attempts = r.attempts;
    campaign_free(c);
    size_t judged = 0;
    assert_int_equal(campaign_resume(&f->session, id, NULL, NULL, &c, &err), 0);
    campaign_on_event(c, count_judging, &judged);
    assert_int_equal(campaign_run(c, NULL), 0);
    campaign_result(c, 0, &r);
    assert_non_null(strstr(r.why, "device seconds"));
    assert_int_equal(r.attempts, attempts);
    assert_int_equal(judged, 0);
    campaign_free(c);
}

static void test_experience_is_kept_and_frozen_learns_nothing(void **state)
{
    struct fixture *f = *state;
    struct campaign_options o = options_for(one_task, 1);
    o.ablate = "frozen";
    struct campaign *c = start(f, &o);
    assert_int_equal(campaign_run(c, NULL), 0);
    campaign_free(c);
    assert_int_equal(stats_count(htg_stats(f->session.htg)), 0);
    o.ablate = NULL;
    c = start(f, &o);
    assert_int_equal(campaign_run(c, NULL), 0);
    campaign_free(c);
    size_t learned = stats_count(htg_stats(f->session.htg));
    assert_true(learned > 0);
    session_close(&f->session);
    open_session(f);
    assert_int_equal(stats_count(htg_stats(f->session.htg)), learned);
}

static void test_bad_options(void **state)
{
    struct fixture *f = *state;
    struct campaign *c;
    struct err err = { 0 };
    const char *const unknown[] = { "softmx" };
    struct campaign_options o = options_for(unknown, 1);
    assert_int_equal(campaign_new(&f->session, &o, NULL, &c, &err), ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "did you mean \"softmax\""));
    o = options_for(one_task, 1);
    o.ablate = "everything";
    assert_int_equal(campaign_new(&f->session, &o, NULL, &c, &err), ERR_INVALID);
    o = options_for(one_task, 1);
    o.llm = "oracle";
    assert_int_equal(campaign_new(&f->session, &o, NULL, &c, &err), ERR_INVALID);
    o = options_for(one_task, 1);
    o.tuner = "magic";
    assert_int_equal(campaign_new(&f->session, &o, NULL, &c, &err), ERR_INVALID);
    const char *const twice[] = { "gelu", "gelu" };
    o = options_for(twice, 2);
    assert_int_equal(campaign_new(&f->session, &o, NULL, &c, &err), ERR_INVALID);
}

/* The child of the kill test: one campaign, new or resumed, in the store it is given. */
static int run_child(const char *store)
{
    struct options options = { .gpu = "0", .store = store, .llm = "offline", .jobs = 1 };
    struct session s;
    struct err err = { 0 };
    if (session_open(&s, &options, SESSION_STORE | SESSION_MEMORY | SESSION_EVALUATOR, &err) < 0) {
        fprintf(stderr, "%s\n", err_text(&err));
        return 1;
    }
    auto_arena struct arena *arena = arena_new();
    struct campaign_record *records;
    size_t n = 0;
    const char *const tasks[] = { "softmax", "matmul" };
    struct campaign_options o = options_for(tasks, ARRAY_LEN(tasks));
    struct campaign *c = NULL;
    int r = record_list_campaigns(s.store, arena, &records, &n, &err);
    r = r < 0 ? r
        : n   ? campaign_resume(&s, records[0].id, NULL, NULL, &c, &err)
              : campaign_new(&s, &o, NULL, &c, &err);
    r = r < 0 ? r : campaign_run(c, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err_text(&err));
    }
    campaign_free(c);
    session_close(&s);
    return r < 0;
}

static pid_t spawn_child(const char *self, const char *store)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, "--child", store, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void check_store(const char *store, size_t *attempts)
{
    struct store_options o = { .read_only = false };
    struct store *s = NULL;
    struct err err = { 0 };
    if (store_open(store, &o, &s, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    auto_arena struct arena *arena = arena_new();
    struct verify_report report;
    assert_int_equal(store_verify(s, arena, &report, &err), 0);
    if (report.n_problems) {
        fail_msg("%s", report.problems[0]);
    }
    struct campaign_record *campaigns;
    struct attempt_record *records;
    size_t n, n_campaigns;
    assert_int_equal(record_list_campaigns(s, arena, &campaigns, &n_campaigns, &err), 0);
    assert_true(n_campaigns <= 1); /* resumed, never begun anew */
    *attempts = 0;
    if (n_campaigns) {
        assert_int_equal(record_list_attempts(s, campaigns[0].id, NULL, arena, &records, &n, &err),
                         0);
        *attempts = n;
    }
    store_close(s);
}

static void test_killed_at_any_moment(void **state)
{
    (void)state;
    const char *count = getenv("WARPSMITH_TEST_KILLS");
    int kills = count ? atoi(count) : 12;
    char self[512];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(len > 0);
    self[len] = '\0';
    char folder[] = "/tmp/warpsmith-kill-XXXXXX";
    assert_non_null(mkdtemp(folder));
    auto_free char *store = xprintf("%s/store", folder);
    struct rng rng;
    rng_init(&rng, 42, 0, 0);
    size_t before = 0, after;
    int status = 1;
    for (int i = 0; i < kills; i++) {
        pid_t pid = spawn_child(self, store);
        usleep((useconds_t)(20000 + rng_below(&rng, 600000)));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0); /* it was quicker than the kill */
        }
        if (file_exists(store)) {
            check_store(store, &after);
            assert_true(after >= before); /* nothing durable was lost */
            before = after;
        }
    }
    pid_t pid = spawn_child(self, store);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_store(store, &after);
    assert_true(after >= before && after >= 10);
    folder_remove(folder, NULL);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    setenv("WARPSMITH_WORKER", WS_BIN_DIR "/fake_worker", 1);
    if (argc == 3 && str_eq(argv[1], "--child")) {
        return run_child(argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_variant_is_tried_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_seed_same_walk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_and_resume, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resume_of_a_running_campaign_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_many_tasks_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_steps_and_budgets_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_device_seconds_are_hard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_experience_is_kept_and_frozen_learns_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bad_options, setup, teardown),
        cmocka_unit_test(test_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
