/* SPDX-License-Identifier: MIT */
/* The store's reads, batches, increments and record format, with a real loop and a real LMDB. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/util.h"
#include "memory/store_pack.h"
#include "store_rig.h"

static int setup(void **state)
{
    struct store_rig *rig = xcalloc(1, sizeof(*rig));
    store_rig_init(rig, NULL);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    store_rig_done(*state);
    free(*state);
    return 0;
}

static void put_then_get(void **state)
{
    struct store_rig *rig = *state;
    assert_null(store_rig_get(rig, STORE_DB_VERDICTS, "k"));
    assert_int_equal(store_rig_put(rig, STORE_DB_VERDICTS, "k", "{\"a\": 1}"), 0);
    assert_string_equal(store_rig_get(rig, STORE_DB_VERDICTS, "k"), "{\"a\": 1}");
    assert_null(store_rig_get(rig, STORE_DB_TASKS, "k"));
    assert_int_equal(store_rig_put(rig, STORE_DB_VERDICTS, "k", "2"), 0);
    store_rig_reopen(rig, NULL);
    assert_string_equal(store_rig_get(rig, STORE_DB_VERDICTS, "k"), "2");
}

static void nothing_is_an_error_text(void **state)
{
    struct store_rig *rig = *state;
    const void *at = "untouched";
    size_t len = 77;
    struct err err = {5, "untouched"};
    assert_int_equal(store_get(rig->store, STORE_DB_TASKS, "no", rig->arena, &at, &len, &err),
                     ERR_NOTFOUND);
    assert_string_equal(at, "untouched");
    assert_int_equal(len, 77);
    assert_string_equal(err.text, "untouched");
    assert_int_equal(store_get(rig->store, STORE_DB_TASKS, "", rig->arena, &at, &len, &err),
                     ERR_NOTFOUND);
}

/* Empty, short, around the threshold of compression, large, and bytes that don't compress. */
static void values_of_all_sizes(void **state)
{
    struct store_rig *rig = *state;
    static const size_t sizes[] = {0, 1, 511, 512, 513, 4096, 100000, 5 << 20};
    for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
        size_t n = sizes[i / 2], len;
        auto_free char *bytes = xcalloc(n + 1, 1);
        uint32_t x = 1;
        for (size_t j = 0; j < n; j++) {
            x = x * 1664525 + 1013904223;
            bytes[j] = i % 2 ? (char)(x >> 24) : (char)('a' + j / 100 % 5);
        }
        struct store_batch *batch = store_batch_new();
        store_batch_put(batch, STORE_DB_COMPILED, "k", bytes, n);
        assert_int_equal(store_rig_commit(rig, batch), 0);
        const void *at;
        assert_int_equal(store_get(rig->store, STORE_DB_COMPILED, "k", rig->arena, &at, &len, NULL),
                         0);
        assert_int_equal(len, n);
        assert_memory_equal(at, bytes, n);
        assert_int_equal(((const char *)at)[n], 0);
    }
}

static int pack(enum store_db db, const char *key, const void *at, size_t len, struct buf *out)
{
    struct store_packer *packer = store_packer_new();
    int r = store_pack(packer, db, key, at, len, out);
    store_packer_free(packer);
    return r;
}

static void text_is_compressed(void **state)
{
    (void)state;
    char text[20000];
    memset(text, 'x', sizeof(text));
    auto_buf struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(pack(STORE_DB_CALLS, "k", text, sizeof(text), &out), 0);
    assert_true(out.len < sizeof(text) / 10);
}

/* Each single flipped bit of a packed record is found, and so is a record under another key. */
static void damage_is_found(void **state)
{
    (void)state;
    auto_arena struct arena *arena = arena_new();
    static const size_t sizes[] = {40, 900};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        char text[900];
        memset(text, 'q', sizeof(text));
        auto_buf struct buf out;
        buf_init(&out, 1 << 20);
        assert_int_equal(pack(STORE_DB_CALLS, "k", text, sizes[s], &out), 0);
        const char *at;
        size_t len;
        struct err err;
        for (size_t bit = 0; bit < out.len * 8; bit++) {
            out.at[bit / 8] ^= (char)(1 << bit % 8);
            int r = store_unpack(STORE_DB_CALLS, "k", out.at, out.len, arena, &at, &len, &err);
            assert_true(r == ERR_INVALID || r == ERR_VERSION);
            assert_non_null(strstr(err.text, "calls/k"));
            out.at[bit / 8] ^= (char)(1 << bit % 8);
        }
        for (size_t n = 0; n < out.len; n++) {
            assert_int_equal(store_unpack(STORE_DB_CALLS, "k", out.at, n, arena, &at, &len, &err),
                             ERR_INVALID);
        }
        assert_int_equal(store_unpack(STORE_DB_CALLS, "l", out.at, out.len, arena, &at, &len, &err),
                         ERR_INVALID);
        assert_int_equal(store_unpack(STORE_DB_TASKS, "k", out.at, out.len, arena, &at, &len, &err),
                         ERR_INVALID);
        assert_int_equal(store_unpack(STORE_DB_CALLS, "k", out.at, out.len, arena, &at, &len, &err),
                         0);
        assert_int_equal(len, sizes[s]);
    }
}

