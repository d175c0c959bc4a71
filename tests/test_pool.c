/* SPDX-License-Identifier: MIT */
/* Pools against workers that behave badly on purpose. Every test ends with a loop that is empty. */
#include "base/util.h"
#include "evaluator/environment.h"
#include "evaluator/pool.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    int n, code;
    char phase[64], error[4096], blob[64];
    size_t blob_len;
    bool ok;
    double seconds;
};

static void on_done(void *ud, const struct pool_result *r)
{
    struct seen *s = ud;
    s->n++;
    s->code = r->code;
    s->seconds = r->seconds;
    snprintf(s->phase, sizeof(s->phase), "%s", r->phase);
    snprintf(s->error, sizeof(s->error), "%s", r->error ? r->error : "");
    s->ok = json_is_true(json_object_get(r->json, "ok"));
    s->blob_len = r->blob_len;
    memcpy(s->blob, r->blob ? r->blob : "", MIN(r->blob_len, sizeof(s->blob)));
}

static struct pool *open_pool(uv_loop_t *loop, const char *mode, size_t workers, uint64_t start_ms)
{
    const char *const args[] = { mode, NULL };
    struct pool_options options = { .name = "test", .program = WS_BIN_DIR "/fake_worker",
                                    .args = args, .workers = workers, .start_ms = start_ms };
    struct pool *pool = NULL;
    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(pool_new(loop, &options, &pool, NULL), 0);
    return pool;
}

static void submit(struct pool *pool, uint64_t deadline_ms, struct seen *seen)
{
    pool_submit(pool, xstrdup("{\"kind\":\"test\"}"), "bytes", 5, deadline_ms, on_done, seen);
}

static void run_until(uv_loop_t *loop, const int *count, int wanted)
{
    while (*count < wanted && uv_run(loop, UV_RUN_ONCE)) {
    }
}

static void close_pool(uv_loop_t *loop, struct pool *pool)
{
    pool_close(pool);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void one_job(const char *mode, uint64_t deadline_ms, struct seen *seen)
{
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, mode, 1, 10000);
    submit(pool, deadline_ms, seen);
    run_until(&loop, &seen->n, 1);
    close_pool(&loop, pool);
    assert_int_equal(seen->n, 1);
}

static void test_echo(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "echo", 3, 10000);
    struct seen seen[20] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        submit(pool, 10000, &seen[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        run_until(&loop, &seen[i].n, 1);
        assert_int_equal(seen[i].code, 0);
        assert_true(seen[i].ok);
        assert_int_equal(seen[i].blob_len, 5);
        assert_memory_equal(seen[i].blob, "bytes", 5);
        assert_string_equal(seen[i].phase, "echo small");
    }
    assert_non_null(pool_hello(pool));
    close_pool(&loop, pool);
}

struct order {
    int n, *count;
    char name, *names;
};

static void on_ordered(void *ud, const struct pool_result *r)
{
    struct order *o = ud;
    assert_int_equal(r->code, 0);
    o->names[(*o->count)++] = o->name;
}

/* Groups stay together; who has none, and who waited for long enough, comes in between. */
static void test_groups(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "echo", 1, 10000);
    static const char queue[] = "abacba";
    char names[64] = "";
    int count = 0;
    struct order orders[60];
    for (size_t i = 0; i < 6; i++) {
        orders[i] = (struct order) { .count = &count, .names = names, .name = queue[i] };
        struct pool_ticket *t = pool_submit(pool, xstrdup("{}"), "", 0, 10000, on_ordered, &orders[i]);
        pool_group(t, queue[i] == 'c' ? 0 : (uint64_t)queue[i]);
    }
    run_until(&loop, &count, 6);
    assert_string_equal(names, "aaabbc");
    memset(names, 0, sizeof(names));
    count = 0;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        orders[i] = (struct order) { .count = &count, .names = names, .name = i == 1 ? 'b' : 'a' };
        struct pool_ticket *t = pool_submit(pool, xstrdup("{}"), "", 0, 10000, on_ordered, &orders[i]);
        pool_group(t, (uint64_t)orders[i].name);
    }
    run_until(&loop, &count, (int)ARRAY_LEN(orders));
    const char *b = strchr(names, 'b');
    assert_non_null(b);
    assert_true(b - names > 2 && b - names < (long)ARRAY_LEN(orders) - 1);
    close_pool(&loop, pool);
}

