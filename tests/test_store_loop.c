/* SPDX-License-Identifier: MIT */
/* The store under a real loop: groups, growth, other processes, closing in the middle. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
#include "base/util.h"
#include "memory/store_impl.h"
#include "store_rig.h"

#define MB ((uint64_t)1 << 20)

static void fill(char *at, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        at[i] = (char)(seed >> 24);
    }
}

static void put_junk(struct store_batch *batch, int i, size_t n)
{
    char key[32];
    auto_free char *junk = xcalloc(n, 1);
    fill(junk, n, (uint32_t)i);
    snprintf(key, sizeof(key), "junk/%06d", i);
    store_batch_put(batch, STORE_DB_COMPILED, key, junk, n);
}

static void check_junk(struct store_rig *rig, int i, size_t n)
{
    char key[32];
    auto_free char *junk = xcalloc(n, 1);
    auto_arena struct arena *arena = arena_new();
    const void *at;
    size_t len;
    fill(junk, n, (uint32_t)i);
    snprintf(key, sizeof(key), "junk/%06d", i);
    assert_int_equal(store_get(rig->store, STORE_DB_COMPILED, key, arena, &at, &len, &rig->err), 0);
    assert_int_equal(len, n);
    assert_memory_equal(at, junk, n);
}

static uint64_t transactions(struct store_rig *rig)
{
    struct store_facts facts;
    assert_int_equal(store_facts(rig->store, &facts, NULL), 0);
    return facts.last_transaction;
}

struct order {
    int *next, mine, wrong;
};

static void in_order(void *user, int status, const struct err *err)
{
    (void)err;
    struct order *order = user;
    order->wrong = status != 0 || *order->next != order->mine;
    ++*order->next;
}

static void groups_and_order(void **state)
{
    (void)state;
    enum { N = 2000 };
    struct store_rig rig;
    store_rig_init(&rig, NULL);
    uint64_t before = transactions(&rig);
    auto_free struct order *orders = xcalloc(N, sizeof(*orders));
    int next = 0, wrong = 0;
    for (int i = 0; i < N; i++) {
        orders[i] = (struct order){&next, i, 0};
        struct store_batch *batch = store_batch_new();
        store_batch_counter_add(batch, "n", 1);
        store_submit(rig.store, batch, in_order, &orders[i]);
    }
    assert_int_equal(next, 0);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < N; i++) {
        wrong += orders[i].wrong;
    }
    assert_int_equal(next, N);
    assert_int_equal(wrong, 0);
    int64_t n;
    assert_int_equal(store_counter(rig.store, "n", &n, NULL), 0);
    assert_int_equal(n, N);
    assert_true(transactions(&rig) - before <= 3); /* the first alone, then all that waited */
    store_rig_done(&rig);
}

/* Closing, and flushing, settle what is in the air: once, and without the loop. */
static void close_in_the_middle(void **state)
{
    (void)state;
    struct store_rig rig;
    store_rig_init(&rig, NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            struct store_batch *batch = store_batch_new();
            store_batch_counter_add(batch, "n", 1);
            store_rig_submit(&rig, batch);
        }
        if (round == 0) {
            store_flush(rig.store);
        } else {
            store_rig_reopen(&rig, NULL);
        }
        assert_int_equal(rig.waiting, 0);
        assert_int_equal(rig.failed, 0);
        uv_run(&rig.loop, round == 1 ? UV_RUN_DEFAULT : UV_RUN_NOWAIT);
        assert_int_equal(rig.waiting, 0);
    }
    int64_t n;
    assert_int_equal(store_counter(rig.store, "n", &n, NULL), 0);
    assert_int_equal(n, 150);
    store_rig_done(&rig);
}

struct chain {
    struct store_rig *rig;
    int left, nested;
};

static void again(void *user, int status, const struct err *err)
{
    (void)err;
    struct chain *chain = user;
    struct store_batch *batch = store_batch_new();
    store_batch_counter_add(batch, "n", 1);
    if (status < 0 || chain->left-- == 0) {
        store_batch_free(batch);
    } else if (chain->left % 10 == 0) {
        chain->nested += store_commit(chain->rig->store, batch, NULL) == 0;
        again(chain, 0, NULL);
    } else {
        store_submit(chain->rig->store, batch, again, chain);
    }
}