static void damaged_record_in_the_database(void **state)
{
    struct store_rig *rig = *state;
    assert_int_equal(store_rig_put(rig, STORE_DB_VERDICTS, "good", "1"), 0);
    store_close(rig->store);
    store_rig_raw(rig->path, "verdicts", "bad", "rubbish that is longer than the header", 38);
    rig->store = NULL;
    store_rig_reopen(rig, NULL);
    assert_null(store_rig_get(rig, STORE_DB_VERDICTS, "bad"));
    assert_int_equal(rig->err.code, ERR_VERSION); /* its first byte says so */
    assert_non_null(strstr(rig->err.text, "verdicts/bad"));
    struct store_item *items;
    size_t n;
    assert_int_equal(
        store_scan(rig->store, STORE_DB_VERDICTS, "", NULL, 10, rig->arena, &items, &n, &rig->err),
        ERR_VERSION);
    assert_string_equal(store_rig_get(rig, STORE_DB_VERDICTS, "good"), "1");
}

static void scan_by_prefix_and_pages(void **state)
{
    struct store_rig *rig = *state;
    static const char *const keys[] = {"a", "a/1", "a/2", "a/20", "a/3", "a0", "b/1", "a/~"};
    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        store_batch_put(batch, STORE_DB_CALLS, keys[i], keys[i], strlen(keys[i]));
    }
    assert_int_equal(store_rig_commit(rig, batch), 0);
    struct store_item *items;
    size_t n;
    assert_int_equal(
        store_scan(rig->store, STORE_DB_CALLS, "a/", NULL, 100, rig->arena, &items, &n, NULL), 0);
    assert_int_equal(n, 5);
    assert_string_equal(items[0].key, "a/1");
    assert_string_equal(items[2].at, "a/20");
    assert_string_equal(items[4].key, "a/~");
    assert_int_equal(
        store_scan(rig->store, STORE_DB_CALLS, "a/", "a/2", 2, rig->arena, &items, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(items[0].key, "a/20");
    assert_string_equal(items[1].key, "a/3");
    assert_int_equal(
        store_scan(rig->store, STORE_DB_CALLS, "a/", "a/21", 9, rig->arena, &items, &n, NULL), 0);
    assert_string_equal(items[0].key, "a/3");
    assert_int_equal(
        store_scan(rig->store, STORE_DB_CALLS, "a/", "a/~", 9, rig->arena, &items, &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(
        store_scan(rig->store, STORE_DB_CALLS, "", "a0", 9, rig->arena, &items, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(
        store_scan(rig->store, STORE_DB_CALLS, "zz", NULL, 9, rig->arena, &items, &n, NULL), 0);
    assert_int_equal(n, 0);
}

static void scan_of_many(void **state)
{
    struct store_rig *rig = *state;
    struct store_batch *batch = store_batch_new();
    char key[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k/%06d", i);
        store_batch_put(batch, STORE_DB_TUNINGS, key, &i, sizeof(i));
    }
    assert_int_equal(store_rig_commit(rig, batch), 0);
    struct store_item *items;
    size_t n;
    assert_int_equal(store_scan(rig->store, STORE_DB_TUNINGS, "k/", NULL, SIZE_MAX, rig->arena,
                                &items, &n, NULL),
                     0);
    assert_int_equal(n, 5000);
    int last;
    memcpy(&last, items[4999].at, sizeof(last));
    assert_int_equal(last, 4999);
    struct store_facts facts;
    assert_int_equal(store_facts(rig->store, &facts, NULL), 0);
    assert_int_equal(facts.records[STORE_DB_TUNINGS], 5000);
    assert_int_equal(facts.records[STORE_DB_TASKS], 0);
    assert_true(facts.used_bytes > 0 && facts.used_bytes < facts.map_bytes);
}

static void new_and_once(void **state)
{
    struct store_rig *rig = *state;
    struct store_batch *batch = store_batch_new();
    store_batch_put_new(batch, STORE_DB_ATTEMPTS, "c/1", "one", 3);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TASKS, "other", "x", 1);
    store_batch_put_new(batch, STORE_DB_ATTEMPTS, "c/1", "two", 3);
    store_batch_counter_add(batch, "usd", 5);
    assert_int_equal(store_rig_commit(rig, batch), ERR_EXISTS);
    assert_non_null(strstr(rig->last.text, "attempts/c/1"));
    assert_string_equal(store_rig_get(rig, STORE_DB_ATTEMPTS, "c/1"), "one");
    assert_null(store_rig_get(rig, STORE_DB_TASKS, "other")); /* whole or not at all */
    batch = store_batch_new();
    store_batch_put_once(batch, STORE_DB_ATTEMPTS, "c/1", "three", 5);
    store_batch_put_once(batch, STORE_DB_ATTEMPTS, "c/2", "two", 3);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    assert_string_equal(store_rig_get(rig, STORE_DB_ATTEMPTS, "c/1"), "one");
    assert_string_equal(store_rig_get(rig, STORE_DB_ATTEMPTS, "c/2"), "two");
    batch = store_batch_new();
    store_batch_del(batch, STORE_DB_ATTEMPTS, "c/1");
    store_batch_del(batch, STORE_DB_ATTEMPTS, "never");
    assert_int_equal(store_rig_commit(rig, batch), 0);
    assert_null(store_rig_get(rig, STORE_DB_ATTEMPTS, "c/1"));
}

/* In one group commit: the bad batches fail alone, the good ones around them are kept. */
static void failures_in_a_group(void **state)
{
    struct store_rig *rig = *state;
    assert_int_equal(store_rig_put(rig, STORE_DB_ATTEMPTS, "taken", "x"), 0);
    rig->failed = 0;
    char key[32];
    for (int i = 0; i < 100; i++) {
        struct store_batch *batch = store_batch_new();
        snprintf(key, sizeof(key), "n/%03d", i);
        store_batch_put(batch, STORE_DB_ATTEMPTS, key, "y", 1);
        store_batch_counter_add(batch, "good", 1);
        if (i % 10 == 3) {
            store_batch_put_new(batch, STORE_DB_ATTEMPTS, "taken", "z", 1);
        }
        if (i % 10 == 5) {
            store_batch_put(batch, STORE_DB_ATTEMPTS, "", "z", 1);
        }
        store_rig_submit(rig, batch);
    }
    store_rig_wait(rig);
    assert_int_equal(rig->failed, 20);
    int64_t good;
    assert_int_equal(store_counter(rig->store, "good", &good, NULL), 0);
    assert_int_equal(good, 80);
    assert_null(store_rig_get(rig, STORE_DB_ATTEMPTS, "n/013"));
    assert_null(store_rig_get(rig, STORE_DB_ATTEMPTS, "n/015"));
    assert_non_null(store_rig_get(rig, STORE_DB_ATTEMPTS, "n/014"));
}

static void mistakes_stick(void **state)
{
    struct store_rig *rig = *state;
    char key[STORE_KEY_MAX + 2];
    memset(key, 'k', sizeof(key));
    key[STORE_KEY_MAX] = '\0';
    assert_int_equal(store_rig_put(rig, STORE_DB_TASKS, key, "longest"), 0);
    assert_string_equal(store_rig_get(rig, STORE_DB_TASKS, key), "longest");
    key[STORE_KEY_MAX] = 'k';
    key[STORE_KEY_MAX + 1] = '\0';
    assert_int_equal(store_rig_put(rig, STORE_DB_TASKS, key, "too long"), ERR_TOOBIG);
    assert_null(store_rig_get(rig, STORE_DB_TASKS, key));

    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TASKS, "k", "", (size_t)STORE_VALUE_MAX + 1);
    store_batch_put(batch, STORE_DB_TASKS, "after", "x", 1);
    assert_int_equal(store_rig_commit(rig, batch), ERR_TOOBIG);
    assert_non_null(strstr(rig->last.text, "tasks/k"));
    assert_null(store_rig_get(rig, STORE_DB_TASKS, "after"));

    batch = store_batch_new();
    store_batch_stat_add(batch, "s", NAN, false);
    assert_int_equal(store_rig_commit(rig, batch), ERR_INVALID);

    assert_true(store_batch_empty(batch = store_batch_new()));
    assert_int_equal(store_rig_commit(rig, batch), 0);
    store_batch_free(NULL);
    store_batch_free(store_batch_new());
}

static void counters(void **state)
{
    struct store_rig *rig = *state;
    int64_t n = 1;
    assert_int_equal(store_counter(rig->store, "c", &n, NULL), 0);
    assert_int_equal(n, 0);
    for (int i = 0; i < 3; i++) {
        struct store_batch *batch = store_batch_new();
        store_batch_counter_add(batch, "c", INT64_MAX / 2 + 1);
        store_batch_counter_add(batch, "c", -2);
        int r = store_rig_commit(rig, batch);
        assert_int_equal(r, i < 2 ? 0 : ERR_TOOBIG);
    }
    assert_int_equal(store_counter(rig->store, "c", &n, NULL), 0);
    assert_true(n == INT64_MAX - 3);
}

/* Welford against the two-pass formula. */
static void statistics(void **state)
{
    struct store_rig *rig = *state;
    static const double gains[] = {0.5, -0.3, 0.1, 0.1, 1.75, -0.3, 0.02};
    double mean = 0, m2 = 0;
    size_t n = ARRAY_LEN(gains);
    for (size_t i = 0; i < n; i++) {
        mean += gains[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        m2 += (gains[i] - mean) * (gains[i] - mean);
        struct store_batch *batch = store_batch_new();
        store_batch_stat_add(batch, "strategy/x/*|*|*", gains[i], gains[i] == -0.3);
        store_rig_submit(rig, batch);
    }
    assert_int_equal(store_rig_wait(rig), 0);
    struct store_stat stat;
    assert_int_equal(store_stat(rig->store, "strategy/x/*|*|*", &stat, NULL), 0);
    assert_int_equal(stat.n, n);
    assert_int_equal(stat.failures, 2);
    assert_float_equal(stat.mean, mean, 1e-12);
    assert_float_equal(stat.m2, m2, 1e-12);
    assert_int_equal(store_stat(rig->store, "unknown", &stat, NULL), 0);
    assert_int_equal(stat.n, 0);
}

static void merge_and_sub_are_inverse(void **state)
{
    (void)state;
    struct store_stat a = {0}, b = {0}, both = {0};
    for (int i = 0; i < 50; i++) {
        double gain = sin(i) * 0.7;
        store_stat_observe(i % 3 ? &a : &b, gain, i % 7 == 0);
        store_stat_observe(&both, gain, i % 7 == 0);
    }
    struct store_stat sum = a;
    store_stat_merge(&sum, &b);
    assert_int_equal(sum.n, both.n);
    assert_int_equal(sum.failures, both.failures);
    assert_float_equal(sum.mean, both.mean, 1e-12);
    assert_float_equal(sum.m2, both.m2, 1e-12);
    store_stat_sub(&sum, &a);
    assert_int_equal(sum.n, b.n);
    assert_int_equal(sum.failures, b.failures);
    assert_float_equal(sum.mean, b.mean, 1e-10);
    assert_float_equal(sum.m2, b.m2, 1e-10);
    store_stat_sub(&sum, &b);
    assert_int_equal(sum.n, 0);
    assert_true(sum.mean == 0 && sum.m2 == 0);
    store_stat_merge(&sum, &a);
    assert_float_equal(sum.mean, a.mean, 0);
}

/* A damaged statistic fails the batch that would add to it, by name, and stays as it is. */
static void damaged_statistic(void **state)
{
    struct store_rig *rig = *state;
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_STATS, "s", "not a statistic", 15);
    assert_int_equal(store_rig_commit(rig, batch), 0);
    batch = store_batch_new();
    store_batch_stat_add(batch, "s", 0.5, false);
    assert_int_equal(store_rig_commit(rig, batch), ERR_INVALID);
    assert_non_null(strstr(rig->last.text, "stats/s"));
    struct store_stat stat = {.n = 9};
    assert_int_equal(store_stat(rig->store, "s", &stat, &rig->err), ERR_INVALID);
    assert_int_equal(stat.n, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(put_then_get),
        WITH(nothing_is_an_error_text),
        WITH(values_of_all_sizes),
        cmocka_unit_test(text_is_compressed),
        cmocka_unit_test(damage_is_found),
        WITH(damaged_record_in_the_database),
        WITH(scan_by_prefix_and_pages),
        WITH(scan_of_many),
        WITH(new_and_once),
        WITH(failures_in_a_group),
        WITH(mistakes_stick),
        WITH(counters),
        WITH(statistics),
        cmocka_unit_test(merge_and_sub_are_inverse),
        WITH(damaged_statistic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
