/* SPDX-License-Identifier: MIT */
/*
 * Campaigns with calls in flight, their tuners' among them, killed at random moments and resumed. After
 * each kill the store verifies; every attempt, verdict and answer that was there before is there as it
 * was; and no call whose answer was durable is sent again: the fake provider writes down every key it is
 * asked.
 * WARPSMITH_KILLS=50 WARPSMITH_SEED=1 and on to 10 is the long proof, each in a store of its own.
 */
#include "base/file.h"
#include "base/jread.h"
#include "base/rng.h"
#include "base/util.h"
#include "memory/record.h"
#include "memory/verify.h"
#include "tests/campaign_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { KILLS = 25, KILL_AFTER_MS = 700, STEPS = 6 };

/* The process that is killed: goes on with the campaign that isn't over, else begins one. */
static int run_child(const char *store, const char *url)
{
    static const char *const tasks[] = { "softmax", "gelu", "layernorm" };
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
    struct llm_options model;
    llm_options_init(&model);
    model.base_url = url;
    struct campaign_options o = { .tasks = tasks, .n_tasks = ARRAY_LEN(tasks), .seed = 7, .steps = STEPS,
                                  .llm = "openai:gpt-test", .samples = 2, .repairs = 1,
                                  .tuner = "llm", .tune_budget = 6, .model = &model };
    struct campaign *c = NULL;
    int r = record_list_campaigns(s.store, arena, &records, &n, &err);
    const char *open = NULL;
    for (size_t i = 0; i < n; i++) {
        open = str_eq(records[i].status, "done") ? open : records[i].id;
    }
    o.seed += n;
    r = r < 0  ? r
        : open ? campaign_resume(&s, open, NULL, NULL, &c, &err)
               : campaign_new(&s, &o, NULL, &c, &err);
    r = r < 0 ? r : campaign_run(c, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err_text(&err));
    }
    campaign_free(c);
    session_close(&s);
    return r < 0;
}

struct seen {
    json_t *records; /* "db/key" -> what was there */
    json_t *answered; /* key of a call -> how often it had been asked when its answer was there */
};

/* How often each key was asked so far. */
static json_t *asked(const char *log)
{
    json_t *counts = json_object();
    FILE *in = fopen(log, "re");
    char *line = NULL;
    size_t room = 0;
    while (in && getline(&line, &room, in) > 0) {
        json_t *event = json_loads(line, 0, NULL);
        const char *key = json_string_value(json_object_get(event, "key"));
        if (key && str_eq(json_string_value(json_object_get(event, "event")), "asked")) {
            json_int_t n = json_integer_value(json_object_get(counts, key));
            json_object_set_new(counts, key, json_integer(n + 1));
        }
        json_decref(event);
    }
    free(line);
    if (in) {
        fclose(in);
    }
    return counts;
}

static void check_db(struct store *store, enum store_db db, struct seen *seen)
{
    auto_arena struct arena *arena = arena_new();
    struct store_item *items;
    size_t n, found = 0, before = 0;
    assert_int_equal(store_scan(store, db, "", NULL, 1 << 20, arena, &items, &n, NULL), 0);
    auto_free char *prefix = xprintf("%s/", store_db_name(db));
    const char *key;
    json_t *was;
    json_object_foreach(seen->records, key, was) {
        before += str_prefix(key, prefix);
    }
    for (size_t i = 0; i < n; i++) {
        auto_free char *name = xprintf("%s%s", prefix, items[i].key);
        const char *old = json_string_value(json_object_get(seen->records, name));
        if (old && !str_eq(old, items[i].at)) {
            fail_msg("%s changed", name);
        }
        found += old != NULL;
        json_object_set_new(seen->records, name, json_text(items[i].at, items[i].len));
    }
    if (found != before) {
        fail_msg("%zu of %zu %s are gone", before - found, before, store_db_name(db));
    }
}