static void submit_from_a_callback(void **state)
{
    (void)state;
    struct store_rig rig;
    store_rig_init(&rig, NULL);
    struct chain chain = {&rig, 100, 0};
    struct store_batch *batch = store_batch_new();
    store_batch_counter_add(batch, "n", 1);
    store_submit(rig.store, batch, again, &chain);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    int64_t n;
    assert_int_equal(store_counter(rig.store, "n", &n, NULL), 0);
    assert_int_equal(n, 101);
    assert_int_equal(chain.nested, 10);
    store_rig_done(&rig);
}

static void count(void *user, int status, const struct err *err)
{
    (void)err;
    *(int *)user += status == 0;
}

static void without_a_loop(void **state)
{
    (void)state;
    struct store_rig rig;
    store_rig_init(&rig, NULL);
    store_close(rig.store);
    struct store_options options = {0};
    assert_int_equal(store_open(rig.path, &options, &rig.store, NULL), 0);
    int done = 0;
    for (int i = 0; i < 5; i++) {
        struct store_batch *batch = store_batch_new();
        put_junk(batch, i, 100);
        store_submit(rig.store, batch, count, &done);
    }
    assert_int_equal(done, 0);
    struct store_batch *batch = store_batch_new();
    put_junk(batch, 5, 100);
    assert_int_equal(store_commit(rig.store, batch, NULL), 0);
    assert_int_equal(done, 5);
    check_junk(&rig, 5, 100);
    store_rig_done(&rig);
}

/* The map starts at 1 MB and the data need 20: every batch is replayed, none is lost. */
static void grows(void **state)
{
    (void)state;
    struct store_options options = {.map_size = MB};
    struct store_rig rig;
    store_rig_init(&rig, &options);
    for (int i = 0; i < 60; i++) {
        struct store_batch *batch = store_batch_new();
        put_junk(batch, i, 300000);
        store_batch_counter_add(batch, "n", 1);
        store_rig_submit(&rig, batch);
        if (i % 20 == 19) {
            assert_int_equal(store_rig_wait(&rig), 0);
        } else if (i % 7 == 0) {
            uv_run(&rig.loop, UV_RUN_NOWAIT);
        } else if (i == 30) {
            store_flush(rig.store);
        }
    }
    assert_int_equal(rig.failed, 0);
    struct store_facts facts;
    assert_int_equal(store_facts(rig.store, &facts, NULL), 0);
    assert_true(facts.map_bytes >= 18 * MB);
    for (int i = 0; i < 60; i++) {
        check_junk(&rig, i, 300000);
    }
    int64_t n;
    assert_int_equal(store_counter(rig.store, "n", &n, NULL), 0);
    assert_int_equal(n, 60);
    store_rig_reopen(&rig, &options); /* smaller than what is there */
    check_junk(&rig, 59, 300000);
    store_rig_done(&rig);
}

static void grows_to_a_limit(void **state)
{
    (void)state;
    struct store_options options = {.map_size = MB, .map_most = 3 * MB};
    struct store_rig rig;
    store_rig_init(&rig, &options);
    int good = 0, r = 0;
    while (r == 0 && good < 100) {
        struct store_batch *batch = store_batch_new();
        put_junk(batch, good, 100000);
        r = store_rig_commit(&rig, batch);
        good += r == 0;
    }
    assert_int_equal(r, ERR_FULL);
    assert_non_null(strstr(rig.last.text, "limit of 3 MB"));
    assert_true(good > 5 && good < 31);
    for (int i = 0; i < good; i++) {
        check_junk(&rig, i, 100000);
    }
    options.map_most = 8 * MB;
    store_rig_reopen(&rig, &options);
    struct store_batch *batch = store_batch_new();
    put_junk(batch, good, 100000);
    assert_int_equal(store_rig_commit(&rig, batch), 0);
    store_rig_done(&rig);
}

static int wait_line(int fd)
{
    char c;
    return read(fd, &c, 1) == 1;
}