static void test_what_workers_may_see(void **state)
{
    (void)state;
    static const char *const yes[]
        = { "PATH=/bin", "HOME=/", "LC_ALL=C", "LANG=", "LD_LIBRARY_PATH=x", "CUDA_HOME=/c",
            "NVIDIA_VISIBLE_DEVICES=all", "WARPSMITH_HOME=/w", "WARPSIM_THREADS=2",
            "ASAN_OPTIONS=a=b" };
    static const char *const no[]
        = { "OPENAI_API_KEY=sk-1", "ANTHROPIC_API_KEY=k", "WARPSMITH_API_KEY=k", "HF_TOKEN=t",
            "WARPSMITH_TEST_SECRET=s", "CUDA_PASSWORD=p", "PATHS=x", "HOMEPAGE=x", "LD_PRELOAD=x",
            "SSH_AUTH_SOCK=x", "", "=", "PAT" };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        assert_true(environment_passes(yes[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        assert_false(environment_passes(no[i]));
    }
}

/* The worker's own answer: its environment as a blob. */
static void test_keys_stay_here(void **state)
{
    (void)state;
    setenv("OPENAI_API_KEY", "sk-hunter2", 1);
    setenv("WARPSMITH_POOL_TEST", "seen", 1);
    struct seen key = { 0 }, other = { 0 };
    one_job("sees:OPENAI_API_KEY", 10000, &key);
    one_job("sees:WARPSMITH_POOL_TEST", 10000, &other);
    unsetenv("OPENAI_API_KEY");
    unsetenv("WARPSMITH_POOL_TEST");
    assert_int_equal(key.blob_len, 0);
    assert_int_equal(other.blob_len, 4);
    assert_memory_equal(other.blob, "seen", 4);
}

static void test_deadline(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    one_job("hang", 200, &seen);
    assert_int_equal(seen.code, ERR_TIMEOUT);
    assert_string_equal(seen.phase, "check small");
    assert_true(seen.seconds >= 0.19 && seen.seconds < 5);
}

static void test_stubborn_is_killed_and_replaced(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "stubborn", 1, 10000);
    struct seen seen = { 0 };
    for (int i = 1; i <= 2; i++) {
        submit(pool, 100, &seen);
        run_until(&loop, &seen.n, i);
        assert_int_equal(seen.code, ERR_TIMEOUT);
    }
    close_pool(&loop, pool);
}

static void test_crash_says_its_last_words(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    one_job("crash", 10000, &seen);
    assert_int_equal(seen.code, ERR_CRASH);
    assert_non_null(strstr(seen.error, "about to die"));
}

static void test_bad_frames(void **state)
{
    (void)state;
    const char *const modes[] = { "garbage", "not-json", "other-id" };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        struct seen seen = { 0 };
        one_job(modes[i], 10000, &seen);
        assert_int_equal(seen.code, ERR_PROTOCOL);
    }
    struct seen seen = { 0 };
    one_job("half", 10000, &seen);
    assert_int_equal(seen.code, ERR_CRASH);
}

static void test_flood_of_log_is_capped(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    one_job("flood", 60000, &seen);
    assert_int_equal(seen.code, 0);
}

static void test_result_before_death_counts(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "last-words", 1, 10000);
    struct seen seen = { 0 };
    for (int i = 1; i <= 3; i++) {
        submit(pool, 10000, &seen);
        run_until(&loop, &seen.n, i);
        assert_int_equal(seen.code, 0);
    }
    close_pool(&loop, pool);
}

static void test_no_worker_can_start(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    one_job("deaf", 10000, &seen);
    assert_int_equal(seen.code, ERR_ENVIRONMENT);
    assert_non_null(strstr(seen.error, "no reason given"));
    memset(&seen, 0, sizeof(seen));
    one_job("no-device", 10000, &seen);
    assert_int_equal(seen.code, ERR_ENVIRONMENT);
    assert_string_equal(seen.error, "there is no driver here");
}

static void test_silent_start_is_given_up(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "silent", 1, 50);
    struct seen seen = { 0 };
    submit(pool, 1000, &seen);
    run_until(&loop, &seen.n, 1);
    assert_int_equal(seen.code, ERR_ENVIRONMENT);
    close_pool(&loop, pool);
}

static void test_missing_program(void **state)
{
    (void)state;
    uv_loop_t loop;
    const char *const args[] = { NULL };
    struct pool_options options = { .name = "test", .program = "/nonexistent/worker", .args = args,
                                    .workers = 1, .start_ms = 1000 };
    struct pool *pool;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(pool_new(&loop, &options, &pool, NULL), 0);
    struct seen seen = { 0 };
    submit(pool, 1000, &seen);
    run_until(&loop, &seen.n, 1);
    assert_int_equal(seen.code, ERR_ENVIRONMENT);
    assert_non_null(strstr(seen.error, "/nonexistent/worker"));
    close_pool(&loop, pool);
}

static void test_cancel(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "hang", 1, 10000);
    struct seen running = { 0 }, queued = { 0 };
    struct pool_ticket *a
        = pool_submit(pool, xstrdup("{}"), "", 0, 60000, on_done, &running);
    struct pool_ticket *b = pool_submit(pool, xstrdup("{}"), "", 0, 60000, on_done, &queued);
    while (!pool_hello(pool)) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    pool_cancel(b);
    assert_int_equal(queued.code, ERR_CANCELED);
    pool_cancel(a);
    assert_int_equal(running.code, ERR_CANCELED);
    assert_int_equal(running.n, 1);
    close_pool(&loop, pool);
}

static void test_worker_killed_from_outside(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "echo", 1, 10000);
    struct seen seen = { 0 };
    submit(pool, 10000, &seen);
    run_until(&loop, &seen.n, 1);
    int pid = pool_worker_pid(pool, 0);
    assert_true(pid > 0);
    kill(pid, SIGKILL);
    submit(pool, 10000, &seen);
    run_until(&loop, &seen.n, 2);
    if (seen.code != 0) { /* the job was on its way when the worker died */
        assert_int_equal(seen.code, ERR_CRASH);
        submit(pool, 10000, &seen);
        run_until(&loop, &seen.n, 3);
    }
    assert_int_equal(seen.code, 0);
    close_pool(&loop, pool);
}

static void test_close_with_work_under_way(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct pool *pool = open_pool(&loop, "hang", 2, 10000);
    struct seen seen[5] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        submit(pool, 60000, &seen[i]);
    }
    while (!pool_hello(pool)) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    close_pool(&loop, pool);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        assert_int_equal(seen[i].n, 1);
        assert_int_equal(seen[i].code, ERR_CANCELED);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_what_workers_may_see),
        cmocka_unit_test(test_keys_stay_here),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_stubborn_is_killed_and_replaced),
        cmocka_unit_test(test_crash_says_its_last_words),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_flood_of_log_is_capped),
        cmocka_unit_test(test_result_before_death_counts),
        cmocka_unit_test(test_no_worker_can_start),
        cmocka_unit_test(test_silent_start_is_given_up),
        cmocka_unit_test(test_missing_program),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_worker_killed_from_outside),
        cmocka_unit_test(test_close_with_work_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
