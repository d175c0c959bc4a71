/* SPDX-License-Identifier: MIT */
/*
 * Live tuning on instant workers, with the real store: what is measured, what is kept and not
 * measured again, stopping, and a machine that fails under it.
 */
#include "tests/tuning_rig.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void test_whole_space(void **state)
{
    struct fixture *f = *state;
    const struct candidate *candidate = rig_variant(f, "05_online_vector");
    struct seen seen;
    rig_tune(f, candidate, 100, &seen);
    assert_int_equal(seen.code, 0);
    assert_string_equal(seen.algorithm, "exhaustive");
    assert_int_equal(seen.samples, 4 * 2 * 3);
    auto_free char *own = xprintf("{\"BLOCK\":%lld,\"UNROLL\":%lld,\"VEC\":%lld}",
                                  (long long)rig_param(candidate, "BLOCK"),
                                  (long long)rig_param(candidate, "UNROLL"),
                                  (long long)rig_param(candidate, "VEC"));
    bool own_is_there = false;
    for (size_t i = 0; i < seen.samples; i++) {
        assert_string_equal(seen.at[i].status, "accepted");
        assert_true(seen.at[i].us > 0);
        own_is_there = own_is_there || str_eq(seen.at[i].config, own);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(seen.at[i].config, seen.at[k].config);
        }
    }
    assert_true(own_is_there);
    json_t *fastest = json_loads(seen.at[rig_find_fastest(&seen)].config, 0, NULL);
    const char *names[] = { "BLOCK", "UNROLL", "VEC" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) { /* the best is the candidate with its params */
        assert_int_equal(rig_param(seen.best, names[i]),
                         json_integer_value(json_object_get(fastest, names[i])));
    }
    assert_string_equal(seen.best->source, candidate->source);
    json_decref(fastest);
    candidate_free(seen.best);
    auto_arena struct arena *arena = arena_new();
    struct store_item *items;
    assert_int_equal(rig_kept(f, &items, arena), seen.samples);
}

static void test_budget(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    rig_tune(f, rig_variant(f, "05_online_vector"), 5, &seen);
    assert_int_equal(seen.code, 0);
    assert_string_equal(seen.algorithm, "auto");
    assert_int_equal(seen.samples, 5);
    candidate_free(seen.best);
}

static bool spend_seven(void *ud, double device_s)
{
    struct seen *seen = ud;
    assert_true(device_s >= 0);
    return ++seen->paid < 7;
}

/* The caller's budget ends it at once: what was told stands, the rest isn't waited for. */
static void test_spent(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    struct tuning_options options = { .candidate = rig_variant(f, "05_online_vector"), .budget = 100,
                                      .hopeless = -1, .spend = spend_seven };
    rig_tune_as(f, options, &seen);
    assert_int_equal(seen.code, 0);
    assert_true(seen.samples >= 1 && seen.samples <= 7);
    assert_int_equal(seen.finals, 0);
    assert_non_null(seen.best);
    assert_non_null(strstr(seen.note, "budget"));
    for (size_t i = 0; i < seen.samples; i++) {
        assert_string_equal(seen.at[i].status, "accepted");
    }
    assert_true(rig_find_fastest(&seen) < seen.samples);
    candidate_free(seen.best);
}

static void overwrite(struct fixture *f, const char *key, const char *text)
{
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, STORE_DB_TUNINGS, key, text, strlen(text));
    assert_int_equal(store_commit(f->session.store, batch, NULL), 0);
}

/* How often a time occurs among the samples. */
static size_t count_us(const struct seen *seen, double us)
{
    size_t n = 0;
    for (size_t i = 0; i < seen->samples; i++) {
        n += seen->at[i].us == us;
    }
    return n;
}

/*
 * A time is planted in the store: whoever doesn't measure again reports it. What may have had
 * another cause than the config, and what isn't sound, is measured again.
 */
static void test_kept_samples_are_not_measured_again(void **state)
{
    struct fixture *f = *state;
    const struct candidate *candidate = rig_variant(f, "05_online_vector");
    struct seen seen;
    rig_tune(f, candidate, 100, &seen);
    candidate_free(seen.best);
    auto_arena struct arena *arena = arena_new();
    struct store_item *items;
    size_t n = rig_kept(f, &items, arena);
    assert_true(n > 10);
    overwrite(f, items[0].key, "{\"format\":1,\"config\":\"\",\"status\":\"accepted\",\"us\":0.125}");
    overwrite(f, items[1].key, "{\"format\":1,\"config\":\"\",\"status\":\"incorrect\",\"us\":0.125}");
    const char *const again[] = {
        "{\"format\":1,\"config\":\"\",\"status\":\"crash\"}",
        "{\"format\":1,\"config\":\"\",\"status\":\"timeout\"}",
        "{\"format\":1,\"config\":\"\",\"status\":\"suspect\",\"us\":0.125}",
        "{\"format\":1,\"config\":\"\",\"status\":\"accepted\"}",
        "{\"format\":1,\"config\":\"\",\"status\":\"splendid\",\"us\":0.125}",
        "{\"format\":1", "[]", "",
    };
    for (size_t i = 0; i < ARRAY_LEN(again); i++) {
        overwrite(f, items[2 + i].key, again[i]);
    }
    rig_tune(f, candidate, 100, &seen);
    assert_int_equal(seen.code, 0);
    assert_int_equal(seen.samples, n);
    assert_int_equal(count_us(&seen, 0.125), 1);
    assert_true(seen.at[rig_find_fastest(&seen)].us == 0.125);
    size_t failed = 0;
    for (size_t i = 0; i < seen.samples; i++) {
        failed += str_eq(seen.at[i].status, "incorrect") && isnan(seen.at[i].us);
        assert_true(str_eq(seen.at[i].status, "incorrect") || seen.at[i].us > 0);
    }
    assert_int_equal(failed, 1);
    candidate_free(seen.best);
    f->options.fresh = true; /* asked for: all is measured, and kept anew */
    rig_tune(f, candidate, 100, &seen);
    assert_int_equal(count_us(&seen, 0.125), 0);
    candidate_free(seen.best);
    f->options.fresh = false;
    rig_tune(f, candidate, 100, &seen);
    assert_int_equal(count_us(&seen, 0.125), 0);
    candidate_free(seen.best);
}