/* Another process grows the file far beyond our map: reads and writes take its size over. */
static void adopts_another_size(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) { /* what meets it first: a read, a write */
        struct store_options options = {.map_size = MB};
        struct store_rig rig;
        store_rig_init(&rig, &options);
        int out;
        pid_t pid = store_rig_spawn("big", rig.path, "40", &out);
        assert_int_equal(store_rig_reap(pid), 0);
        close(out);
        if (first == 0) {
            check_junk(&rig, 39, 300000);
        }
        struct store_batch *batch = store_batch_new();
        put_junk(batch, 40, 300000);
        assert_int_equal(store_rig_commit(&rig, batch), 0);
        for (int i = 0; i <= 40; i++) {
            check_junk(&rig, i, 300000);
        }
        store_rig_done(&rig);
    }
}

/* While a write of ours is in the air, waiting for another process, a read meets the larger map. */
static void adopts_under_a_write(void **state)
{
    (void)state;
    struct store_options options = {.map_size = MB};
    struct store_rig rig;
    store_rig_init(&rig, &options);
    int out;
    pid_t pid = store_rig_spawn("big-and-hold", rig.path, "40", &out);
    assert_true(wait_line(out)); /* its data are there, and it holds the write lock */
    struct store_batch *batch = store_batch_new();
    put_junk(batch, 40, 1000);
    store_rig_submit(&rig, batch);
    check_junk(&rig, 7, 300000);
    assert_int_equal(store_rig_wait(&rig), 0);
    check_junk(&rig, 40, 1000);
    assert_int_equal(store_rig_reap(pid), 0);
    close(out);
    store_rig_done(&rig);
}

struct pulse {
    uv_timer_t timer;
    struct store_rig *rig;
    int beats, reads;
};

static void beat(uv_timer_t *timer)
{
    struct pulse *pulse = timer->data;
    if (pulse->rig->waiting) {
        pulse->beats++;
        pulse->reads += store_rig_get(pulse->rig, STORE_DB_TASKS, "here") != NULL;
    }
}

/* Another process holds the write lock for a second: our write waits, the loop and reads don't. */
static void the_loop_never_waits(void **state)
{
    (void)state;
    struct store_rig rig;
    store_rig_init(&rig, NULL);
    assert_int_equal(store_rig_put(&rig, STORE_DB_TASKS, "here", "1"), 0);
    int out;
    pid_t pid = store_rig_spawn("hold", rig.path, "1000", &out);
    assert_true(wait_line(out));
    struct pulse pulse = {.rig = &rig};
    uv_timer_init(&rig.loop, &pulse.timer);
    pulse.timer.data = &pulse;
    uv_timer_start(&pulse.timer, beat, 10, 10);
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TASKS, "there", "2", 1);
    assert_int_equal(store_rig_commit(&rig, batch), 0);
    assert_true(pulse.beats >= 10); /* about 90 on an idle machine */
    assert_int_equal(pulse.reads, pulse.beats);
    uv_close((uv_handle_t *)&pulse.timer, NULL);
    assert_int_equal(store_rig_reap(pid), 0);
    close(out);
    store_rig_done(&rig);
}

static void two_processes(void **state)
{
    (void)state;
    struct store_rig rig;
    store_rig_init(&rig, NULL);
    assert_false(store_changed(rig.store));
    int out;
    pid_t pid = store_rig_spawn("add", rig.path, "300", &out);
    for (int i = 0; i < 300; i++) {
        struct store_batch *batch = store_batch_new();
        store_batch_counter_add(batch, "n", 1);
        store_batch_stat_add(batch, "s", i * 0.001, i % 3 == 0);
        assert_int_equal(store_rig_commit(&rig, batch), 0);
    }
    assert_int_equal(store_rig_reap(pid), 0);
    close(out);
    int64_t n;
    struct store_stat stat;
    assert_int_equal(store_counter(rig.store, "n", &n, NULL), 0);
    assert_int_equal(n, 600);
    assert_int_equal(store_stat(rig.store, "s", &stat, NULL), 0);
    assert_int_equal(stat.n, 600);
    assert_int_equal(stat.failures, 200);
    assert_float_equal(stat.mean, 0.1495, 1e-9);

    assert_true(store_changed(rig.store));
    assert_false(store_changed(rig.store));
    assert_int_equal(store_rig_put(&rig, STORE_DB_TASKS, "own", "1"), 0);
    struct store_batch *nothing = store_batch_new();
    store_batch_del(nothing, STORE_DB_TASKS, "never there");
    assert_int_equal(store_rig_commit(&rig, nothing), 0);
    assert_false(store_changed(rig.store)); /* our own writes are no news */
    pid = store_rig_spawn("add", rig.path, "1", &out);
    assert_int_equal(store_rig_reap(pid), 0);
    close(out);
    assert_int_equal(store_rig_put(&rig, STORE_DB_TASKS, "own", "2"), 0);
    assert_true(store_changed(rig.store)); /* theirs are, also behind one of ours */
    assert_false(store_changed(rig.store));
    store_rig_done(&rig);
}