static void check_calls(struct store *store, const json_t *counts, struct seen *seen, size_t *ret_n)
{
    auto_arena struct arena *arena = arena_new();
    struct store_item *items;
    size_t n;
    assert_int_equal(store_scan(store, STORE_DB_CALLS, "", NULL, 1 << 20, arena, &items, &n, NULL),
                     0);
    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        struct call_record call;
        struct call_extra x;
        assert_int_equal(record_read_call(&items[i], arena, &call, NULL), 0);
        call_extra_read(call.extra, arena, &x);
        const json_t *was = json_object_get(seen->answered, x.key);
        json_int_t now = json_integer_value(json_object_get(counts, x.key));
        if (was && !str_eq(call.state, "answered")) {
            fail_msg("call %s was answered, now it is \"%s\"", x.key, call.state);
        }
        if (was && json_integer_value(was) != now) {
            fail_msg("call %s had its answer, and was sent again", x.key);
        }
        if (str_eq(call.state, "answered")) {
            json_object_set_new(seen->answered, x.key, json_integer(now));
            ++*ret_n;
        }
    }
}

static void check_all(struct campaign_rig *rig, const char *log, struct seen *seen, size_t *ret_calls)
{
    auto_arena struct arena *arena = arena_new();
    struct store *store = NULL;
    struct store_options options = { 0 };
    struct verify_report report;
    struct err err = { 0 };
    if (store_open(rig->store, &options, &store, &err) < 0
        || store_verify(store, arena, &report, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    if (report.n_problems) {
        fail_msg("%s", report.problems[0]);
    }
    json_t *counts = asked(log);
    check_db(store, STORE_DB_ATTEMPTS, seen);
    check_db(store, STORE_DB_VERDICTS, seen);
    check_db(store, STORE_DB_CANDIDATES, seen);
    check_calls(store, counts, seen, ret_calls);
    json_decref(counts);
    store_close(store);
}

static int spawn(struct campaign_rig *rig, unsigned ms)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "child", rig->store, rig->fake.url, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (ms) {
        usleep(ms * 1000);
        kill(pid, SIGKILL);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_killed_with_calls_in_flight(void **state)
{
    struct campaign_rig *rig = *state;
    session_close(&rig->session);
    auto_free char *log = xprintf("%s/asked.log", rig->folder);
    /* Some answers are for the tuner, which asks the same model. */
    static const char configs[] = "{\"configs\":[{\"BLOCK\":512},{\"BLOCK\":128}]}";
    auto_free char *path = xprintf("%s/configs", rig->folder);
    assert_int_equal(file_write(path, configs, strlen(configs), NULL), 0);
    auto_free char *arguments = xprintf("--latency 80 --log %s --answer %s", log, path);
    campaign_rig_fake(rig, arguments);
    const char *wanted = getenv("WARPSMITH_KILLS");
    const char *seed = getenv("WARPSMITH_SEED");
    long kills = wanted ? atol(wanted) : KILLS;
    struct seen seen = { json_object(), json_object() };
    struct rng rng;
    rng_init(&rng, seed ? (uint64_t)atol(seed) : 11, (uint64_t)kills, 0);
    size_t calls = 0, in_flight = 0;
    for (long i = 0; i < kills; i++) {
        int code = spawn(rig, 20 + (unsigned)rng_below(&rng, KILL_AFTER_MS));
        assert_true(code == -1 || code == 0); /* killed, or it was done before */
        json_t *counts = asked(log);
        size_t keys = json_object_size(counts);
        json_decref(counts);
        check_all(rig, log, &seen, &calls);
        in_flight += keys > calls;
    }
    assert_int_equal(spawn(rig, 0), 0);
    check_all(rig, log, &seen, &calls);
    printf("%ld kills, %zu of them with calls in flight, %zu answers, %zu records\n", kills, in_flight,
           calls, json_object_size(seen.records));
    assert_true(calls > 0);
    json_decref(seen.records);
    json_decref(seen.answered);
    campaign_rig_open(rig);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does: a peer may go */
    if (argc == 3) {
        return run_child(argv[1], argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_with_calls_in_flight, campaign_rig_setup,
                                        campaign_rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