/* Another candidate's samples are another's, even where the configs read the same. */
static void test_samples_belong_to_a_candidate(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    auto_arena struct arena *arena = arena_new();
    struct store_item *items;
    rig_tune(f, rig_variant(f, "02_block_per_row"), 100, &seen);
    candidate_free(seen.best);
    size_t n = rig_kept(f, &items, arena);
    for (size_t i = 0; i < n; i++) {
        overwrite(f, items[i].key, "{\"format\":1,\"config\":\"\",\"status\":\"accepted\",\"us\":0.125}");
    }
    struct candidate *other = NULL;
    const struct candidate *from = rig_variant(f, "02_block_per_row");
    auto_free char *source = xprintf("%s// another\n", from->source);
    auto_free char *plan = json_canonical(from->plan->json);
    assert_int_equal(candidate_parse(plan, strlen(plan), source, strlen(source), &other, NULL), 0);
    rig_tune(f, other, 100, &seen);
    assert_int_equal(count_us(&seen, 0.125), 0);
    candidate_free(seen.best);
    candidate_free(other);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    const struct candidate *candidate = rig_variant(f, "05_online_vector");
    struct seen seen;
    tuning_cancel(rig_start(f, candidate, 100, &seen)); /* before anything was launched */
    uv_run(&f->session.loop, UV_RUN_NOWAIT);
    assert_int_equal(seen.n, 0);
    for (int turns = 1; turns < 40; turns += 6) { /* and at any moment */
        f->options.fresh = true;
        struct tuning *tuning = rig_start(f, candidate, 100, &seen);
        for (int i = 0; i < turns && seen.n == 0; i++) {
            uv_run(&f->session.loop, UV_RUN_ONCE);
        }
        if (seen.n == 0) {
            tuning_cancel(tuning);
        } else {
            candidate_free(seen.best);
            seen.n = 0;
        }
        uv_run(&f->session.loop, UV_RUN_NOWAIT);
        assert_int_equal(seen.n, 0);
    }
    rig_tune(f, candidate, 100, &seen); /* the device still works */
    assert_int_equal(seen.samples, 24);
    candidate_free(seen.best);
}

/* A space that can't be searched is said at the start. */
static void test_empty_space(void **state)
{
    struct fixture *f = *state;
    const struct candidate *from = rig_variant(f, "02_block_per_row");
    json_t *plan = json_deep_copy(from->plan->json);
    json_object_set_new(plan, "constraints", json_pack("[s]", "BLOCK > 5000"));
    auto_free char *text = json_canonical(plan);
    json_decref(plan);
    struct candidate *none = NULL;
    assert_int_equal(candidate_parse(text, strlen(text), from->source, from->source_len, &none,
                                     NULL), 0);
    struct tuning_options options = { .task = f->task, .candidate = none, .budget = 10 };
    struct tuning *tuning = NULL;
    struct seen seen = { 0 };
    struct err err = { 0 };
    assert_int_equal(tuning_start(&f->session, &options, rig_on_tuned, &seen, &tuning, &err),
                     ERR_NOTFOUND);
    assert_non_null(strstr(err_text(&err), "constraints"));
    assert_null(tuning);
    assert_int_equal(seen.n, 0);
    candidate_free(none);
}

/* The device is killed and can't be started again: no verdict on any config, but an error. */
static void test_machine_fails(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    assert_int_equal(unlink(f->worker), 0);
    int pid = 0;
    assert_int_equal(evaluator_pids(f->session.evaluator, &pid, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    rig_tune(f, rig_variant(f, "05_online_vector"), 100, &seen);
    assert_int_equal(seen.code, ERR_ENVIRONMENT);
    assert_non_null(strstr(seen.error, f->worker));
    assert_null(seen.best);
    auto_arena struct arena *arena = arena_new();
    struct store_item *items;
    assert_int_equal(rig_kept(f, &items, arena), 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(test_whole_space),
        T(test_budget),
        T(test_spent),
        T(test_kept_samples_are_not_measured_again),
        T(test_samples_belong_to_a_candidate),
        T(test_cancel),
        T(test_empty_space),
        T(test_machine_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