static int count_reader(const char *line, void *user)
{
    *(int *)user += strstr(line, "pid") == NULL && strstr(line, "(no") == NULL;
    return 0;
}

static int readers(struct store_rig *rig)
{
    int n = 0;
    mdb_reader_list(rig->store->env, count_reader, &n);
    return n;
}

/* A reader that died would keep old pages for ever: cleared by the hourly check, and at opening. */
static void dead_readers(void **state)
{
    (void)state;
    struct store_rig rig;
    store_rig_init(&rig, NULL);
    assert_int_equal(store_rig_put(&rig, STORE_DB_TASKS, "k", "0"), 0);
    int out, base = readers(&rig);
    pid_t pid = store_rig_spawn("read-and-die", rig.path, "", &out);
    assert_int_equal(store_rig_reap(pid), -SIGKILL);
    close(out);
    assert_int_equal(readers(&rig), base + 1);
    assert_int_equal(store_rig_put(&rig, STORE_DB_TASKS, "k", "1"), 0);
    assert_int_equal(readers(&rig), base + 1);
    rig.store->readers_checked_ns = clock_ns() - (uint64_t)3601 * 1000000000;
    assert_int_equal(store_rig_put(&rig, STORE_DB_TASKS, "k", "2"), 0);
    assert_int_equal(readers(&rig), base);
    store_rig_done(&rig);
}

static void hold_lock(MDB_env *env, int ms)
{
    MDB_txn *txn;
    require(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    require(write(1, "\n", 1) == 1);
    usleep((useconds_t)ms * 1000);
    mdb_txn_abort(txn);
}

static int child(const char *mode, const char *path, const char *number)
{
    struct store *store;
    struct store_options options = {0};
    struct store_view view;
    int n = atoi(number);
    require(store_open(path, &options, &store, NULL) == 0);
    if (str_eq(mode, "add")) {
        for (int i = 0; i < n; i++) {
            struct store_batch *batch = store_batch_new();
            store_batch_counter_add(batch, "n", 1);
            store_batch_stat_add(batch, "s", i * 0.001, i % 3 == 0);
            require(store_commit(store, batch, NULL) == 0);
        }
    } else if (str_eq(mode, "big") || str_eq(mode, "big-and-hold")) {
        for (int i = 0; i < n; i++) {
            struct store_batch *batch = store_batch_new();
            put_junk(batch, i, 300000);
            require(store_commit(store, batch, NULL) == 0);
        }
        if (str_eq(mode, "big-and-hold")) {
            hold_lock(store->env, 500);
        }
    } else if (str_eq(mode, "hold")) {
        hold_lock(store->env, n);
    } else {
        require(store_view_begin(store, &view, NULL) == 0);
        raise(SIGKILL);
    }
    store_close(store);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && str_eq(argv[0], "child")) {
        return child(argv[1], argv[2], argv[3]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_and_order),
        cmocka_unit_test(close_in_the_middle),
        cmocka_unit_test(submit_from_a_callback),
        cmocka_unit_test(without_a_loop),
        cmocka_unit_test(grows),
        cmocka_unit_test(grows_to_a_limit),
        cmocka_unit_test(adopts_another_size),
        cmocka_unit_test(adopts_under_a_write),
        cmocka_unit_test(the_loop_never_waits),
        cmocka_unit_test(two_processes),
        cmocka_unit_test(dead_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
